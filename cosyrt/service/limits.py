"""A limit on the size of request bodies, counted as they arrive: what a header says about it may be a lie."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cosyrt.service.errors import ServiceError
from cosyrt.service.refusals import refuse
from cosyrt.service.settings import Settings

WITH_FILES = frozenset({"/v1/audio/speech"})  # whose JSON may hold a recording


class TooLarge(ServiceError):
    """The request is larger than the service accepts."""

    status, kind, code = 413, "invalid_request_error", "request_too_large"


class BodyLimit:
    """Refuses bodies over the limit, before the routes see them whole."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its bytes as they are read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        takes_files = headers.get("content-type", "").startswith("multipart/") or scope["path"] in WITH_FILES
        most, read = self.settings.max_upload if takes_files else self.settings.max_body, 0
        too_large = TooLarge(f"the request has more than {most} bytes; send less at once")
        if int(length if (length := headers.get("content-length", "")).isdecimal() else 0) > most:
            await refuse(scope, receive, send, too_large)
            return

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise too_large
            return message

        await self.app(scope, counted, send)
