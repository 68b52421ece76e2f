"""Audio on its way to a client: sent while it is made, stopped when the client leaves, never cut in silence.

The first audio is awaited before the first byte, so that whatever fails until then is answered with a status
and a body. What fails afterwards ends the connection without the end of the body: the client can tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cosyrt.errors import CosyrtError, reason_of

log = logging.getLogger(__name__)

CONNECTION = "connection"  # the key under which the server's connection stands in the state of a scope


class Cut(Exception):
    """A response that cannot go on, and whose connection has been closed for it."""


class StreamedResponse(Response):
    """A body that comes in parts from a generator, of which the first is awaited before the headers go out.

    The generator is closed in any case: when it ends, when it fails, when the client leaves and when the
    server stops.
    """

    def __init__(
        self,
        parts: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: Callable[[], Mapping[str, str]],  # asked for when the first part is there
    ) -> None:
        self.parts, self.media_type, self.late_headers = parts, media_type, headers
        self.status_code, self.background = 200, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts until they end or the client leaves.

        Raises:
            Exception: what the generator raised before its first part.
        """
        sending = asyncio.create_task(self._send(scope, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await _ended(sending, leaving)

    async def _send(self, scope: Scope, send: Send) -> None:
        async with contextlib.aclosing(self.parts) as parts:
            first = await anext(parts, b"")
            self.init_headers({"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **self.late_headers()})
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            try:
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            except Exception as error:  # whatever it is, the body must not end as if it were whole
                _log_failure(error)
                await cut(scope)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _log_failure(error: Exception) -> None:
    """Log why a body was not finished: one line for what a user can meet, a traceback for a bug."""
    log.error("a response was cut: %s", reason_of(error), exc_info=not isinstance(error, CosyrtError))


async def _left(receive: Receive) -> None:
    """Wait until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel the tasks, and wait until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def cut(scope: Scope) -> None:
    """Close the connection of a request in the middle of its response.

    Raises:
        Cut: the server offers no way to, and must notice by this that the response is not whole.
    """
    connection: Callable[[], Awaitable[None]] | None = scope.get("state", {}).get(CONNECTION)
    if connection is None:
        raise Cut("the response could not be finished")
    await connection()
