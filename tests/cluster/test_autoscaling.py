"""As many replicas as the audio that is asked for needs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cosyrt.cluster.autoscaling import TARGET, USED, replicas_needed, used_share


def context(*shares: float) -> SimpleNamespace:
    """What Ray Serve tells a policy, as far as it is read."""
    metrics = {USED: {f"replica {number}": share for number, share in enumerate(shares)}} if shares else {}
    return SimpleNamespace(aggregated_metrics=metrics, current_num_replicas=3)


def test_the_share_of_a_replica() -> None:
    """Four listeners want four seconds of audio a second; at a fifth of a second of work each that is 0.8."""
    assert used_share(4, busy_s=2.0, audio_s=10.0) == pytest.approx(0.8)
    assert used_share(4, busy_s=0.0, audio_s=0.0) == 0.0


@pytest.mark.parametrize(("shares", "needed"), [((TARGET,), 1.0), ((1.4, 1.4), 4.0), ((0.0, 0.0), 0.0)])
def test_replicas_that_are_needed(shares: tuple[float, ...], needed: float) -> None:
    """Together they are used to the target; the least and the most are for Ray Serve to hold."""
    assert replicas_needed(context(*shares))[0] == pytest.approx(needed)


def test_nothing_is_known_yet() -> None:
    """Then the number stays what it is."""
    assert replicas_needed(context())[0] == 3
