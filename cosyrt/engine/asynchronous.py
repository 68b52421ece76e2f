"""Speech and text between a program's event loop and the threads in which models run.

Models block: a generator of audio is advanced in a thread of its own, one chunk for each that is asked for.
A text that arrives asynchronously is asked for from that thread, and answered by the loop it belongs to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_END: Any = object()
_LAST_WORDS_S = 1.0  # that a text may take to close


class Arriving(Iterator[T], Generic[T]):
    """The items of an asynchronous iterable for another thread, each asked for on the loop it belongs to."""

    def __init__(self, items: AsyncIterable[T], loop: asyncio.AbstractEventLoop) -> None:
        self._items, self._loop = aiter(items), loop
        self._pending: Future[T] | None = None
        self.cancelled = Event()

    def __next__(self) -> T:
        if self.cancelled.is_set():
            raise StopIteration
        self._pending = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        if self.cancelled.is_set():  # in between
            self._pending.cancel()
        item = self._pending.result()
        if item is _END:
            raise StopIteration
        return item

    async def _next(self) -> T:
        return await anext(self._items, _END)

    def cancel(self) -> None:
        """Ask for no more; whoever waits for an item is told that it was cancelled."""
        self.cancelled.set()
        if self._pending is not None:
            self._pending.cancel()


def in_own_loop(items: AsyncIterable[T]) -> Generator[T, None, None]:
    """The items of an asynchronous iterable, for a caller without a loop: one runs in a thread for them."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=_run, args=(loop,), name="cosyrt-text", daemon=True)
    thread.start()
    arriving = Arriving(items, loop)
    try:
        yield from arriving
    finally:
        arriving.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_LAST_WORDS_S)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def in_thread(
    source: Generator[T, None, None], arriving: Arriving[Any] | None, *, waits: bool
) -> AsyncGenerator[T, None]:
    """The items of a generator that blocks, each made in a thread when it is asked for.

    Closing cancels what `arriving` is asked for, and closes `source` in that thread, which it `waits` for.
    """
    loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(1, "cosyrt-astream")
    try:
        while (item := await loop.run_in_executor(pool, next, source, _END)) is not _END:
            yield item
    finally:
        if arriving is not None:
            arriving.cancel()
        closed = loop.run_in_executor(pool, source.close)
        pool.shutdown(wait=False)
        if waits:
            await closed
