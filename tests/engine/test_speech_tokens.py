"""The loop around the language model, with a model that wants the tokens that the test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.engine.decoding import Decoder, LanguageModelInput, ReadInput, StepInput, Stops, complete
from cosyrt.engine.sampling import SamplingConfig
from cosyrt.engine.speech_tokens import LanguageModelReader, allowed
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.models.llm import MARK, SPEECH, START, TEXT
from tests.engine.scripted import CONFIG, CPU, END, NO_PROMPT, Script, words


def test_nothing_runs_before_a_token_is_wanted() -> None:
    """The model works only as far as the reader reads."""
    script = Script([1, 2, 3])
    tokens = script.drive(complete(CONFIG, words(2)))

    assert script.calls == 0
    assert [next(tokens), next(tokens)] == [1, 2]
    assert script.calls == 2


def test_repetitions_are_drawn_again() -> None:
    """With upstream's tolerance a token that has just been said gives way to another."""
    spoken = Script([4]).say(replace(CONFIG, sampling=SamplingConfig(), most_per_text=10), words(1))

    assert spoken[0] == 4
    assert spoken[1] != 4


def test_only_stops_are_masked() -> None:
    """Speech tokens keep their log-probabilities, each row has its own mask; with none nothing is copied."""
    logp = torch.arange(13.0).repeat(3, 1)
    found = allowed(logp, [Stops.ANY, Stops.NONE, Stops.FILL], CONFIG)
    no = [float("-inf")]

    assert torch.equal(found[0], logp[0])
    assert found[1].tolist() == [*map(float, range(10)), *no * 3]
    assert found[2].tolist() == [*map(float, range(10)), *no * 2, 12.0]
    assert allowed(logp, [Stops.ANY] * 3, CONFIG) is logp


def test_text_is_asked_for_when_it_is_needed() -> None:
    """The first speech token needs five text tokens and no more; closing leaves the rest unread."""
    asked: list[int] = []

    def text() -> Iterator[int]:
        for number in range(100, 200):
            asked.append(number)
            yield number

    speech = Script([7] * 100).drive(Decoder(CONFIG, NO_PROMPT, interleaved=True), text())

    assert asked == []
    assert next(speech) == 7
    assert asked == [100, 101, 102, 103, 104]


def test_log_probabilities_that_are_not_numbers_are_an_error() -> None:
    """NaN of the language model is a SpeechError: with complete text, in a block and behind the text."""
    with pytest.raises(SpeechError, match="not finite"):
        Script([7, -1]).say(CONFIG, words(3))
    for count in (3, 8):
        with pytest.raises(SpeechError, match="not finite"):
            Script([7, -1]).interleave(range(count))


def reading(numbers: Sequence[int], kinds: Sequence[int], parts: Sequence[int], stages: Stages) -> Tensor:
    """Log-probabilities after the last of the numbers, read in parts of these sizes."""
    reader, start = LanguageModelReader(stages, CPU), 0
    for part in parts:
        end = start + part
        logp = reader.read(ReadInput(list(numbers[start:end]), list(kinds[start:end]), start))
        start = end
    return logp


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_reading_in_parts_is_reading_at_once(stages: Stages, parts: list[int]) -> None:
    """The cache holds what was read: text and speech in any portions give the numbers of one pass."""
    total = sum(parts)
    numbers = [START, *(index % 7 for index in range(total))]
    kinds = [MARK, *((TEXT, SPEECH)[index % 2] for index in range(total))]
    whole = reading(numbers, kinds, [total + 1], stages)

    assert torch.allclose(reading(numbers, kinds, [1, *parts], stages), whole, atol=1e-4)


def test_a_step_is_a_read_of_one_speech_token(stages: Stages) -> None:
    """Both stages give the same numbers, so that a single token may take the faster one."""
    readers = [LanguageModelReader(stages, CPU), LanguageModelReader(stages, CPU)]
    for reader in readers:
        reader.read(ReadInput([START, 4, 5], [MARK, TEXT, TEXT], 0))
    step = readers[0].read(StepInput(7, 3))

    assert torch.allclose(step, readers[1].read(ReadInput([7], [SPEECH], 3)), atol=1e-5)


def test_the_cache_grows(stages: Stages) -> None:
    """With room for two positions at first the numbers are those of a large cache."""
    wide, narrow = LanguageModelReader(stages, CPU), LanguageModelReader(stages, CPU, positions=2)
    for at in range(9):
        given = ReadInput([START, at], [MARK, TEXT], 2 * at)
        assert torch.allclose(wide.read(given), narrow.read(given), atol=1e-5)
    assert narrow.cache is not None and wide.cache is not None
    assert narrow.cache.positions < wide.cache.positions


def test_what_the_model_is_asked() -> None:
    """The model reads transcript, text and prompt once, then its own tokens one by one, each at its place."""
    script = Script([6, 7, 8, END])
    script.say(replace(CONFIG, least_per_text=0.5), LanguageModelInput([1, 2], [3, 4, 5], [8, 9]))

    assert script.asked == [
        {"text": [[3, 4, 5, 1, 2]], "speech": [[8, 9]]},
        {"token": 6, "position": 9},
        {"token": 7, "position": 10},
        {"token": 8, "position": 11},
    ]
    assert script.positions == 9 + 40
