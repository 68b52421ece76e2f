"""Stages of a language model: padded prompts, and what the one function under them is given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.engine.language_stages import language_stages, padding_first, valid_of_prompt
from cosyrt.models.kv_cache import KeyValueCache
from cosyrt.models.llm import MARK, SPEECH, START, TEXT
from tests import tiny, tiny1

VALID = torch.tensor(
    [[True, True, True, True, False], [True, False, False, True, True]]
)  # 3 of text, 2 of speech


def test_padding_goes_in_front_and_behind_the_end() -> None:
    """Each row ends with its last valid embedding; positions count the valid ones, then the padding."""
    x = torch.arange(10.0).view(2, 5, 1)
    ordered, positions = padding_first(x, VALID)

    assert ordered[..., 0].tolist() == [[4, 0, 1, 2, 3], [6, 7, 5, 8, 9]]
    assert positions.tolist() == [[4, 0, 1, 2, 3], [3, 4, 0, 1, 2]]


def test_rows_without_padding_stay_in_order() -> None:
    """Where every position is valid nothing is moved."""
    x = torch.randn(2, 5, 3)
    ordered, positions = padding_first(x, torch.ones(2, 5, dtype=torch.bool))

    assert torch.equal(ordered, x)
    assert positions.tolist() == [list(range(5))] * 2


@pytest.mark.parametrize("with_speaker", [False, True])
def test_marks_and_speaker_are_never_padding(with_speaker: bool) -> None:
    """The start, the speaker where there is one, and the task stand between text and speech, always valid."""
    found = valid_of_prompt(VALID, 3, with_speaker).int().tolist()
    first = [1, 1] if with_speaker else [1]

    assert found == [[*first, 1, 1, 1, 1, 1, 0], [*first, 1, 0, 0, 1, 1, 1]]


def test_every_stage_is_one_call_of_the_function() -> None:
    """Embeddings, positions, mask and cache arrive as the contract says; the result is handed on."""
    llm, calls = tiny.language_model(), []

    def forward(x: Tensor, positions: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:
        calls.append((tuple(x.shape), positions.tolist(), mask[:, 0].int().tolist()))
        return x[:, -1]

    stages, cache = language_stages(llm, forward), llm.empty_cache(1, 9)
    text, speech = torch.tensor([[4]]), torch.tensor([[7]])
    last = stages.prefill(text, speech, cache)
    width = tiny.LLM.width

    assert torch.equal(last, llm.speech_embedding(speech)[:, 0])
    stages.step(torch.tensor([7]), torch.tensor([4]), torch.ones(1, 1, 1, 5, dtype=torch.bool), cache)
    kinds = torch.tensor([[MARK, TEXT, SPEECH]])
    stages.read(
        torch.tensor([[START, 4, 7]]), kinds, torch.arange(3)[None], torch.ones(1, 1, 3, 3) > 0, cache
    )
    assert calls == [
        ((1, 4, width), [[0, 1, 2, 3]], [torch.ones(4, 4).tril().int().tolist()]),
        ((1, 1, width), [[4]], [[[1] * 5]]),
        ((1, 3, width), [[0, 1, 2]], [[[1] * 3] * 3]),
    ]


def test_only_cosyvoice_1_is_given_the_speaker() -> None:
    """There it takes a position; to others it may not be given, nor text to CosyVoice 1 while it speaks."""
    speaker, text = torch.ones(1, 192), torch.tensor([[4, 5]])
    shapes: list[tuple[int, ...]] = []

    def forward(x: Tensor, *rest: object) -> Tensor:
        shapes.append(tuple(x.shape[:2]))
        return x[:, -1]

    one, two = tiny1.language_model(), tiny.language_model()
    stages = language_stages(one, forward)
    stages.prefill(text, text[:, :0], one.empty_cache(1, 9), speaker)
    stages.prefill(text, text[:, :0], one.empty_cache(1, 9))

    assert shapes == [(1, 5), (1, 4)]
    with pytest.raises(AssertionError, match="reads the speaker"):
        language_stages(two, forward).prefill(text, text[:, :0], two.empty_cache(1, 9), speaker)
    with pytest.raises(AssertionError, match="reads its text whole"):
        stages.read(text, text, text, text, one.empty_cache(1, 9))
