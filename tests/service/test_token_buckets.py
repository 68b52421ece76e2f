"""Token buckets: never more than the pace allows, and nobody pays for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.service.token_buckets import TokenBuckets


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(per_minute=st.integers(1, 600), pauses=st.lists(st.floats(0, 120), max_size=60))
def test_no_more_than_a_full_bucket_and_its_pace(per_minute: int, pauses: list[float]) -> None:
    """However requests are spread, so many pass and no more; the wait that is told is enough."""
    time = Time()
    buckets = TokenBuckets(per_minute, clock=time)
    taken = 0
    for pause in pauses:
        time.now += pause
        wait_s = buckets.take("a")
        taken += wait_s == 0
        assert taken <= per_minute + time.now * per_minute / 60 + 1e-6
        if wait_s:
            time.now += wait_s + 1e-9
            assert buckets.wait_s("a") <= 1e-6


def test_each_key_has_its_own() -> None:
    """One that is empty leaves the others alone; the one that was used longest ago is forgotten."""
    buckets = TokenBuckets(1, most=2, clock=Time())
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(60)
    assert buckets.take("b") == buckets.take("c") == 0
    assert buckets.take("a") == 0
