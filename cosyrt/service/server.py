"""The process: sockets, timeouts of readers and writers, and how it ends.

uvicorn serves the application. What is added here it does not have: a limit on how long a client may take
to send its request or to read its answer, an end of streams that comes before the end of the engine, and
the exit code 0 after SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from cosyrt.errors import UsageError
from cosyrt.service.delivery import CONNECTION
from cosyrt.service.errors import Overloaded
from cosyrt.service.refusals import refuse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from cosyrt.service.settings import Settings

log = logging.getLogger(__name__)

MAX_HEADER_BYTES = 16_384
MAX_FRAME_BYTES = 65_536
PING_S = 20.0
LAST_WORDS_S = 2.0  # for responses to end by themselves after their speech was cut
TICK_S = 0.05
AGAIN_S = 1.0  # before a client without a connection tries again
LATE = b'{"error":{"message":"the request did not arrive in time","type":"invalid_request_error"}}'


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer on a connection that is one too many."""
    busy = Overloaded("there are as many connections as there may be; come back later", retry_after_s=AGAIN_S)
    await refuse(scope, receive, send, busy)


class _Deadlines(asyncio.Protocol):
    """Ends a connection whose client does not read; of connections over the limit each gets an error."""

    write_s: float
    max_sockets: int
    app: ASGIApp
    connections: set[Any]
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Offer the connection to the application, which may have to close it in the middle of a body."""
        self._stalled: asyncio.TimerHandle | None = None
        self._lost = asyncio.Event()
        self.app_state = {**self.app_state, CONNECTION: self.end}
        super().connection_made(transport)
        if len(self.connections) > self.max_sockets:
            self.app = crowded

    def connection_lost(self, error: Exception | None) -> None:
        """Stop the clocks."""
        self._writable()
        super().connection_lost(error)
        self._lost.set()

    def pause_writing(self) -> None:
        """Give the client so many seconds to take what is buffered for it."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        self._writable()
        super().resume_writing()

    async def end(self) -> None:
        """Close the connection after what was sent, without the end of the body, and wait until it is."""
        self.transport.close()
        self._stalled = self._stalled or self.loop.call_later(self.write_s, self.transport.abort)
        await self._lost.wait()

    def _writable(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class HttpConnection(_Deadlines, H11Protocol):
    """One HTTP connection, on which a request must arrive in time too."""

    receive_s: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request."""
        self._awaited: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop the clock."""
        self._arrived()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Start the clock with the first byte of a request, and stop it with the last."""
        super().data_received(data)
        is_mine = self.transport.get_protocol() is self and not self.transport.is_closing()
        if is_mine and self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._wait()
        else:
            self._arrived()

    def send_400_response(self, message: str) -> None:
        """Refuse what is no HTTP; nobody hears what the application might still answer."""
        super().send_400_response(message)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the connection to the protocol that takes over."""
        self._arrived()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Leave a connection between two requests to uvicorn's own clock."""
        if self.conn.their_state is h11.DONE:
            self._arrived()
        super().on_response_complete()

    def _wait(self) -> None:
        self._awaited = self._awaited or self.loop.call_later(self.receive_s, self._late)

    def _arrived(self) -> None:
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None

    def _late(self) -> None:
        self._awaited = None
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("content-type", "application/json"), ("connection", "close")]
            for event in (h11.Response(status_code=408, headers=headers), h11.Data(LATE), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class SocketConnection(_Deadlines, WebSocketsSansIOProtocol):
    """One WebSocket."""

    def send_receive_event_to_app(self) -> None:
        """Close on a text that is no UTF-8, which uvicorn would log as an exception of ours."""
        if self.close_sent or self.curr_msg_data_type != "text" or _is_utf8(b"".join(self.frames)):
            super().send_receive_event_to_app()
        else:
            self.conn.send_close(CloseCode.INVALID_DATA, "a text frame holds UTF-8")
            self.handle_parser_exception()


class Server(uvicorn.Server):
    """Serves until a signal comes; then what is being spoken is finished, or cut when its time is over."""

    def __init__(
        self, config: uvicorn.Config, drain: Callable[[], Any], active: Callable[[], int], drain_s: float
    ) -> None:
        super().__init__(config)
        self.drain, self.active, self.drain_s = drain, active, drain_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End speech first; until then the port answers, if only that the service is going."""
        self.drain()
        loop = asyncio.get_running_loop()
        until = loop.time() + self.drain_s
        while self.active() and loop.time() < until and not self.force_exit:
            await asyncio.sleep(TICK_S)
        if self.active():
            log.warning("%d responses are cut: the service ends", self.active())
        tasks = list(self.server_state.tasks)
        if self.active():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a service, without dying of them afterwards as uvicorn does."""
        if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in uvicorn.server.HANDLED_SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in peace at the first signal, at once at the second."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def listening(settings: Settings) -> socket.socket:
    """The socket of the service.

    Raises:
        UsageError: the address or the port cannot be had.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(min(settings.max_sockets, 2048))
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UsageError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
            "choose another --port or --host"
        ) from error
    listener.setblocking(False)
    return listener


def configured(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """What uvicorn is told."""
    limits = {
        "write_s": settings.write_s,
        "receive_s": settings.receive_s,
        "max_sockets": settings.max_sockets,
    }
    return uvicorn.Config(
        app,
        http=type("HttpConnection", (HttpConnection,), limits),
        ws=type("SocketConnection", (SocketConnection,), limits),
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,  # speech does not become smaller by it
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=round(LAST_WORDS_S),
    )
