"""The language model of CosyVoice 1: its cache, a batch, what it hears."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.models.conformer import distances
from cosyrt.models.transformer_lm import RelativeCache, TransformerLM
from tests import tiny1

TOLERANCE = {"atol": 1e-5, "rtol": 0.0}
TEXT = torch.tensor([[3, 270, 80, 81, 1500]])
SPEECH = torch.tensor([[7, 3999, 0]])


@pytest.fixture(scope="module")
def model() -> TransformerLM:
    return tiny1.language_model()


def inputs(batch: int, positions: int, seed: int = 0) -> Tensor:  # [B, T, D]
    size = tiny1.LLM.speech.inputs
    return torch.randn(batch, positions, size, generator=torch.Generator().manual_seed(seed))


def whole(model: TransformerLM, x: Tensor) -> Tensor:  # [B, T, V]
    """After every position, in one pass: every layer shifts a table of all distances, as upstream does."""
    x, length = model.llm.embed(x), x.shape[1]
    mask = torch.ones(length, length, dtype=torch.bool).tril().expand(x.shape[0], 1, -1, -1)
    table = distances(length, length, x.shape[2], x)
    for layer in model.llm.encoders:
        x = x + layer.self_attn(layer.norm1(x), mask, table)
        x = x + layer.feed_forward(layer.norm2(x))
    logp: Tensor = model.llm_decoder(model.llm.after_norm(x)).log_softmax(-1)
    return logp


def prefill(model: TransformerLM, x: Tensor, cache: RelativeCache) -> Tensor:  # [B, V]
    length = x.shape[1]
    mask = torch.ones(length, length, dtype=torch.bool).tril().expand(x.shape[0], 1, -1, -1)
    logp: Tensor = model(x, torch.arange(length).expand(x.shape[0], -1), mask, cache)
    return logp


def step(model: TransformerLM, x: Tensor, positions: list[int], cache: RelativeCache) -> Tensor:  # [B, V]
    """One position for each sequence, wherever it stands; it sees its own past alone."""
    at = torch.tensor(positions)[:, None]
    mask = (torch.arange(max(positions) + 1) <= at)[:, None, None]
    logp: Tensor = model(x, at, mask, cache)
    return logp


@pytest.mark.parametrize("first", [1, 7, 11])
def test_step_by_step_is_one_pass(model: TransformerLM, first: int) -> None:
    """A prompt of any length, then one position at a time through the cache: the numbers of one pass."""
    x, cache = inputs(1, 12), model.empty_cache(1, 20)
    steps = [prefill(model, x[:, :first], cache)]
    steps += [step(model, x[:, [at]], [at], cache) for at in range(first, 12)]

    torch.testing.assert_close(torch.stack(steps, 1), whole(model, x)[:, first - 1 :], **TOLERANCE)


def test_sequences_of_a_batch_stand_where_they_like(model: TransformerLM) -> None:
    """Two sequences of different lengths, stepped together, are each what they are alone."""
    x, shared = inputs(2, 10), model.empty_cache(2, 12)
    prefill(model, x[:, :8], shared)
    alone = []
    for row, at in ((0, 8), (1, 4)):
        cache = model.empty_cache(1, 12)
        prefill(model, x[[row], :at], cache)
        alone.append(step(model, x[[row], 9:], [at], cache))

    torch.testing.assert_close(step(model, x[:, 9:], [8, 4], shared), torch.cat(alone), **TOLERANCE)


def test_the_order_of_the_past_counts(model: TransformerLM) -> None:
    """Positions in reverse order give other numbers: distances reach the result."""
    x = inputs(1, 6)
    turned = torch.cat([x[:, :5].flip(1), x[:, 5:]], dim=1)
    one, other = (prefill(model, y, model.empty_cache(1, 6)) for y in (x, turned))

    assert (one - other).abs().max() > 1e-2


def test_the_speaker_takes_a_place(model: TransformerLM) -> None:
    """The prompt is start, speaker, text, task, speech; without a speaker it is one shorter."""
    speaker = torch.randn(1, 192, generator=torch.Generator().manual_seed(1))
    heard, unheard = model.prompt(TEXT, SPEECH, speaker), model.prompt(TEXT, SPEECH)

    assert heard.shape[1] == unheard.shape[1] + 1 == 1 + 1 + 5 + 1 + 3
    assert torch.equal(torch.cat([heard[:, :1], heard[:, 2:]], dim=1), unheard)
    torch.testing.assert_close(model.prompt(TEXT, SPEECH, 9 * speaker), heard, **TOLERANCE)


def test_a_word_hears_those_before_it(model: TransformerLM) -> None:
    """The text encoder is causal: later words change nothing, earlier ones do."""
    later, earlier = TEXT.clone(), TEXT.clone()
    later[0, 4], earlier[0, 0] = 9, 9
    heard = model.read_text(TEXT)

    assert torch.equal(model.read_text(later)[:, :4], heard[:, :4])
    assert not torch.allclose(model.read_text(earlier)[:, 1:], heard[:, 1:], atol=1e-4)
