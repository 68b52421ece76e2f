"""The scripted encoders of CosyVoice 1 against the plain ones, as upstream calls them."""

from __future__ import annotations

import inspect

import pytest
import torch

from cosyrt.accel.torchscript.cosyvoice1 import as_upstream
from cosyrt.accel.torchscript.scripted_transformer import ScriptedConformer, ScriptedTransformer
from cosyrt.models.layers import attention_mask, valid_positions
from tests.tiny1 import language_model

LM = language_model()
SCRIPTED = ScriptedTransformer(LM.llm).eval()
NOTHING = torch.zeros(0, 0, 0, 0)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def before(start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    positions = torch.arange(start, end)
    return positions[None], (torch.arange(end) <= positions[:, None])[None, None]


def test_the_signatures_are_upstreams() -> None:
    """Upstream calls them by these names."""
    chunk = list(inspect.signature(ScriptedTransformer.forward_chunk).parameters)
    whole = list(inspect.signature(ScriptedConformer.forward).parameters)

    assert chunk == [
        "self",
        "xs",
        "offset",
        "required_cache_size",
        "att_cache",
        "cnn_cache",
        "att_mask",
    ]
    assert whole == ["self", "xs", "xs_lens", "decoding_chunk_size", "num_decoding_left_chunks"]


@pytest.mark.parametrize("chunk", [None, 1])
def test_a_conformer_hears_all_or_what_was_before(chunk: int | None) -> None:
    """Two texts of different length: the same numbers as the plain one, and the mask of what is real."""
    lengths, inputs = torch.tensor([19, 8]), LM.config.text.inputs
    x, valid = draw(2, 19, inputs), valid_positions(lengths, 19)
    y, mask = ScriptedConformer(LM.text_encoder, chunk)(x, lengths, 1, -1)

    assert torch.allclose(y, LM.text_encoder(x, attention_mask(valid, chunk)), atol=1e-5)
    assert torch.equal(mask[:, 0], valid)


def test_the_language_model_read_whole() -> None:
    """`forward`: each position hears those before it."""
    x = draw(1, 30, LM.config.speech.inputs)
    y, _ = SCRIPTED(x, torch.tensor([30]))

    assert torch.allclose(y, LM.llm(x, *before(0, 30), LM.empty_cache(1, 30)), atol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
def test_token_by_token_as_upstream_does(masked: bool) -> None:
    """`forward_chunk`: a prompt, then tokens; a mask of one token, or none at all, shows all."""
    x = draw(1, 12, LM.config.speech.inputs)
    cache, theirs, cnn = LM.empty_cache(1, 12), NOTHING, NOTHING
    for start, end in ((0, 9), (9, 10), (10, 11), (11, 12)):
        count = end - start
        mask = {"att_mask": torch.ones(1, count, count).tril().bool()} if masked or start == 0 else {}
        y, theirs, cnn = SCRIPTED.forward_chunk(x[:, start:end], start, -1, theirs, cnn, **mask)

        assert torch.allclose(y, LM.llm(x[:, start:end], *before(start, end), cache), atol=1e-5)
        assert torch.allclose(theirs, as_upstream(cache, end), atol=1e-5)
    assert cnn.shape == (LM.config.speech.layers, 0, 0, 0)


def test_upstreams_cache_may_be_cut() -> None:
    """A `required_cache_size` of zero or more keeps that many positions."""
    x = draw(1, 9, LM.config.speech.inputs)
    kept = [SCRIPTED.forward_chunk(x, 0, size, NOTHING, NOTHING)[1] for size in (-1, 4, 0, 20)]

    assert [cache.shape[2] for cache in kept] == [9, 4, 0, 9]
    assert torch.equal(kept[1], kept[0][:, :, 5:])


def test_a_step_writes_to_the_cache_it_is_given() -> None:
    """`step` is the plain model's way, in place; a cache of more precision than the weights stays so."""
    x = draw(1, 5, LM.config.speech.inputs)
    theirs, ours = LM.empty_cache(1, 8), LM.empty_cache(1, 8)
    for start, end in ((0, 4), (4, 5)):
        expected = LM.llm(x[:, start:end], *before(start, end), theirs)
        y, *kept = SCRIPTED.step(x[:, start:end], *before(start, end), *ours)

        assert torch.allclose(y, expected, atol=1e-5)
        assert all(a is b for a, b in zip(kept, ours, strict=True))
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))
