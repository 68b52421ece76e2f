"""Who may begin: so many at once and so many a minute for each caller, on a clock that the test turns."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import Busy
from cosyrt.service.accounts import Accounts
from cosyrt.service.admission import AGAIN_S, APART_S, Admission
from cosyrt.service.errors import TooManyRequests
from tests.service.served import serving
from tests.service.test_delivery import LONG


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_at_once() -> None:
    """A caller has its own number of streams, one that ends makes room; unlimited is unlimited."""
    admission = Admission(streams=2, per_minute=0)
    with admission.admitted("ann"), admission.admitted("ann"), admission.admitted("bob"):
        with pytest.raises(TooManyRequests) as refused, admission.admitted("ann"):
            pass
        with admission.admitted("ann", limited=False):
            assert admission.active == 4
    with admission.admitted("ann"):
        pass

    assert refused.value.code == "too_many_streams"
    assert admission.active == 0


def test_so_many_a_minute() -> None:
    """A bucket is emptied at once and fills up at a steady pace; the error says when."""
    clock = Clock()
    admission = Admission(streams=0, per_minute=6, clock=clock)

    def begin(caller: str = "ann") -> None:
        with admission.admitted(caller):
            pass

    for _ in range(6):
        begin()
    with pytest.raises(TooManyRequests) as refused:
        begin()
    begin("bob")
    assert refused.value.retry_after_s == pytest.approx(10)
    clock.now += 10
    begin()
    with pytest.raises(TooManyRequests):
        begin()


def test_refusals_of_one_caller_are_parted() -> None:
    """The first is told at once, the next ones one after another, none too late, and others at once."""
    clock = Clock()
    admission = Admission(streams=1, per_minute=0, clock=clock)
    held_s = [admission.held_s("ann") for _ in range(20)]

    assert held_s[:3] == pytest.approx([0, APART_S, 2 * APART_S])
    assert max(held_s) == pytest.approx(AGAIN_S) and held_s == sorted(held_s)
    assert admission.held_s("bob") == 0
    clock.now += AGAIN_S
    assert admission.held_s("ann") == pytest.approx(0, abs=APART_S)


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_no_more_than_the_bucket_and_its_pace(pauses: list[float], per_minute: int) -> None:
    """However requests are spread, as many are let in as the minute has, and what has flowed in since."""
    clock = Clock()
    admission = Admission(streams=0, per_minute=per_minute, clock=clock)
    admitted = 0
    for pause in pauses:
        clock.now += pause
        try:
            with admission.admitted("ann"):
                admitted += 1
        except TooManyRequests as refused:
            clock.now += (refused.retry_after_s or 0) + 1e-6
            with admission.admitted("ann"):
                admitted += 1

    assert admitted <= per_minute + clock.now * per_minute / 60 + 1e-6


def test_an_error_gives_the_place_back() -> None:
    """A request that fails is counted no longer."""
    admission = Admission(streams=1, per_minute=0)
    with pytest.raises(ValueError), admission.admitted("ann"):
        raise ValueError
    with admission.admitted("ann"):
        pass


def test_none_when_it_ends() -> None:
    """A service that ends takes nothing new; what was let in stays counted."""
    admission = Admission(streams=0, per_minute=0)
    with admission.admitted("ann"):
        admission.draining = True
        with pytest.raises(Busy), admission.admitted("bob"):
            pass
        assert admission.active == 1


def test_a_key_has_its_limit_over_http(tiny: Pipeline) -> None:
    """One stream too many is a 429 that says when to come back; another key is served."""
    with serving(tiny, streams_per_key=1) as served, ExitStack() as stack:
        accounts = served.service.accounts
        assert isinstance(accounts, Accounts)
        ann, bob = (f"Bearer {accounts.add_key(name)[1]}" for name in ("ann", "bob"))
        long = {"input": LONG, "response_format": "pcm"}
        stack.enter_context(served.open("POST", "/v1/audio/speech", long, Authorization=ann))
        refused = served.ask("POST", "/v1/audio/speech", {"input": "Hi."}, Authorization=ann)

        assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")
        assert refused.headers["retry-after"] == "1"
        assert served.ask("POST", "/v1/audio/speech", {"input": "Hi."}, Authorization=bob).status == 200


def test_a_full_machine_over_http(tiny: Pipeline) -> None:
    """What can neither be spoken nor wait is a 503, at once, that says when to come back."""
    with serving(tiny, max_active=1, max_queue=0) as served, ExitStack() as stack:
        stack.enter_context(
            served.open("POST", "/v1/audio/speech", {"input": LONG, "response_format": "pcm"})
        )
        refused = served.speak()

        assert (refused.status, refused.error["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert int(refused.headers["retry-after-ms"]) >= 1
