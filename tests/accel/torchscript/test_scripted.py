"""The scripted encoder against the plain one: same weights, same numbers."""

from __future__ import annotations

import inspect

import pytest
import torch

from cosyrt.accel.torchscript.scripted import ScriptedUpsampleConformer
from cosyrt.models.layers import attention_mask, valid_positions
from cosyrt.models.stream_cache import StreamCache
from tests.tiny import flow

ENCODER = flow().encoder
SCRIPTED = ScriptedUpsampleConformer(ENCODER).eval()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def both_rates(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return mask, mask.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)


def test_the_signature_is_upstreams() -> None:
    """Upstream calls the encoder by these names and leaves the others at these values."""
    parameters = inspect.signature(ScriptedUpsampleConformer.forward).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}

    assert list(defaults) == [
        "self",
        "xs",
        "xs_lens",
        "context",
        "decoding_chunk_size",
        "num_decoding_left_chunks",
        "streaming",
    ]
    assert defaults["context"].shape == (0, 0, 0)
    assert (defaults["decoding_chunk_size"], defaults["num_decoding_left_chunks"]) == (0, -1)
    assert defaults["streaming"] is False


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("followed", [False, True])
def test_forward_is_the_plain_encoder(streaming: bool, followed: bool) -> None:
    """Two utterances of different length, whole and chunked, with what follows and without."""
    lengths = torch.tensor([53, 28])
    valid = valid_positions(lengths, 53)
    x, context = draw(2, 53, 32), draw(2, 3, 32)

    expected = ENCODER(
        x, *both_rates(attention_mask(valid, 25 if streaming else None)), context if followed else None
    )
    asked = {"context": context} if followed else {}
    got, mask = SCRIPTED(x, lengths, streaming=streaming, **asked)

    assert torch.allclose(got, expected, atol=1e-6)
    assert mask[:, 0].sum(dim=1).tolist() == [106, 56]


def test_chunks_go_on_where_the_last_stopped() -> None:
    """Chunk by chunk from a list of tensors is what the plain encoder does from its cache."""
    x, theirs, ours, start = draw(1, 78, 32), StreamCache(), [], 0
    for end in (25, 75, 78):
        mask = attention_mask(torch.ones(1, end).bool(), 25, start)
        follows = x[:, end : end + 3]
        expected = ENCODER(x[:, start:end], *both_rates(mask), follows if end < 78 else None, theirs.begin())
        got, ours = SCRIPTED.forward_chunk(x[:, start:end], mask, follows, ours)
        start = end

        assert torch.allclose(got, expected, atol=1e-6)
        assert [slot.shape for slot in ours] == [slot.shape for slot in theirs.slots()]
