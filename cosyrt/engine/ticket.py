"""One admitted request, as its reader and the scheduler share it: audio goes out, a cancel comes in.

A ticket never makes the scheduler wait: audio that is not read yet is counted, and the scheduler leaves a
stream alone whose reader has enough of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from enum import Enum
from functools import cached_property
from typing import Self
from uuid import uuid4

from cosyrt.audio import Audio
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.request import Request
from cosyrt.errors import Cancelled
from cosyrt.voice.transcript import syllables


class TicketState(Enum):
    """Where a request stands; it ends once, in one of the last three."""

    QUEUED = "queued"
    ACTIVE = "active"
    PARKED = "parked"  # its reader has more audio than it may hold unread
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDS = (TicketState.DONE, TicketState.CANCELLED, TicketState.FAILED)


class Ticket:
    """Audio of one request, for one reader: iterate over it, with `for` or `async for`.

    Iterating raises the error of the request, and `Cancelled` once it was cancelled, so that speech that was
    cut short never looks whole. As a context manager it is cancelled at the end of the block.
    """

    def __init__(self, request: Request, key: str, wake: Callable[[], None]) -> None:
        self.id = uuid4().hex
        self.request, self.key = request, key
        self.submitted = time.monotonic()
        self.waited_s: float | None = None  # in the queue; None: it waits
        self.first_audio_s: float | None = None  # from submitting to the first audio
        self.audio_s = 0.0  # made so far
        self.gap_s = 0.0  # longest, for a listener who plays it from the first audio on
        self.pieces: list[SpokenPiece] = []  # of the text, that were spoken so far
        self.error: BaseException | None = None
        self._state = TicketState.QUEUED
        self._wake = wake  # tells the scheduler that something changed
        self._unread: deque[Audio] = deque()
        self._unread_s = 0.0
        self._changed = threading.Condition()
        self._waiting: list[asyncio.Future[None]] = []  # readers in event loops

    @property
    def state(self) -> TicketState:
        """Where the request stands."""
        return self._state

    @cached_property
    def syllables(self) -> float:
        """About how many syllables its text has; 0: it is not known."""
        text = self.request.text
        return (syllables(text) or len(text) / 3) if isinstance(text, str) else 0.0

    @property
    def ended(self) -> bool:
        """Whether no more audio will be made; some may be unread."""
        return self._state in ENDS

    @property
    def unread_s(self) -> float:
        """Seconds of audio that wait for the reader."""
        return self._unread_s

    def __iter__(self) -> Iterator[Audio]:
        return self

    def __next__(self) -> Audio:
        with self._changed:
            self._changed.wait_for(lambda: self._unread or self.ended)
            audio = self._take()
        if audio is None:
            raise StopIteration
        return audio

    def __aiter__(self) -> AsyncIterator[Audio]:
        return self

    async def __anext__(self) -> Audio:
        while True:
            with self._changed:
                if self._unread or self.ended:
                    audio = self._take()
                    break
                waiting = asyncio.get_running_loop().create_future()
                self._waiting.append(waiting)
            await waiting
        if audio is None:
            raise StopAsyncIteration
        return audio

    def cancel(self) -> None:
        """Stop making audio and drop what is unread; a request that has ended stays as it is."""
        self.end(TicketState.CANCELLED, Cancelled("the request was cancelled before its end"))

    close = cancel

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    # Called by the scheduler:

    def move(self, state: TicketState) -> None:
        """Note that a request which has not ended is active, or parked."""
        with self._changed:
            if not self.ended:
                if self._state is TicketState.QUEUED:
                    self.waited_s = time.monotonic() - self.submitted
                self._state = state

    def give(self, audio: Audio, gap_s: float = 0.0) -> None:
        """Put audio before the reader, unless the request has ended; a listener has heard gaps so long."""
        with self._changed:
            if self.ended:
                return
            if self.first_audio_s is None:
                self.first_audio_s = time.monotonic() - self.submitted
            self._unread.append(audio)
            self._unread_s += audio.seconds
            self.audio_s += audio.seconds
            self.gap_s = gap_s
            self._tell()

    def end(self, state: TicketState, error: BaseException | None = None) -> bool:
        """End the request, if nothing has ended it yet; whether this did."""
        with self._changed:
            if self.ended:
                return False
            self._state, self.error = state, error
            if state is TicketState.CANCELLED:
                self._unread.clear()
                self._unread_s = 0.0
            self._tell()
        self._wake()
        return True

    def _take(self) -> Audio | None:
        """The next audio, or the end: None after all of it, the error of a request that failed."""
        if self._unread:
            audio = self._unread.popleft()
            self._unread_s = sum(each.seconds for each in self._unread)
            self._wake()  # a parked stream may go on
            return audio
        if self.error is not None:
            raise self.error
        return None

    def _tell(self) -> None:
        """Wake the readers, in whatever thread or event loop they wait."""
        self._changed.notify_all()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            with suppress(RuntimeError):  # its loop was closed: nobody waits there any more
                each.get_loop().call_soon_threadsafe(_wake_up, each)


def _wake_up(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():  # it was cancelled meanwhile
        waiting.set_result(None)
