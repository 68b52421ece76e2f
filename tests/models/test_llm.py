"""The language model: cache, batch, grouped heads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cosyrt.models.kv_cache import PlainCache
from cosyrt.models.llm import (
    MARK,
    SHARED_ROWS,
    SPEECH,
    START,
    STOP_TOKENS,
    TASK,
    TEXT,
    SpeechLanguageModel,
)
from tests import tiny, tiny3

TOLERANCE = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture(scope="module")
def model() -> SpeechLanguageModel:
    return tiny.language_model()


def inputs(batch: int, positions: int, seed: int = 0) -> Tensor:  # [B, T, D]
    return torch.randn(batch, positions, tiny.LLM.width, generator=torch.Generator().manual_seed(seed))


def whole(model: SpeechLanguageModel, x: Tensor) -> Tensor:  # [B, T, V]
    """Log-probabilities after every position, in one pass without a cache."""
    hidden = model.backbone(x, torch.arange(x.shape[1]).expand(x.shape[0], -1))
    logp: Tensor = model.llm_decoder(hidden).log_softmax(-1)
    return logp


def prefill(model: SpeechLanguageModel, x: Tensor, cache: PlainCache) -> Tensor:  # [B, V]
    length = x.shape[1]
    mask = torch.ones(length, length, dtype=torch.bool).tril().expand(x.shape[0], 1, -1, -1)
    logp: Tensor = model(x, torch.arange(length).expand(x.shape[0], -1), mask, cache)
    return logp


def step(model: SpeechLanguageModel, x: Tensor, positions: list[int], cache: PlainCache) -> Tensor:  # [B, V]
    """One position for each sequence, wherever it stands; it sees its own past alone."""
    at = torch.tensor(positions)[:, None]
    mask = (torch.arange(max(positions) + 1) <= at)[:, None, None]
    logp: Tensor = model(x, at, mask, cache)
    return logp


@pytest.mark.parametrize("first", [1, 7, 11])
def test_step_by_step_is_one_pass(model: SpeechLanguageModel, first: int) -> None:
    """A prompt of any length, then one position at a time through the cache: the numbers of one pass."""
    x = inputs(1, 12)
    cache = model.empty_cache(1, 20)
    rows = [prefill(model, x[:, :first], cache)]
    rows += [step(model, x[:, at : at + 1], [at], cache) for at in range(first, 12)]

    torch.testing.assert_close(torch.stack(rows, dim=1), whole(model, x)[:, first - 1 :], **TOLERANCE)


def test_what_the_cache_held_before_does_not_matter(model: SpeechLanguageModel) -> None:
    """Positions that were never written, or are left from another utterance, are not seen."""
    x = inputs(1, 6)
    cache = model.empty_cache(1, 9)
    for part in cache.tensors():
        part.fill_(1e6)
    prefill(model, x[:, :5], cache)

    torch.testing.assert_close(step(model, x[:, 5:], [5], cache), whole(model, x)[:, -1], **TOLERANCE)


def test_a_batch_is_each_alone(model: SpeechLanguageModel) -> None:
    """Two sequences prefilled together give what each gives alone."""
    x = inputs(2, 9)
    together = prefill(model, x, model.empty_cache(2, 9))

    torch.testing.assert_close(together, whole(model, x)[:, -1], **TOLERANCE)


def test_sequences_of_a_batch_may_stand_elsewhere(model: SpeechLanguageModel) -> None:
    """Two sequences of different lengths step together, each at its own place, as each alone."""
    lengths, xs = (9, 4), (inputs(1, 12, seed=1), inputs(1, 7, seed=2))
    cache = model.empty_cache(2, 12)
    for row, (length, x) in enumerate(zip(lengths, xs, strict=True)):
        own = cache.row(row)
        prefill(model, x[:, :length], own)
    for count in range(3):
        places = [length + count for length in lengths]
        now = torch.cat([x[:, place : place + 1] for x, place in zip(xs, places, strict=True)])
        logp = step(model, now, places, cache)
        for row, (x, place) in enumerate(zip(xs, places, strict=True)):
            torch.testing.assert_close(logp[row], whole(model, x)[0, place], **TOLERANCE)


def test_grouped_heads_share_keys_and_values(model: SpeechLanguageModel) -> None:
    """A model with a key and value head for each query head, written out twice, gives the same numbers."""
    shared = tiny.LLM.heads // tiny.LLM.kv_heads
    wide = SpeechLanguageModel(replace(tiny.LLM, kv_heads=tiny.LLM.heads)).requires_grad_(False)

    def written_out(key: str, value: Tensor) -> Tensor:
        if "k_proj" not in key and "v_proj" not in key:
            return value
        heads = value.unflatten(0, (tiny.LLM.kv_heads, tiny.LLM.head_width))
        return heads.repeat_interleave(shared, dim=0).flatten(0, 1)

    wide.load_state_dict({key: written_out(key, value) for key, value in model.state_dict().items()})
    x = inputs(2, 9)

    assert shared == 2
    torch.testing.assert_close(whole(wide, x), whole(model, x), **TOLERANCE)


def test_positions_count_by_their_distance(model: SpeechLanguageModel) -> None:
    """Rotary positions: moved along by 100 the numbers stay; with other distances they change."""
    x = inputs(1, 6)
    at = torch.arange(6)[None]
    moved, spread = model.backbone(x, at + 100), model.backbone(x, at * 3)

    torch.testing.assert_close(moved, model.backbone(x, at), atol=1e-4, rtol=0)
    assert (spread - moved).abs().max() > 1e-2


def test_the_order_of_the_prompt(model: SpeechLanguageModel) -> None:
    """Start, text, task, speech; without a speech prompt the task mark is last."""
    text, speech = torch.tensor([[5, 6]]), torch.tensor([[7, 8, 9]])
    prompt = model.prompt(text, speech)[0]
    start, task = model.llm_embedding.weight

    assert torch.equal(prompt[0], start)
    assert torch.equal(prompt[1:3], model.backbone.embed_tokens(text)[0])
    assert torch.equal(prompt[3], task)
    assert torch.equal(prompt[4:], model.speech_embedding(speech)[0])
    assert torch.equal(model.prompt(text, speech[:, :0])[0], prompt[:4])


def test_a_mixed_sequence_in_the_usual_order_is_the_usual_prompt(model: SpeechLanguageModel) -> None:
    """Start, text, task, speech by their kinds have the embeddings of `prompt`."""
    numbers = torch.tensor([[START, 4, 5, 6, TASK, 2, 3]])
    kinds = torch.tensor([[MARK, TEXT, TEXT, TEXT, MARK, SPEECH, SPEECH]])
    usual = model.prompt(numbers[:, 1:4], numbers[:, 5:])

    assert torch.equal(model.mixed(numbers, kinds), usual)


def test_the_vocabulary_ends_with_the_stops(model: SpeechLanguageModel) -> None:
    """Log-probabilities, one a speech token and one a stop, that sum to one."""
    logp = prefill(model, inputs(1, 3), model.empty_cache(1, 3))

    assert logp.shape == (1, tiny.SPEECH_VOCABULARY + STOP_TOKENS)
    assert tiny.LLM.end_token == tiny.SPEECH_VOCABULARY
    assert float(logp.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_the_cache_has_room_for_what_was_asked(model: SpeechLanguageModel) -> None:
    """Layers, batch, key heads, positions, head width."""
    cache = model.empty_cache(3, 17)

    assert cache.keys.shape == cache.values.shape == (2, 3, 2, 17, 8)
    assert (cache.rows, cache.positions) == (3, 17)


def test_the_marks_of_cosyvoice_3_are_speech_rows() -> None:
    """Start, end, task and fill are the first four rows after the speech tokens; the head has no bias."""
    model = tiny3.language_model()
    first, rows = tiny3.LLM.speech_vocabulary, model.speech_embedding.weight
    prompt = model.prompt(torch.tensor([[5, 6]]), torch.tensor([[7]]))
    kinds = torch.tensor([[MARK, TEXT, TEXT, MARK, SPEECH]])
    mixed = model.mixed(torch.tensor([[START, 5, 6, TASK, 7]]), kinds)

    assert torch.equal(prompt[0, [0, 3, 4]], rows[[first, first + 2, 7]])
    assert torch.equal(mixed, prompt)
    assert len(rows) == model.llm_decoder.out_features == first + SHARED_ROWS
    assert model.llm_decoder.bias is None
    assert model.llm_embedding is None
