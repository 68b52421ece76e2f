"""What the WebSockets share: one loop that reads events within limits, and errors as events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from abc import ABC, abstractmethod
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from cosyrt.errors import CosyrtError
from cosyrt.service.access import caller_of
from cosyrt.service.callers import Caller
from cosyrt.service.errors import BadRequest
from cosyrt.service.keys import Scope
from cosyrt.service.reading import Reading
from cosyrt.service.refusals import response_to
from cosyrt.service.state import Service, service_of
from cosyrt.service.wire import answer_to, error_body

log = logging.getLogger(__name__)

GOING_AWAY, TOO_OLD, FAILED = 1001, 1008, 1011
Event = dict[str, Any]


class Conversation(ABC):
    """One socket: events come in, one reading at a time goes out.

    A subclass says what each event does, and tells the client what comes of its reading.
    """

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.service: Service = service_of(socket)
        self.caller: Caller = caller_of(socket.scope)
        self.reading: Reading | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def on_event(self, event: Event) -> bool:
        """Do what an event of the client asks for; whether the socket stays open.

        Raises:
            CosyrtError: it cannot be done.
        """

    @abstractmethod
    async def told(self, reading: Reading, error: CosyrtError | None) -> None:
        """Tell the client that a reading has ended, and of the error that ended it."""

    async def send(self, event: Event) -> None:
        """Send an event to the client."""
        await self.socket.send_text(json.dumps(event, separators=(",", ":")))  # half a character, too

    async def run(self, subprotocol: str | None = None) -> None:
        """Serve the socket until either side has had enough."""
        try:
            self.caller.require(Scope.SPEECH)
            self.service.admission.refuse_when_draining()
        except CosyrtError as error:
            await self.socket.send_denial_response(response_to(error))
            return
        await self.socket.accept(subprotocol)
        try:
            async with asyncio.timeout(self.service.settings.socket_s):
                if (greeting := self.greeting()) is not None:
                    await self.send(greeting)
                await self._listen()
        except WebSocketDisconnect:
            pass
        except TimeoutError:
            await self._close(TOO_OLD, "the time of this socket is over")
        finally:
            await self.stop()

    def greeting(self) -> Event | None:
        """The event that opens the conversation, where the protocol has one."""
        return None

    async def _listen(self) -> None:
        idle_s = self.service.settings.socket_idle_s
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    text = await self.socket.receive_text()
            except TimeoutError:
                if self.speaking and self.reading is not None and not self.reading.waits:
                    continue  # who listens need not talk
                await self._close(GOING_AWAY, f"nothing was said for {idle_s:g} s")
                return
            except KeyError:  # of a binary frame
                text = ""
            try:
                if not await self.on_event(_event_in(text)):
                    return
            except CosyrtError as error:
                await self.refuse(error)

    async def refuse(self, error: CosyrtError) -> None:
        """Tell the client of an error; the socket stays open."""
        await self.send({"type": "error", **error_body(answer_to(error))})

    @property
    def speaking(self) -> bool:
        """Whether a reading is not over."""
        return self._task is not None and not self._task.done()

    def begin(self, reading: Reading) -> None:
        """Let a reading run beside the socket's own loop."""
        self.reading = reading
        self._task = asyncio.create_task(self._read(reading))

    async def stop(self) -> None:
        """Cancel the reading, if one runs, and wait until its work has ended."""
        task, self._task, self.reading = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, reading: Reading) -> None:
        try:
            await reading.run()
        except CosyrtError as error:
            await self._tell(reading, error)
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("a reading failed")
            await self._close(FAILED, "this is a bug of the service; its log says more")
        else:
            await self._tell(reading, None)

    async def _tell(self, reading: Reading, error: CosyrtError | None) -> None:
        if self.reading is reading:
            self.reading = None
        with contextlib.suppress(WebSocketDisconnect):
            await self.told(reading, error)

    async def _close(self, code: int, reason: str) -> None:
        if self.socket.application_state is WebSocketState.CONNECTED:
            await self.socket.close(code, reason)


def _event_in(text: str) -> Event:
    try:
        event = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise BadRequest("an event is one JSON object in a text frame; send that") from error
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise BadRequest('an event is a JSON object with a "type"; send that')
    return event


def _finite(literal: str) -> float:
    """Read a number; NaN and infinity are no JSON, although Python reads and writes them."""
    if not math.isfinite(number := float(literal)):
        raise ValueError(f"{literal[:20]} is no number")
    return number
