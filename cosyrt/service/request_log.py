"""The outermost layer: every request gets an id, a line in the log, and a place in the figures."""

from __future__ import annotations

import json
import logging
import re
import time
from secrets import token_hex
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cosyrt.service.metrics import Metrics

log = logging.getLogger("cosyrt.requests")

REQUEST_ID = "request_id"  # the key under which the id of a request stands in the state of its scope
_SANE_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_QUIET = {"/health", "/ready", "/livez", "/readyz", "/metrics"}  # asked every few seconds by machines


class RequestLog:
    """Names each request, and notes how it ended."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its id; log what became of it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _SANE_ID.fullmatch(given) else token_hex(12)
        scope.setdefault("state", {})[REQUEST_ID] = name
        began, seen = time.monotonic(), _Seen()

        async def noted(message: Message) -> None:
            seen.note(message)
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message)["x-request-id"] = name
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self._log(scope, name, seen, time.monotonic() - began)

    def _log(self, scope: Scope, name: str, seen: _Seen, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "other")  # not the path: it may hold anything
        self.metrics.answered(route, seen.status)
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
        caller = scope["state"].get("caller")
        fields = {
            "id": name,
            "method": scope.get("method", "WEBSOCKET"),
            "path": scope["path"][:200],
            "status": seen.status,
            "whole": seen.whole,
            "seconds": round(took_s, 3),
            "bytes": seen.sent,
            "account": getattr(caller, "account_id", ""),
        }
        log.log(level, "request", extra={"fields": fields})


class _Seen:
    """What was sent in answer to a request."""

    def __init__(self) -> None:
        self.status, self.sent, self.whole = 0, 0, False

    def note(self, message: Message) -> None:
        kind = message["type"]
        if kind.endswith("response.start"):
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = 101
        elif kind.endswith("response.body"):
            self.sent += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
        elif kind == "websocket.send":
            self.sent += len(message.get("bytes") or message.get("text") or b"")
        elif kind == "websocket.close":
            self.whole = True


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the time, the level, who says it, the message, and the fields of a request."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextLines(logging.Formatter):
    """Formats each record as one line for people; the fields of a request follow the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the time, the message and the fields."""
        fields = " ".join(
            f"{name}={_in_line(value)}" for name, value in getattr(record, "fields", {}).items()
        )
        line = f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {record.getMessage()} {fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line.rstrip()


def _in_line(value: object) -> str:
    """A value without line breaks or anything else that a terminal would take for a command."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def log_as(kind: str) -> None:
    """Let everything that is logged go to standard error, as `text` or as `json` lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if kind == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("cosyrt").setLevel(logging.INFO)
