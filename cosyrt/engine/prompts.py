"""What the language model reads beside the words to speak: it is this that makes a mode.

| mode | before the words | after them | CosyVoice 1: speaker |
|---|---|---|---|
| preset voice | – | – | heard |
| zero-shot | the transcript | its speech tokens | heard |
| cross-lingual: the voice without its words | – | – | heard |
| instruction | the instruction | – | not heard: it would tell the voice's own manner |

The flow is given the voice's tokens, mel and speaker in every mode. CosyVoice 3 was trained with a sentence
to the system before all of it, so that it never goes without `<|endofprompt|>`.
Source: upstream's `frontend_*` (cosyvoice/cli/frontend.py) and the prompts of its example.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from cosyrt.errors import UsageError
from cosyrt.text.normalize import normalize
from cosyrt.voice.voice import Voice

END_OF_PROMPT = "<|endofprompt|>"
SYSTEM = "You are a helpful assistant."
LONGEST_OPENING = 1_000  # characters that wait for the mark behind them

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the text is to be spoken, beside the voice and the speed."""

    instruction: str | None = None  # such as "Speak softly."; None: none
    cross_lingual: bool = False  # the voice without the words of its recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Text tokens before the words, speech tokens after them."""

    text: list[int]
    speech: list[int]
    with_speaker: bool = True  # CosyVoice 1: whether the language model hears the speaker vector
    opening_tokens: int = 0  # CosyVoice 3: text tokens at the beginning that never stand between speech


def prompt_of(voice: Voice, manner: Manner, encode: Encode) -> Prompt:
    """The prompt of a voice, spoken in that manner.

    Raises:
        UsageError: an instruction to a model that does not know `<|endofprompt|>`.
    """
    if manner.instruction is not None:
        opening = _encoded(_ended(manner.instruction, voice.family), voice.family, encode)
        return Prompt(
            text=opening,
            speech=[],
            with_speaker=voice.family != "cosyvoice",
            opening_tokens=len(opening) if voice.family == "cosyvoice3" else 0,
        )
    # Words and speech tokens go together: words alone would be spoken, speech alone would be continued.
    told, words = _transcript(voice)
    whole = bool(words) and len(voice.speech_tokens) > 0 and not manner.cross_lingual
    opening = encode(told) if told else []
    return Prompt(
        text=opening + (encode(normalize(words)) if whole else []),
        speech=voice.speech_tokens.tolist() if whole else [],
        opening_tokens=len(opening),
    )


def transcript_tokens(voice: Voice, encode: Encode) -> list[int]:
    """Text tokens of a voice's transcript with what opens the prompt: the `prompt_text` of upstream."""
    return prompt_of(voice, Manner(), encode).text


def without_instruction(text: str, manner: Manner) -> tuple[str, Manner]:
    """Upstream's scripts write what is told to the model in front of the words: it is taken apart here.

    Only so are the words alone normalised, split, and counted for the limits of their length.
    """
    told, mark, words = text.rpartition(END_OF_PROMPT)
    if not mark:
        return text, manner
    return words, Manner(instruction=told + mark, cross_lingual=manner.cross_lingual)


def without_opening(parts: Iterator[str], manner: Manner) -> tuple[Iterator[str], Manner]:
    """The same of text that arrives in parts: what begins as upstream's openings do waits for its mark."""
    head = next(parts, "")
    while END_OF_PROMPT not in head and _opens(head) and len(head) < LONGEST_OPENING:
        if (part := next(parts, None)) is None:
            break
        head += part
    words, manner = without_instruction(head, manner)
    return chain([words], parts), manner


def words_alone(parts: Iterator[str]) -> Iterator[str]:
    """The parts, of which some may have been spoken already.

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


def _opens(text: str) -> bool:
    text = text.lstrip()
    return text.startswith(SYSTEM) or SYSTEM.startswith(text)


def _transcript(voice: Voice) -> tuple[str, str]:
    """What opens the prompt, and the words; upstream's scripts write the opening into the transcript."""
    opening, mark, words = voice.text.rpartition(END_OF_PROMPT)
    usual = SYSTEM + END_OF_PROMPT if voice.family == "cosyvoice3" else ""
    return opening + mark or usual, words.strip()


def _ended(instruction: str, family: str) -> str:
    """An instruction as the models know it; one that ends in the mark already is left as it was written."""
    if END_OF_PROMPT in instruction:
        return instruction
    opening = f"{SYSTEM} " if family == "cosyvoice3" else ""
    return opening + instruction.strip() + END_OF_PROMPT


def _encoded(told: str, family: str, encode: Encode) -> list[int]:
    # CosyVoice 1 was taught the mark as it is written, in several tokens.
    if family != "cosyvoice" and len(encode(END_OF_PROMPT)) != 1:
        raise UsageError(
            f"this model does not follow instructions: its text tokens have no {END_OF_PROMPT}; leave it out"
        )
    return encode(told)
