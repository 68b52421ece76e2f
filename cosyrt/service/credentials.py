"""The key in the headers of a request, wherever clients put it; never in an address, which ends in logs."""

from __future__ import annotations

from collections.abc import Mapping

# A page in a browser can give a WebSocket no headers, but names of protocols; the prefix is OpenAI's.
PROTOCOL_PREFIX = "openai-insecure-api-key."


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key of `Authorization: Bearer`, `x-api-key` or a WebSocket's protocols; an empty one is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    found = key.strip() if scheme.lower() == "bearer" else ""
    return found or headers.get("x-api-key", "").strip() or _in_protocols(headers) or None


def _in_protocols(headers: Mapping[str, str]) -> str:
    names = (name.strip() for name in headers.get("sec-websocket-protocol", "").split(","))
    return next(
        (name.removeprefix(PROTOCOL_PREFIX) for name in names if name.startswith(PROTOCOL_PREFIX)), ""
    )
