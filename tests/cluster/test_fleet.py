"""How many replicas there may be."""

from __future__ import annotations

import pytest

from cosyrt.cluster.fleet import Fleet
from cosyrt.errors import UsageError


def test_a_fixed_number() -> None:
    """Without a largest number it stays what it is."""
    assert not Fleet(replicas=2).scales and Fleet(replicas=2).most == 2


def test_a_number_that_follows_the_load() -> None:
    """With one it may grow."""
    fleet = Fleet(replicas=2, max_replicas=5)
    assert fleet.scales and fleet.most == 5


def test_fewer_at_most_than_at_least() -> None:
    """Somebody has mixed them up."""
    with pytest.raises(UsageError, match="fewer than replicas"):
        Fleet(replicas=3, max_replicas=2)
