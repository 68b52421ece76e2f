"""A generator that runs ahead in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.prefetch import external, prefetch
from tests.threads import Started


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait up to 5 s for a condition; whether it came true."""
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return condition()


STARTED = Started()


@pytest.fixture(autouse=True)
def _anew() -> None:
    STARTED.reset()


def helpers() -> set[threading.Thread]:
    return STARTED("cosyrt-prefetch")


def closes(stream: Generator[Any, None, None]) -> bool:
    """Whether closing it comes to an end."""
    closing = threading.Thread(target=stream.close, daemon=True)
    closing.start()
    closing.join(30)
    return not closing.is_alive()


class Source:
    """Counts from 0, remembers how far it came, whether it was closed and where."""

    def __init__(self, fail_at: int | None = None, fail_closing: bool = False) -> None:
        self.made, self.closed_in = 0, ""
        self.fail_at, self.fail_closing = fail_at, fail_closing

    def items(self, count: int) -> Generator[int, None, None]:
        try:
            for number in range(count):
                if number == self.fail_at:
                    raise ZeroDivisionError(f"at {number}")
                self.made += 1
                yield number
        finally:
            self.closed_in = threading.current_thread().name
            if self.fail_closing:
                raise OSError("while closing")


@given(st.integers(0, 40), st.integers(1, 10))
def test_items_keep_their_order(count: int, limit: int) -> None:
    """All items come, once each, in order, whatever the limit; the thread is gone afterwards."""
    assert list(prefetch(Source().items(count), limit)) == list(range(count))
    assert helpers() == set()


@pytest.mark.parametrize("limit", [1, 3])
def test_never_further_ahead_than_the_limit(limit: int) -> None:
    """With the reader standing still, exactly `limit` more items are made, before and after it moves on."""
    source = Source()
    stream = prefetch(source.items(100), limit)
    for taken in range(1, 6):
        next(stream)
        assert eventually(lambda taken=taken: source.made == taken + limit)
        time.sleep(0.005)
        assert source.made == taken + limit
    stream.close()


def test_an_error_in_the_thread_reaches_the_reader() -> None:
    """The items before the error come, then the error itself; the thread is gone."""
    stream = prefetch(Source(fail_at=2).items(9), 8)

    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ZeroDivisionError, match="at 2"):
        next(stream)
    assert helpers() == set()


@pytest.mark.parametrize("taken", [1, 4])
def test_closing_stops_and_closes_the_source(taken: int) -> None:
    """After an early close nothing more is made; the source was closed in its thread, and that has ended."""
    source = Source()
    stream = prefetch(source.items(1_000), 2)
    for _ in range(taken):
        next(stream)
    stream.close()

    assert source.closed_in == "cosyrt-prefetch"
    assert source.made <= taken + 2
    assert helpers() == set()


def test_closing_before_the_first_item_starts_nothing() -> None:
    """A generator nobody read from made nothing."""
    source = Source()
    prefetch(source.items(9), 2).close()

    assert (source.made, helpers()) == (0, set())


def test_an_error_while_closing_is_not_lost() -> None:
    """Closing early raises what the source raised in its own clean-up."""
    stream = prefetch(Source(fail_closing=True).items(9), 2)
    next(stream)

    with pytest.raises(OSError, match="while closing"):
        stream.close()
    assert helpers() == set()


def test_an_error_that_nobody_came_to_is_dropped() -> None:
    """A reader who closes early never reads the item that would have failed, as without the thread."""
    source = Source(fail_at=1)
    stream = prefetch(source.items(9), 2)
    next(stream)
    assert eventually(lambda: source.closed_in != "")
    stream.close()

    assert helpers() == set()


class Chat:
    """Somebody else's words: the second one comes when `think` is over."""

    def __init__(self, last: Exception | None = None) -> None:
        self.asked, self.closed, self.last = 0, False, last
        self.think = threading.Event()

    def words(self) -> Iterator[str]:
        try:
            for word in ("one", "two", "three"):
                self.asked += 1
                yield word
                self.think.wait()
                if self.last is not None:
                    raise self.last
        finally:
            self.closed = True


@pytest.mark.parametrize("last", [None, ZeroDivisionError("in the words")])
def test_closing_does_not_wait_for_what_is_external(last: Exception | None) -> None:
    """The reader is free at once; nothing is made of the word that comes at last, and no more are asked."""
    chat, made = Chat(last), []
    stream = prefetch((made.append(word) or word for word in external(chat.words())), 5)
    assert next(stream) == "one"
    assert closes(stream)
    waiting = helpers()
    chat.think.set()

    assert eventually(lambda: helpers() == set())
    assert len(waiting) == 1
    assert (made, chat.asked, chat.closed) == (["one"], 1 if last else 2, True)


def test_external_items_are_read_as_they_are() -> None:
    """In a thread of `prefetch` or not, all items come, and their error after them."""
    chat = Chat(KeyError("in the words"))
    chat.think.set()
    assert list(external("abc")) == list(prefetch((word for word in external("abc")), 2)) == ["a", "b", "c"]

    stream = prefetch((word for word in external(chat.words())), 2)
    assert next(stream) == "one"
    with pytest.raises(KeyError, match="in the words"):
        next(stream)


def test_an_error_of_the_reader_closes_the_source() -> None:
    """An exception thrown in at the reader's side ends the thread, too."""
    source = Source()
    stream = prefetch(source.items(1_000), 2)
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError("reader"))

    assert source.closed_in == "cosyrt-prefetch"
    assert helpers() == set()
