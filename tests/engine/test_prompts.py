"""Prompts: the language model's input beside the words, in every mode of every family."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.engine.prompts import (
    END_OF_PROMPT,
    LONGEST_OPENING,
    Prompt,
    prompt_of,
    split_arriving_instruction,
    split_instruction,
)
from cosyrt.engine.request import SpeakingStyle
from cosyrt.errors import UsageError
from cosyrt.families import SYSTEM_PROMPT
from cosyrt.voice.voice import Voice
from tests.engine.pipelines import prompted

MARK = 7
FAMILIES = ("cosyvoice", "cosyvoice2", "cosyvoice3")
OPENING = SYSTEM_PROMPT + END_OF_PROMPT


def encode(text: str) -> list[int]:
    """A character is its number, the tag is one token."""
    parts = re.split(f"({re.escape(END_OF_PROMPT)})", text)
    return [code for part in parts for code in ([MARK] if part == END_OF_PROMPT else map(ord, part))]


def decode(tokens: list[int]) -> str:
    return "".join(END_OF_PROMPT if token == MARK else chr(token) for token in tokens)


def preset(family: str) -> Voice:
    return prompted(family=family, text="", speech_tokens=np.zeros(0), mel=np.zeros((0, 80)))


def read(voice: Voice, **style: object) -> tuple[str, int]:
    """The text and the number of speech tokens that the language model is given."""
    prompt = prompt_of(voice, SpeakingStyle(**style), encode)  # type: ignore[arg-type]
    return decode(prompt.text), len(prompt.speech)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_modes(family: str) -> None:
    """Preset, zero-shot, cross-lingual and instruction, as upstream's front end makes them."""
    voice, opening = prompted(family=family), OPENING if family == "cosyvoice3" else ""
    told = f"{SYSTEM_PROMPT} Softly." if family == "cosyvoice3" else "Softly."

    assert read(preset(family)) == (opening, 0)
    assert read(voice) == (opening + "Good day.", 31)
    assert read(voice, cross_lingual=True) == (opening, 0)
    assert read(voice, instruction="Softly.") == (told + END_OF_PROMPT, 0)
    assert read(preset(family), instruction="Softly.") == (told + END_OF_PROMPT, 0)
    assert read(voice, instruction="Softly.", cross_lingual=True) == (told + END_OF_PROMPT, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_instruction_as_upstreams_scripts_write_it(family: str) -> None:
    """With the mark at its end an instruction is given as it was written, once."""
    told = "You are a helpful assistant. 请用广东话表达。<|endofprompt|>"

    assert read(prompted(family=family), instruction=told) == (told, 0)


def test_a_transcript_as_upstreams_scripts_write_it() -> None:
    """CosyVoice 3's opening in a transcript is not doubled; alone it is no transcript."""
    written = prompted(family="cosyvoice3", text="Be kind.<|endofprompt|>Good day.")
    empty = prompted(family="cosyvoice3", text=OPENING)

    assert read(written) == ("Be kind.<|endofprompt|>Good day.", 31)
    assert read(written, cross_lingual=True) == ("Be kind.<|endofprompt|>", 0)
    assert read(empty) == (OPENING, 0)


def test_words_and_speech_of_a_voice_go_together() -> None:
    """Words without speech would be spoken, speech without words would be continued: neither is given."""
    assert read(prompted(text="")) == ("", 0)
    assert read(prompted(speech_tokens=np.zeros(0), mel=np.zeros((0, 80)))) == ("", 0)


def test_a_transcript_is_read_as_it_is_spoken() -> None:
    """The numbers of a transcript are words."""
    assert read(prompted(text="Room 12")) == ("Room twelve.", 31)


def test_the_speaker_is_not_heard_with_an_instruction() -> None:
    """CosyVoice 1: the speaker vector would tell the voice's own style."""
    for style, heard in ((SpeakingStyle(), True), (SpeakingStyle(instruction="Softly."), False)):
        assert prompt_of(prompted(family="cosyvoice"), style, encode).with_speaker is heard


@pytest.mark.parametrize(("family", "tokens"), [("cosyvoice2", 0), ("cosyvoice3", len(SYSTEM_PROMPT) + 1)])
def test_what_opens_the_prompt_is_counted(family: str, tokens: int) -> None:
    """CosyVoice 3's opening is read before any speech, however text and speech are laid out."""
    prompt = prompt_of(prompted(family=family), SpeakingStyle(), encode)

    assert prompt.opening_tokens == tokens


def test_a_model_without_the_mark_follows_no_instructions() -> None:
    """One line, rather than an instruction that is spoken aloud."""
    with pytest.raises(UsageError, match="does not follow instructions"):
        prompt_of(prompted(), SpeakingStyle(instruction="Softly."), lambda text: list(map(ord, text)))
    assert prompt_of(prompted(text=""), SpeakingStyle(), lambda text: []) == Prompt(text=[], speech=[])


@given(st.text(), st.text().filter(lambda text: END_OF_PROMPT not in text))
def test_what_stands_before_the_mark_is_an_instruction(told: str, words: str) -> None:
    """Text before the mark is told to the model, the rest is spoken; without a mark nothing changes."""
    style = SpeakingStyle(cross_lingual=True)
    taken = split_instruction(f"{told}{END_OF_PROMPT}{words}", style)

    assert taken == (words, SpeakingStyle(instruction=told + END_OF_PROMPT, cross_lingual=True))
    assert split_instruction(words, style) == (words, style)


@pytest.mark.parametrize("size", [1, 3, 7, 1_000])
@pytest.mark.parametrize("words", ["", "Hello there. And more."])
def test_an_opening_that_arrives_in_parts(size: int, words: str) -> None:
    """However it is cut, what begins as upstream's openings do waits for its mark and is no words."""
    told = f" {SYSTEM_PROMPT} Speak softly. Slowly, too.{END_OF_PROMPT}"
    text = told + words
    parts = (text[at : at + size] for at in range(0, len(text), size))
    rest, style = split_arriving_instruction(parts, SpeakingStyle(cross_lingual=True))

    assert ("".join(rest), style) == (words, SpeakingStyle(instruction=told, cross_lingual=True))


@pytest.mark.parametrize(
    ("text", "waits"), [("You are right. ", 9), ("Hi. ", 1), (f"{SYSTEM_PROMPT} ", 1_000)]
)
def test_words_do_not_wait_for_a_mark(text: str, waits: int) -> None:
    """Words that begin no system prompt are given out at once, one without a mark after a while."""
    asked = iter(text * 100)
    rest, style = split_arriving_instruction(asked, SpeakingStyle())

    assert len(text) * 100 - len(list(asked)) == min(waits, LONGEST_OPENING)
    assert style == SpeakingStyle()
    assert next(rest) == (text * 100)[:waits]
