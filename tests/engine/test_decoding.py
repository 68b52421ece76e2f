"""The decoder, with a model that wants the tokens that the test says."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from cosyrt.checkpoint.hyperyaml import Tagged
from cosyrt.engine.decoding import (
    Decoder,
    DecodingConfig,
    LanguageModelInput,
    Pause,
    PrefillInput,
    ReadInput,
    StepInput,
    Stops,
)
from cosyrt.models.llm import MARK, SPEECH, START, TASK, TEXT
from tests.engine.scripted import CONFIG, END, FILL, NO_PROMPT, Script, words


@pytest.mark.parametrize("stop", [END, END + 1, END + 2])
def test_every_stop_token_ends_the_utterance(stop: int) -> None:
    """The tokens before any of the three stops are spoken, the stop and what follows are not."""
    assert Script([3, 5, 7, 9, stop, 1]).say(CONFIG, words(2)) == [3, 5, 7, 9]


@pytest.mark.parametrize("stop", [END, END + 1, END + 2])
def test_no_stop_before_the_least(stop: int) -> None:
    """Below two speech tokens a text token no stop is picked, however much it is wanted."""
    assert Script([3, stop]).say(CONFIG, words(3)) == [3] + [END - 1] * 5


def test_at_least_one_token_is_spoken() -> None:
    """A single text token at less than one speech token each still becomes one."""
    assert Script([END]).say(replace(CONFIG, least_per_text=0.8), words(1)) == [END - 1]


def test_the_most_cuts_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Speech without an end is cut at its limit, with one warning and without the text."""
    script = Script([4])
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        assert script.say(replace(CONFIG, most_per_text=7), words(3)) == [4] * 21

    assert caplog.messages == ["speech cut at its limit tokens=21 text_tokens=3"]
    assert script.calls == 22  # the last one could have been the end


@pytest.mark.parametrize("most", [1, 7, 20])
def test_the_end_may_come_right_after_the_most(most: int, caplog: pytest.LogCaptureFixture) -> None:
    """Speech that fills its limit and then ends was not cut: nothing is warned of."""
    config = replace(CONFIG, least_per_text=0.1, most_per_text=most)
    spoken = [*(n % END for n in range(most * 2)), END]

    assert Script(spoken).say(config, words(2)) == spoken[:-1]
    assert Script([*[3, 7] * 20, END]).interleave([100, 101]) == [3, 7] * 20
    assert caplog.messages == []


def test_limits_count_the_text_alone() -> None:
    """The transcript of the prompt adds nothing to the least or the most."""
    prompted = LanguageModelInput([1, 2], [3] * 50, [4] * 100)

    assert len(Script([END]).say(CONFIG, prompted)) == 4
    assert len(Script([5]).say(CONFIG, prompted)) == 40


def test_the_decoder_runs_without_any_stage() -> None:
    """Inputs come in order, each until its token is accepted; text is awaited, and the end is the end."""
    decoder = Decoder(replace(CONFIG, least_per_text=0.1), LanguageModelInput([], [1], [2]))
    assert decoder.next_input() is Pause.AWAITS_TEXT
    decoder.push([5])
    assert decoder.next_input() is Pause.AWAITS_TEXT
    decoder.push([6])
    decoder.end_of_text()

    assert decoder.next_input() is decoder.next_input()
    assert decoder.next_input() == PrefillInput([1, 5, 6], [2], None)
    assert decoder.stops is Stops.NONE
    assert decoder.accept(7) == 7
    assert decoder.next_input() == StepInput(7, 6)
    assert decoder.stops is Stops.ANY
    assert decoder.accept(END) is None
    assert decoder.next_input() is Pause.FINISHED


def test_the_decoder_awaits_text_between_blocks() -> None:
    """Without five text tokens nothing is read; a speech token alone is a step, with text it is a read."""
    decoder = Decoder(replace(CONFIG, block_text=2, block_speech=2), NO_PROMPT, interleaved=True)
    decoder.push([5])
    assert decoder.next_input() is Pause.AWAITS_TEXT
    decoder.push([6, 8])
    assert decoder.next_input() == ReadInput([START, 5, 6], [MARK, TEXT, TEXT], 0)
    assert (decoder.stops, decoder.accept(7)) == (Stops.FILL, 7)
    assert decoder.next_input() == StepInput(7, 3)
    assert decoder.accept(9) == 9
    assert decoder.next_input() is Pause.AWAITS_TEXT
    decoder.end_of_text()
    assert decoder.next_input() == ReadInput([9, 8, TASK], [SPEECH, TEXT, MARK], 4)


