"""Text that arrives asynchronously, and speech for `async for`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from cosyrt.engine.asynchronous import Arriving, in_own_loop, in_thread
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.errors import TextError, UsageError
from tests.engine.pipelines import SHORT, TEXT, joined, same
from tests.threads import Started

SENTENCES = ["Hello there.", None, " How are you?", "", None, " Fine."]


async def arriving() -> AsyncIterator[str | None]:
    for sentence in SENTENCES:
        await asyncio.sleep(0)
        yield sentence


class Words:
    """An asynchronous iterator that is no generator."""

    def __init__(self) -> None:
        self.left = list(SENTENCES)

    def __aiter__(self) -> Words:
        return self

    async def __anext__(self) -> str | None:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


STARTED = Started()


@pytest.fixture(autouse=True)
def _anew() -> None:
    STARTED.reset()


async def no_thread_is_left() -> None:
    """Wait until every thread of this library has ended."""
    for _ in range(500):
        if not STARTED():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(STARTED())


@pytest.mark.parametrize(
    "text",
    [
        arriving,
        lambda: SENTENCES,
        pytest.param(Words, marks=pytest.mark.slow),
        pytest.param(lambda: iter(SENTENCES), marks=pytest.mark.slow),
    ],
)
def test_parts_that_are_none_are_passed_over(tiny: Pipeline, text: Callable[[], Any]) -> None:
    """Chat models give None; lists, iterators and asynchronous iterators with it are spoken as without."""
    whole = joined(tiny.stream([part for part in SENTENCES if part]))

    assert same(joined(tiny.stream(text())), whole, 0)
    assert same(
        tiny.say(text(), chunked=True).samples,
        tiny.say("".join(filter(None, SENTENCES)), chunked=True).samples,
        0,
    )
    assert not STARTED()


@pytest.mark.parametrize("text", [arriving, Words, lambda: iter(SENTENCES), lambda: TEXT])
def test_async_for_gives_what_stream_gives(tiny: Pipeline, text: Callable[[], Any]) -> None:
    """The chunks are those of `stream`, whatever gives the text."""

    async def chunks() -> list[Any]:
        found = [chunk async for chunk in tiny.astream(text(), seed=3)]
        await no_thread_is_left()
        return found

    assert asyncio.run(chunks()) == list(tiny.stream(text(), seed=3))


def test_text_that_waits_for_the_loop(tiny: Pipeline) -> None:
    """The text belongs to the caller's loop, which goes on turning while speech is made."""

    async def speak() -> tuple[int, list[Any]]:
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def words() -> AsyncIterator[str]:
            while (word := await queue.get()) != "END":
                yield word

        async def chat() -> None:
            for word in (SHORT, " ", SHORT, "END"):
                await asyncio.sleep(0.01)
                await queue.put(word)

        turns, task = 0, asyncio.create_task(chat())

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        chunks = [chunk async for chunk in tiny.astream(words())]
        counting.cancel()
        await task
        return turns, chunks

    turns, chunks = asyncio.run(speak())
    assert turns > 3 and chunks == list(tiny.stream([SHORT, " ", SHORT]))


def test_several_at_once(tiny: Pipeline) -> None:
    """Streams of one loop do not disturb each other."""

    async def one(seed: int) -> list[Any]:
        return [chunk async for chunk in tiny.astream(SHORT, seed=seed)]

    async def all_of_them() -> list[list[Any]]:
        return await asyncio.gather(*map(one, range(4)))

    assert asyncio.run(all_of_them()) == [list(tiny.stream(SHORT, seed=seed)) for seed in range(4)]


def test_errors_come_through(tiny: Pipeline) -> None:
    """What the models, the text or the arguments are guilty of is raised where the chunks are asked for."""

    async def broken() -> AsyncIterator[str]:
        yield SHORT
        raise ConnectionError("the chat model is gone")

    async def first(text: Any, **options: Any) -> None:
        async for _ in tiny.astream(text, **options):
            pass

    for text, kind in [
        ("", TextError),
        (3, UsageError),
        (None, UsageError),
        (broken(), ConnectionError),
        ([b"x"], UsageError),
    ]:
        with pytest.raises(kind):
            asyncio.run(first(text))
    with pytest.raises(UsageError, match="speed"):
        asyncio.run(first(SHORT, speed="fast"))
    with pytest.raises(ConnectionError, match="gone"):
        list(tiny.stream(broken()))
    with pytest.raises(UsageError, match="give a Request"):
        asyncio.run(anext(tiny.arun("text")))  # type: ignore[arg-type]


def test_a_text_that_never_comes_is_cancelled_with_its_task(tiny: Pipeline) -> None:
    """Cancelling a task that waits for words ends the wait, and no thread is left."""

    async def speak() -> None:
        waiting, ended = asyncio.Event(), False

        async def words() -> AsyncIterator[str]:
            nonlocal ended
            try:
                waiting.set()
                await asyncio.Event().wait()
                yield "never"
            finally:
                ended = True

        async def listen() -> None:
            async for _ in tiny.astream(words()):
                pass

        task = asyncio.create_task(listen())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await no_thread_is_left()
        assert ended

    asyncio.run(asyncio.wait_for(speak(), 60))


def test_leaving_early_stops_the_models(tiny: Pipeline) -> None:
    """After a break and `aclose` the generator of audio is closed."""
    closed = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.set()

    async def leave() -> None:
        source = in_thread((n for n in numbers()), None, waits=True)
        assert await anext(source) == 0
        await source.aclose()
        assert closed.is_set()
        speech = tiny.astream(TEXT * 4)
        await anext(speech)
        await speech.aclose()
        await no_thread_is_left()

    asyncio.run(leave())


def test_a_loop_in_the_caller_is_no_obstacle(tiny: Pipeline) -> None:
    """The plain `stream` inside a coroutine takes an asynchronous text as well."""

    async def speak() -> list[Any]:
        return list(tiny.stream(arriving()))

    assert asyncio.run(speak()) == list(tiny.stream(SENTENCES))


def test_closing_does_not_wait_for_words() -> None:
    """An asynchronous text that never goes on does not keep its reader."""

    async def stuck() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    items = in_own_loop(stuck())
    assert next(items) == 1
    items.close()
    assert not STARTED()


def test_nothing_is_asked_for_after_a_cancel() -> None:
    """A cancelled text has ended."""

    async def ask() -> list[str | None]:
        text = Arriving(arriving(), asyncio.get_running_loop())
        text.cancel()
        return await asyncio.to_thread(list, text)

    assert asyncio.run(ask()) == []


def test_a_request_takes_an_asynchronous_text(tiny: Pipeline) -> None:
    """`run` and `arun` of such a request give the same."""

    async def chunks() -> list[Any]:
        return [chunk async for chunk in tiny.arun(Request(text=arriving()))]

    assert asyncio.run(chunks()) == list(tiny.run(Request(text=arriving())))
