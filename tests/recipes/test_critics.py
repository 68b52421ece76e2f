"""Critics of made sound."""

from __future__ import annotations

import pytest
import torch

from recipes.builtin_voice.critics import (
    PERIODS,
    RESOLUTIONS,
    Critics,
    PeriodCritic,
    critic_loss,
    feature_distance,
    fooling_loss,
)


@pytest.fixture
def critics() -> Critics:
    torch.manual_seed(0)
    return Critics()


def test_each_period_and_each_resolution_has_a_verdict(critics: Critics) -> None:
    """For every sound of the batch, whatever its length."""
    found = critics(torch.randn(2, 4_001))
    assert len(found) == len(PERIODS) + len(RESOLUTIONS)
    assert all(len(layers) > 3 for layers in found)
    assert [len(layers[-1]) for layers in found[: len(PERIODS)]] == [2 * period for period in PERIODS]


def test_a_panel_judges_as_its_critics_do_among_all(critics: Critics) -> None:
    """In the order of the panel, the first critic of all included."""
    sound = torch.randn(1, 3_000)
    every = critics(sound)
    for number, layers in zip((6, 0), critics(sound, [6, 0]), strict=True):
        torch.testing.assert_close(layers, every[number])
    torch.testing.assert_close(critics(sound, [0])[0], every[0])


def test_a_period_is_seen_one_row_at_a_time() -> None:
    """A change of every third sample is seen in one row of three."""
    critic = PeriodCritic(3)
    sound = torch.randn(1, 3_000, generator=torch.manual_seed(0))
    changed = sound.clone()
    changed[:, 1::3] += 1
    one, other = critic(sound)[-1], critic(changed)[-1]
    torch.testing.assert_close(one[[0, 2]], other[[0, 2]])
    assert (one[1] - other[1]).abs().max() > 1e-4


def test_losses_are_those_of_least_squares() -> None:
    """A critic that is right has none, one that is fooled leaves none to the vocoder."""
    right, wrong = [[torch.ones(1)]], [[torch.zeros(1)]]
    assert float(critic_loss(right, wrong)) == 0
    assert float(critic_loss(wrong, right)) == 2
    assert (float(fooling_loss(right)), float(fooling_loss(wrong))) == (0, 1)


def test_the_same_sound_has_the_same_features(critics: Critics) -> None:
    """No distance to itself, some to another, and it does not move the critics' idea of the truth."""
    sound, other = torch.randn(2, 1, 3_000, generator=torch.manual_seed(0))
    true = critics(sound)
    assert float(feature_distance(true, critics(sound)).detach()) == 0
    assert float(feature_distance(true, critics(other)).detach()) > 1