def test_settings_come_from_the_description() -> None:
    """The end follows the vocabulary; the two ratios may be missing and are then upstream's."""
    sampling = Tagged("ras_sampling", {"top_p": 0.8, "top_k": 25, "win_size": 10, "tau_r": 0.1}, "name")
    args = {"speech_token_size": END, "sampling": sampling}
    found = DecodingConfig.from_description(args | {"min_token_text_ratio": 1, "max_token_text_ratio": 5})

    assert DecodingConfig.from_description(args) == DecodingConfig(end_token=END, fill_token=END + 2)
    assert (found.least_per_text, found.most_per_text) == (1, 5)


def test_five_and_fifteen() -> None:
    """Start, then blocks of five and fifteen; the rest of the text, the task, and speech to the end."""
    script = Script([7] * 40 + [END])
    spoken = script.interleave(range(100, 112))

    assert spoken == [7] * 40
    assert script.layout() == "m" + ("ttttt" + "s" * 15) * 2 + "ttm" + "s" * 10
    assert [number for kind, number in script.sequence if kind == TEXT] == list(range(100, 112))
    assert [number for kind, number in script.sequence if kind == MARK] == [START, TASK]


def test_the_model_may_ask_for_text_early() -> None:
    """A fill token ends the block; it is not spoken and not read again."""
    script = Script([7, 7, FILL, 7, 7, 7, END])
    spoken = script.interleave(range(100, 106), replace(CONFIG, least_per_text=0.1, block_speech=4))

    assert spoken == [7, 7, 7, 7, 7]
    assert script.layout() == "mtttttss" + "tmsss"
    assert FILL not in [number for kind, number in script.sequence if kind == SPEECH]


def test_no_end_while_there_is_text() -> None:
    """An end that comes before the text's end is not picked; its neighbour is."""
    spoken = Script([END]).interleave(range(100, 105), replace(CONFIG, fill_token=END + 1, block_speech=2))

    assert len(spoken) == 2 + 8  # one block, then the least that five text tokens ask for


def test_the_prompt_comes_in_the_same_blocks() -> None:
    """Transcript and text are one text, the prompt's speech fills its blocks before anything is spoken."""
    script = Script([7] * 30)
    prompt = LanguageModelInput([], [1, 2, 3], list(range(20, 40)))
    first = next(script.drive(Decoder(CONFIG, prompt, interleaved=True), iter(range(100, 120))))

    assert first == 7
    assert script.sequence == [
        (MARK, START),
        *((TEXT, number) for number in (1, 2, 3, 100, 101)),
        *((SPEECH, number) for number in range(20, 35)),
        *((TEXT, number) for number in range(102, 107)),
        *((SPEECH, number) for number in range(35, 40)),
    ]


def test_a_full_last_block_of_the_prompt_is_followed_by_text() -> None:
    """Where the prompt's speech ends with its block, five more text tokens come before speech."""
    script = Script([7] * 20)
    prompt = LanguageModelInput([], [1, 2], [5] * 15)
    next(script.drive(Decoder(CONFIG, prompt, interleaved=True), iter(range(100, 120))))

    assert script.layout() == "mttttt" + "s" * 15 + "ttttt"


def test_a_text_too_short_for_its_prompt_keeps_all_of_it() -> None:
    """Prompt speech that found no text stands behind the task, as in training."""
    script = Script([7, 7, END])
    prompt = LanguageModelInput([], [1, 2, 3], [5] * 40)
    script.interleave([100], replace(CONFIG, least_per_text=0.1), prompt)

    assert script.layout() == "mttttm" + "s" * 40 + "ss"


def test_the_end_is_cut_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Interleaved speech without an end is cut at twenty tokens a text token, with one warning."""
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        assert len(Script([7, 3]).interleave([100, 101])) == 40
    assert caplog.messages == ["speech cut tokens=40 text_tokens=2"]
