"""Texts for a scheduler: those that are there, and those that a thread waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cosyrt.engine.feed import AHEAD, Feed, OpenFeed, ThreadFeed
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.utterance import Source
from cosyrt.text.split import Piece
from tests.engine.pipelines import SHORT

HELLO, BYE = Piece("Hello."), Piece("Bye.")


@pytest.fixture
def source(tiny: Pipeline) -> Source:
    return tiny.open(Request(text=SHORT))


class Woken:
    """Waits until a feed has something, as the scheduler does."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def take(self, feed: Feed) -> object:
        while not feed.ready:
            assert self.event.wait(60)
            self.event.clear()
        return feed.take()


def test_a_text_that_is_there_is_read_when_it_is_taken(source: Source) -> None:
    """Nothing is read ahead, and after the last item there is none."""
    read = []

    def items() -> Iterator[Piece]:
        for piece in (HELLO, BYE):
            read.append(piece)
            yield piece

    feed = OpenFeed(replace_items(source, items()))
    assert feed.ready and feed.take() == HELLO
    assert read == [HELLO]
    assert [feed.take(), feed.take()] == [BYE, None]


def replace_items(source: Source, items: Iterator[Piece]) -> Source:
    return source._replace(items=items)


def test_a_thread_opens_and_reads_a_text_that_arrives(source: Source) -> None:
    """Nobody waits: `ready` says when there is an item, and the last is followed by None, again and again."""
    writing, woken = threading.Event(), Woken()

    def open_() -> Source:
        assert writing.wait(60)
        return replace_items(source, iter([HELLO, BYE]))

    feed = ThreadFeed(open_, woken.event.set)
    assert not feed.ready and feed.source is None
    writing.set()

    assert [woken.take(feed) for _ in range(4)] == [HELLO, BYE, None, None]
    assert feed.source is not None and replace(feed.source.request) == source.request


@pytest.mark.parametrize("opened", [False, True])
def test_an_error_of_the_text_comes_when_it_is_taken(source: Source, opened: bool) -> None:
    """What was read before is given first; an error of opening is the first there is."""

    def items() -> Iterator[Piece]:
        yield HELLO
        raise KeyError("the writer failed")

    def open_() -> Source:
        if not opened:
            raise KeyError("the writer failed")
        return replace_items(source, items())

    woken = Woken()
    feed = ThreadFeed(open_, woken.event.set)
    if opened:
        assert woken.take(feed) == HELLO
    with pytest.raises(KeyError, match="the writer failed"):
        woken.take(feed)


def test_a_thread_reads_a_few_items_ahead_until_it_is_closed(source: Source) -> None:
    """A text without end is read no further than it may be, and no more once it is closed."""
    read, full, closed = [], threading.Event(), threading.Event()

    def items() -> Iterator[Piece]:
        try:
            while True:
                read.append(HELLO)
                if len(read) > AHEAD:
                    full.set()
                yield HELLO
        finally:
            closed.set()

    feed = ThreadFeed(lambda: replace_items(source, items()), lambda: None)
    assert full.wait(60)
    feed.close()

    assert closed.wait(60)
    assert len(read) == AHEAD + 1
