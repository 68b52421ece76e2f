"""Tokens to mel: what a frame may know, and how many steps a description asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosyrt.checkpoint.hyperyaml import read_description
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.layers import at_mel_rate, attention_mask
from cosyrt.models.solver import begin, euler, fixed_noise, solve
from cosyrt.models.stream_cache import StreamCache
from tests import tiny, tiny3

CHUNK = 10
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def flow() -> Flow:
    return tiny.flow()


def tokens(count: int) -> Tensor:  # [1, S]
    random = torch.Generator().manual_seed(5)
    return torch.randint(tiny.SPEECH_VOCABULARY, (1, 60), generator=random)[:, :count]


def mel(flow: Flow, given: Tensor, chunk: int | None = CHUNK, ahead: Tensor | None = None) -> Tensor:
    """Tokens to mel in one pass without a prompt."""
    valid = torch.ones_like(given).bool()
    mask = attention_mask(valid, chunk)
    mu = flow.encode(given, valid, mask, ahead)
    speaker = flow.speaker(torch.ones(1, 192))
    noise = fixed_noise()[:, :, : mu.shape[2]]
    state = begin(
        noise,
        at_mel_rate(mask, flow.config.encoder.up),
        mu,
        speaker,
        torch.zeros_like(mu),
        solver=euler(4, 0.7),
    )
    return solve(flow.velocity, state)


@pytest.mark.parametrize("more", [1, 7, 20])
def test_frames_left_of_an_edge_stay(flow: Flow, more: int) -> None:
    """With the chunk mask and the look-ahead in place, added tokens change no frame before the boundary."""
    boundary = 2 * CHUNK
    first = mel(flow, tokens(boundary), ahead=tokens(boundary + 3)[:, boundary:])
    longer = mel(flow, tokens(boundary + 3 + more))

    assert first.shape == (1, 80, 2 * boundary)
    torch.testing.assert_close(longer[:, :, : 2 * boundary], first, atol=1e-4, rtol=0)


def test_without_the_look_ahead_they_do_not(flow: Flow) -> None:
    """A chunk boundary whose look-ahead is missing is not final: silence after it sounds otherwise."""
    boundary = 2 * CHUNK
    cut, longer = mel(flow, tokens(boundary)), mel(flow, tokens(boundary + 10))

    assert (cut - longer[:, :, : 2 * boundary]).abs().max() > 1e-3


def test_without_the_mask_all_frames_change(flow: Flow) -> None:
    """Whole utterances see the future: one more token reaches the first frame."""
    one, two = mel(flow, tokens(20), chunk=None), mel(flow, tokens(24), chunk=None)

    assert (one - two[:, :, :40]).abs().amax((0, 1)).min() > 1e-6


def test_padding_tokens_say_nothing(flow: Flow) -> None:
    """A token that is not real is embedded as nothing, whatever its number."""
    valid = torch.tensor([[True] * 6 + [False] * 2])
    given = tokens(8)
    other = given.clone()
    other[:, 6:] = 1

    assert torch.equal(
        flow.encode(given, valid, attention_mask(valid, None)),
        flow.encode(other, valid, attention_mask(valid, None)),
    )


def test_the_speaker_counts_by_direction(flow: Flow) -> None:
    """A speaker vector of another length is the same speaker."""
    vector = torch.randn(2, 192, generator=torch.Generator().manual_seed(6))

    torch.testing.assert_close(flow.speaker(vector * 7), flow.speaker(vector))


@pytest.mark.parametrize(("setting", "steps"), [("", 10), ("n_timesteps: 2", 2)])
def test_a_description_may_ask_for_fewer_steps(setting: str, steps: int, tmp_path: Path) -> None:
    """Upstream's descriptions do not say how many: ten."""
    text = (GOLDEN / "cosyvoice2-small.yaml").read_text("utf-8")
    path = tmp_path / "cosyvoice2.yaml"
    path.write_text(re.sub(r"( +)(inference_cfg_rate: .*)", rf"\1\2\n\1{setting}", text), "utf-8")

    assert FlowConfig.from_description(read_description(path)["flow"].args).steps == steps


def test_the_flow_of_cosyvoice_3_looks_three_tokens_ahead() -> None:
    """Two frames a token, the same for both; a token is heard from three before it to two after it."""
    flow = tiny3.flow()
    tokens = torch.randint(0, tiny3.SPEECH_VOCABULARY, (1, 12), generator=torch.Generator().manual_seed(0))
    valid = torch.ones_like(tokens, dtype=torch.bool)
    changed = tokens.clone()
    changed[0, 6] += 1
    mu, other = (flow.encode(which, valid, attention_mask(valid, None)) for which in (tokens, changed))
    heard = (mu - other).abs().amax((0, 1)) > 0

    assert torch.equal(mu[:, :, 0::2], mu[:, :, 1::2])
    assert heard.nonzero().flatten().tolist() == list(range(2 * 3, 2 * 9))


def test_chunks_of_cosyvoice_3_with_their_look_ahead_are_one_pass() -> None:
    """With what follows and a cache of what came before, parts of the tokens give the whole mu."""
    flow, cache = tiny3.flow(), StreamCache()
    tokens = torch.randint(0, tiny3.SPEECH_VOCABULARY, (1, 12), generator=torch.Generator().manual_seed(0))
    valid = torch.ones_like(tokens, dtype=torch.bool)
    mask = attention_mask(valid, None)
    parts = [
        flow.encode(
            tokens[:, start:end],
            valid[:, start:end],
            mask,
            tokens[:, end : end + 3] if end < 12 else None,
            cache.begin(),
        )
        for start, end in ((0, 5), (5, 9), (9, 12))
    ]

    torch.testing.assert_close(torch.cat(parts, dim=2), flow.encode(tokens, valid, mask))
