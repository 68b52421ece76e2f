"""Memory, threads, and work that is too small: what the experiments decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosyrt.lab.doctor.hardware import memory_spill, threads, tiny_share
from cosyrt.lab.doctor.setup import Setup
from tests.lab.doctor.injected import Clock, Injector, SpillingCard, with_stage


class RoomyCard(SpillingCard):
    free_mb = 2048.0


class RefusingCard(SpillingCard):
    def copy_rates(self, blocks: int) -> list[float]:
        return [90.0, 90.0]


def test_memory_spills_where_copies_become_slow(healthy: Setup) -> None:
    """The finding says after how much more; with room to speak, or a driver that refuses, nothing spills."""
    found = {kind: memory_spill(replace(healthy, card=kind())) for kind in (RoomyCard, RefusingCard)}
    spilled = memory_spill(replace(healthy, card=SpillingCard()))

    assert "until 128 MB more are taken, then at 6.0 GB/s" in spilled.experiment
    assert {each.status for each in found.values()} == {"ruled out"}
    assert "refused" in found[RefusingCard].seen


@pytest.fixture
def crowded(healthy: Setup, request: pytest.FixtureRequest) -> Setup:
    """Two threads, one core, and the encoder is most of the work."""
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    torch.set_num_threads(2)
    return replace(healthy, cores=1, shares={**healthy.shares, "encode": 5.0})


@pytest.mark.parametrize(("alone_s", "status"), [(2.0, "ruled out"), (1.0, "suspected"), (0.5, "confirmed")])
def test_threads_are_judged_by_pairs(crowded: Setup, clock: Clock, alone_s: float, status: str) -> None:
    """Fewer threads that are slower rule it out; where they are as fast it stays a suspicion."""
    use = Injector(clock, {}, None, None, None)  # type: ignore[arg-type]
    encode = use.costs(crowded.stages.encode, lambda _: 1.0 if torch.get_num_threads() > 1 else alone_s)

    assert threads(with_stage(crowded, "encode", encode)).status == status
    assert torch.get_num_threads() == 2


def test_the_share_decides_and_not_the_part(healthy: Setup) -> None:
    """A changed encoder is a cause at 1 % of the work and none at 25 %."""
    changed = with_stage(healthy, "encode", lambda *args: healthy.stages.encode(*args))
    tiny = replace(changed, shares={**healthy.shares, "encode": 0.03})

    assert tiny_share(changed).status == "ruled out"
    assert "1.0% of the work" in tiny_share(tiny).seen
    assert "1.010 times" in tiny_share(tiny).experiment


def test_a_model_that_takes_no_time_has_no_shares(healthy: Setup) -> None:
    """Nothing is divided by zero."""
    setup = replace(healthy, shares=dict.fromkeys(healthy.shares, 0.0))

    assert setup.share("llm") == 0
    assert tiny_share(setup).status == "ruled out"
