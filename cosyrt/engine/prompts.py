"""Prompts: the tokens that the language model reads beside the words to speak. They make upstream's modes.

| mode | before the words | after them | speaker vector (CosyVoice 1) |
|---|---|---|---|
| preset voice | – | – | given |
| zero-shot | the transcript | its speech tokens | given |
| cross-lingual: the voice without its words | – | – | given |
| instruction | the instruction | – | not given: it carries the voice's own style |

The flow is given the voice's tokens, mel and speaker in every mode. CosyVoice 3 was trained with a sentence
to the system before all of it, so that it never goes without `<|endofprompt|>`.
Source: upstream's `frontend_*` (cosyvoice/cli/frontend.py) and the prompts of its example.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from cosyrt.engine.request import SpeakingStyle
from cosyrt.errors import UsageError
from cosyrt.families import FAMILIES, Family
from cosyrt.text.normalize import normalize
from cosyrt.voice.voice import Voice

END_OF_PROMPT = "<|endofprompt|>"
SYSTEM_PROMPTS = tuple(family.system_prompt for family in FAMILIES.values() if family.system_prompt)
LONGEST_OPENING = 1_000  # characters that wait for the mark behind them

EncodeText = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The tokens of a prompt: text before the words to speak, speech after them."""

    text: list[int]
    speech: list[int]
    with_speaker: bool = True  # CosyVoice 1: the language model is given the speaker vector
    opening_tokens: int = 0  # CosyVoice 3: text tokens at the beginning that never stand between speech


def prompt_of(voice: Voice, style: SpeakingStyle, encode: EncodeText) -> Prompt:
    """The prompt of a voice that speaks in a style.

    Raises:
        UsageError: an instruction to a model that does not know `<|endofprompt|>`.
    """
    family = FAMILIES[voice.family]
    if style.instruction is not None:
        opening = _instruction_tokens(style.instruction, family, encode)
        return Prompt(
            text=opening,
            speech=[],
            with_speaker=family.instruction_with_speaker,
            opening_tokens=len(opening) if family.system_prompt else 0,
        )
    # Words and speech tokens go together: words alone would be spoken, speech alone would be continued.
    before, words = _transcript(voice, family)
    whole = bool(words) and len(voice.speech_tokens) > 0 and not style.cross_lingual
    opening = encode(before) if before else []
    return Prompt(
        text=opening + (encode(normalize(words)) if whole else []),
        speech=voice.speech_tokens.tolist() if whole else [],
        opening_tokens=len(opening),
    )


def transcript_tokens(voice: Voice, encode: EncodeText) -> list[int]:
    """Text tokens of a voice's transcript with what opens the prompt: the `prompt_text` of upstream."""
    return prompt_of(voice, SpeakingStyle(), encode).text


def split_instruction(text: str, style: SpeakingStyle) -> tuple[str, SpeakingStyle]:
    """Take an instruction that stands in front of the words, as in upstream's scripts, into the style.

    Only so are the words alone normalised, split, and counted for the limits of their length.
    """
    instruction, mark, words = text.rpartition(END_OF_PROMPT)
    return (words, replace(style, instruction=instruction + mark)) if mark else (text, style)


def split_arriving_instruction(
    parts: Iterator[str], style: SpeakingStyle
) -> tuple[Iterator[str], SpeakingStyle]:
    """Take an instruction at the beginning of a text that arrives in parts into the style.

    Text that begins like a system prompt waits for the mark that ends it.
    """
    head = next(parts, "")
    while END_OF_PROMPT not in head and _may_be_system_prompt(head) and len(head) < LONGEST_OPENING:
        if (part := next(parts, None)) is None:
            break
        head += part
    words, style = split_instruction(head, style)
    return chain([words], parts), style


def without_late_instruction(parts: Iterator[str]) -> Iterator[str]:
    """Pass on the later parts of a text, of which some may have been spoken already.

    Raises:
        UsageError: an instruction among them, which would be spoken aloud.
    """
    for part in parts:
        if END_OF_PROMPT in part:
            raise UsageError(
                f"{END_OF_PROMPT} comes after words that were spoken already; give what stands before it "
                "as instruction=…, or in the first part of the text"
            )
        yield part


def _may_be_system_prompt(text: str) -> bool:
    text = text.lstrip()
    return any(text.startswith(known) or known.startswith(text) for known in SYSTEM_PROMPTS)


def _transcript(voice: Voice, family: Family) -> tuple[str, str]:
    """Split a voice's text into what opens the prompt and the words; upstream's scripts write both there."""
    opening, mark, words = voice.text.rpartition(END_OF_PROMPT)
    usual = family.system_prompt + END_OF_PROMPT if family.system_prompt else ""
    return opening + mark or usual, words.strip()


def _instruction_tokens(instruction: str, family: Family, encode: EncodeText) -> list[int]:
    """Tokens of an instruction; one that has the mark already is left as it was written."""
    if family.end_of_prompt_is_a_token and len(encode(END_OF_PROMPT)) != 1:
        raise UsageError(
            f"this model does not follow instructions: its text tokens have no {END_OF_PROMPT}; leave it out"
        )
    if END_OF_PROMPT in instruction:
        return encode(instruction)
    opening = f"{family.system_prompt} " if family.system_prompt else ""
    return encode(opening + instruction.strip() + END_OF_PROMPT)
