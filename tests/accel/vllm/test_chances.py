"""The distribution that vLLM picks from is ours."""

from __future__ import annotations

import torch

from cosyrt.accel.vllm.chances import log_chances, window
from cosyrt.engine.sampling import NOTHING, SamplingConfig, distribution

CONFIG = SamplingConfig(top_k=5, window=4, tolerance=0.25)
END = 18  # of 20 tokens, and one place for a choice that failed


def test_it_is_our_distribution() -> None:
    """Repeated tokens hand their probability on, and the place of a failed choice has none."""
    logits = torch.randn(2, 21, generator=torch.Generator().manual_seed(0)) * 3
    likely = int(logits[0, :END].argmax())
    found = log_chances(logits, [[1, likely], []], [0, 0], END, CONFIG)
    recent = torch.tensor([[NOTHING, NOTHING, 1, likely], [NOTHING] * 4])
    ours = distribution(logits[:, :-1].log_softmax(-1), recent, CONFIG)

    assert torch.allclose(found[:, :-1].double().exp(), ours, atol=1e-6)
    assert found[0, likely].exp() < 0.01 < ours[1].max()
    assert (found[:, -1] == -torch.inf).all()


def test_no_stop_comes_too_soon() -> None:
    """Before the least every stop is forbidden, and the rest is what it is without them."""
    logits = torch.zeros(2, 21)
    logits[:, END] = 9.0
    early, late = log_chances(logits, [[1], [1, 2]], [2, 2], END, CONFIG)

    assert (early[END:] == -torch.inf).all() and torch.isclose(early.exp().sum(), torch.tensor(1.0))
    assert late.argmax() == END


def test_logits_that_are_not_finite_pick_the_last_place() -> None:
    """A row of its own: the others of the batch go on."""
    logits = torch.zeros(2, 21)
    logits[0, 3] = torch.nan
    broken, sound = log_chances(logits, [[], []], [0, 0], END, CONFIG)

    assert broken.argmax() == 20 and (broken[:-1] == -torch.inf).all()
    assert torch.isclose(sound.exp().sum(), torch.tensor(1.0)) and sound[-1] == -torch.inf


def test_the_window_is_filled_from_the_right() -> None:
    """Nothing stands where no token was spoken yet."""
    assert window([1, 2, 3], 2) == [2, 3]
    assert window([1], 3) == [NOTHING, NOTHING, 1]
    assert window([], 2) == [NOTHING, NOTHING]
