"""The loop around the language model, with a model that wants the tokens that the test says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cosyrt.engine.decoding import Decoder, LanguageModelInput, complete
from cosyrt.engine.sampling import SamplingConfig
from cosyrt.errors import SpeechError
from tests.engine.scripted import CONFIG, END, NO_PROMPT, Script, words


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
