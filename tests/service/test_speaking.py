"""One request from its admission to its end: nothing is left behind, whenever it is given up."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from cosyrt.engine.request import Request
from cosyrt.engine.ticket import Ticket
from cosyrt.errors import Busy, CosyrtError
from cosyrt.service import admission
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.errors import TooManyRequests
from cosyrt.service.figures import Figures
from cosyrt.service.speaking import admitted, speak, speak_patiently
from tests.service.served import Served, busy, wait_until
from tests.service.test_delivery import LONG


def test_given_up_while_it_is_submitted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose client leaves while the scheduler checks it is cancelled once it was taken."""
    service, real = served.service, served.service.scheduler.submit
    checking, go_on, taken = threading.Event(), threading.Event(), list[Ticket]()

    def submit(*args: Any, **options: Any) -> Ticket:
        checking.set()
        assert go_on.wait(60)
        taken.append(real(*args, **options))
        return taken[0]

    async def leave() -> None:
        audio = speak(service, LOCAL_CALLER, Request(text=LONG, streamed=True), Figures())
        waiting = asyncio.create_task(anext(audio))
        await asyncio.to_thread(checking.wait, 60)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert service.admission.active == 0
        go_on.set()
        await asyncio.to_thread(wait_until, lambda: taken and taken[0].ended)

    monkeypatch.setattr(service.scheduler, "submit", submit)
    asyncio.run(leave())
    wait_until(lambda: not busy(service))


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_given_up_after_some_audio(served: Served, parts: int) -> None:
    """Closing the generator frees the engine and the caller's place, however much was heard."""
    service = served.service

    async def leave() -> None:
        audio = speak(service, LOCAL_CALLER, Request(text=LONG, streamed=True), Figures())
        for _ in range(parts):
            await anext(audio)
        await audio.aclose()

    asyncio.run(leave())
    served.wait_idle()


def test_a_further_part_waits_its_turn(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine is full, a sentence in the middle of a reading comes later, not never."""
    service, real, refused = served.service, served.service.scheduler.submit, []

    def submit(*args: Any, **options: Any) -> Ticket:
        if len(refused) < 2:
            refused.append(True)
            raise Busy("full", 0.01)
        return real(*args, **options)

    async def heard() -> float:
        audio = speak_patiently(service, LOCAL_CALLER, Request(text="Hi.", streamed=True), Figures())
        return sum([part.seconds async for part in audio])

    monkeypatch.setattr(service.scheduler, "submit", submit)
    assert asyncio.run(heard()) > 0
    assert len(refused) == 2


def test_patience_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that would be longer than that for the first audio is an error at once."""

    def submit(*args: Any, **options: Any) -> Ticket:
        raise Busy("full", 1e6)

    async def hear() -> None:
        audio = speak_patiently(served.service, LOCAL_CALLER, Request(text="Hi.", streamed=True), Figures())
        with pytest.raises(Busy):
            await anext(audio)

    monkeypatch.setattr(served.service.scheduler, "submit", submit)
    asyncio.run(hear())


def test_an_error_gives_the_place_back(served: Served) -> None:
    """A request that is refused counts no longer."""

    async def hear() -> None:
        with pytest.raises(CosyrtError):
            await anext(speak(served.service, LOCAL_CALLER, Request(text="…", streamed=True), Figures()))

    asyncio.run(hear())
    assert served.service.admission.active == 0


def test_a_refusal_that_is_held_back_takes_no_place(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that asks again at once waits for its answer, does not count meanwhile, and may leave."""
    service = served.service
    caller = replace(LOCAL_CALLER, key_id="key")
    monkeypatch.setattr(admission, "AGAIN_S", 3_600.0)
    monkeypatch.setattr(admission, "APART_S", 3_600.0)
    monkeypatch.setattr(service.admission, "streams", 1)

    async def ask() -> None:
        await anext(speak(service, caller, Request(text=LONG, streamed=True), Figures()))

    async def ask_thrice() -> None:
        async with admitted(service, caller):
            with pytest.raises(TooManyRequests):
                await ask()
            again = asyncio.create_task(ask())
            assert not (await asyncio.wait({again}, timeout=0.1))[0]
            assert service.admission.active == 1
            again.cancel()
            assert (await asyncio.wait({again}))[0] and again.cancelled()

    asyncio.run(ask_thrice())
    assert service.admission.active == 0
