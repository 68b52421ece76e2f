"""Tickets: audio for a reader in a thread or an event loop, one end, and a cancel from anywhere."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.engine.request import Request
from cosyrt.engine.ticket import Ticket, TicketState
from cosyrt.errors import Cancelled

SECOND = Audio(np.zeros(24_000, np.float32), 24_000)


def ticket() -> Ticket:
    return Ticket(Request(text="Hello."), "", lambda: None)


def test_a_reader_gets_all_audio_and_the_end() -> None:
    """Audio comes in its order, and the figures say how much there was."""
    made = ticket()
    made.give(SECOND)
    made.give(SECOND)
    assert made.unread_s == made.audio_s == 2 and made.first_audio_s is not None
    assert made.end(TicketState.DONE)

    assert list(made) == [SECOND, SECOND]
    assert (made.unread_s, made.state) == (0, TicketState.DONE)


def test_a_reader_waits_for_audio() -> None:
    """A thread that reads before anything was made gets it when it comes."""
    made, heard = ticket(), list[Audio]()
    reader = threading.Thread(target=lambda: heard.extend(made))
    reader.start()
    made.give(SECOND)
    made.end(TicketState.DONE)
    reader.join()

    assert heard == [SECOND]


def test_a_reader_in_an_event_loop_waits_for_audio() -> None:
    """Audio that a thread gives reaches `async for` on the loop, which is not blocked meanwhile."""
    made = ticket()

    async def listen() -> list[Audio]:
        worker = threading.Timer(0.01, lambda: (made.give(SECOND), made.end(TicketState.DONE)))
        worker.start()
        return [audio async for audio in made]

    assert asyncio.run(listen()) == [SECOND]


def test_a_reader_whose_loop_has_gone_disturbs_nobody() -> None:
    """A loop that was closed while its reader waited is passed over; the next reader gets the audio."""
    made = ticket()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(made), 0.01)

    asyncio.run(give_up())
    made.give(SECOND)
    made.end(TicketState.DONE)

    assert list(made) == [SECOND]


def test_an_error_reaches_the_reader_after_the_audio() -> None:
    """What was made before the error is heard, then the error is raised, each time it is asked."""
    made = ticket()
    made.give(SECOND)
    made.end(TicketState.FAILED, ZeroDivisionError("a broken stage"))

    assert next(made) is SECOND
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="a broken stage"):
            next(made)


def test_a_cancelled_ticket_never_looks_whole() -> None:
    """Unread audio is dropped and reading raises, in a thread and on a loop."""
    with ticket() as made:
        made.give(SECOND)

    assert (made.state, made.unread_s) == (TicketState.CANCELLED, 0)
    with pytest.raises(Cancelled):
        next(made)
    with pytest.raises(Cancelled):
        asyncio.run(anext(made))


def test_a_ticket_ends_once() -> None:
    """The first end stays, and audio that comes after it is not heard."""
    made = ticket()
    assert made.end(TicketState.DONE)
    made.cancel()
    made.move(TicketState.PARKED)
    made.give(SECOND)

    assert (made.state, list(made)) == (TicketState.DONE, [])
