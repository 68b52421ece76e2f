"""One value for what is to be spoken and how: `say`, `stream` and `convert` make one, and a service would."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real

from cosyrt.arguments import check_kind, number_of, shown
from cosyrt.audio import Audio
from cosyrt.engine.asynchronous import in_own_loop
from cosyrt.errors import UsageError
from cosyrt.ranges import SEED, SPEED
from cosyrt.text.lexicon import NO_LEXICON, Lexicon
from cosyrt.text.pauses import NO_PAUSES, Pauses
from cosyrt.voice.voice import MAX_NAME_CHARACTERS, Voice

Text = str | Iterable[str | None] | AsyncIterable[str | None]

MAX_TEXT_CHARACTERS = 2_000_000  # of one part: the longest of novels
MAX_INSTRUCTION_CHARACTERS = 4_000


def _check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise UsageError(f"{what} has {len(text)} characters, more than {most}; give less at once")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingStyle:
    """How the text is to be spoken, beside the voice and the speed."""

    instruction: str | None = None  # such as "Speak softly."; None: none
    cross_lingual: bool = False  # the voice without the words of its recording

    def __post_init__(self) -> None:
        check_kind(self.instruction, str | None, "the instruction", "give a str, such as 'Speak softly.'")
        _check_length("the instruction", self.instruction or "", MAX_INSTRUCTION_CHARACTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything that decides which audio comes, and in which parts.

    It can be pickled wherever its text can: a string or a list, but no generator. A voice goes along as a
    value or by its name; with `voice_digest` a name must stand for the voice of that content.

    Raises:
        UsageError: a speed, seed or deadline out of range, or a value of the wrong kind.
    """

    text: Text = ""  # whole, or the parts in which it arrives
    recording: Audio | None = None  # speech to be said again by the voice, in place of a text
    voice: str | Voice | None = None  # None: the model's voice for the language of the text
    voice_digest: str = ""
    style: SpeakingStyle = SpeakingStyle()
    speed: float = 1.0
    seed: int = 0
    as_written: bool = False  # the text is not normalised
    pauses: Pauses = NO_PAUSES  # silence between sentences and paragraphs
    lexicon: Lexicon = NO_LEXICON  # how certain words are said; a mapping becomes one
    interleave: bool = False  # a sentence is begun before all of it has arrived
    streamed: bool = False  # audio comes in chunks as soon as it is certain, else in whole pieces of the text
    chunked: bool = False  # frames attend to their chunk and those before it, as they do when streamed
    exact: bool = False  # shares no batch with others, so that every bit is what it is alone
    deadline: float | None = None  # seconds from now until it is over, or ends with a DeadlineError

    def __post_init__(self) -> None:
        check_kind(self.recording, Audio | None, "the recording", "give an Audio, such as Audio.read(path)")
        check_kind(
            self.voice, str | Voice | None, "the voice", "give its name, or a Voice, such as voice_from makes"
        )
        check_kind(self.voice_digest, str, "the digest of the voice", "give voice.digest")
        if isinstance(self.voice, str):
            _check_length("the name of the voice", self.voice, MAX_NAME_CHARACTERS)
        if isinstance(self.text, str):
            _check_length("the text", self.text, MAX_TEXT_CHARACTERS)
        check_kind(self.style, SpeakingStyle, "the style", "give a SpeakingStyle")
        check_kind(self.pauses, Pauses, "the pauses", "give a Pauses")
        object.__setattr__(self, "lexicon", Lexicon.of(self.lexicon))
        if self.interleave and self.pauses != NO_PAUSES:
            raise UsageError("a text that interleaves is read word by word; leave out pauses or interleave")
        # NumPy's numbers become Python's, so that equal requests are equal.
        object.__setattr__(self, "speed", _checked_speed(self.speed))
        object.__setattr__(self, "seed", _checked_seed(self.seed))
        object.__setattr__(self, "chunked", self.chunked or self.streamed)
        object.__setattr__(self, "deadline", _checked_deadline(self.deadline))

    def text_parts(self) -> Iterator[str]:
        """The text, or the parts in which it arrives; a part that is None, as chat models give, is none.

        Raises:
            UsageError: something that is no text.
        """
        for part in _parts(self.text):
            if isinstance(part, str):
                _check_length("a part of the text", part, MAX_TEXT_CHARACTERS)
                yield part
            elif part is not None:
                raise _no_text(part)


def _parts(text: object) -> Iterator[object]:
    if isinstance(text, str):
        return iter([text])
    if isinstance(text, AsyncIterable):
        return in_own_loop(text)
    # A mapping or a set has no order that is meant, the items of bytes are numbers.
    if isinstance(text, bytes | bytearray | memoryview | Mapping | Set) or not isinstance(text, Iterable):
        raise _no_text(text)
    return iter(text)


def _no_text(value: object) -> UsageError:
    return UsageError(f"cannot speak {shown(value)}; give a str, or an iterable of them")


def _checked_speed(speed: object) -> float:
    speed = number_of(speed)
    if not (isinstance(speed, Real) and SPEED.least <= float(speed) <= SPEED.most):
        raise UsageError(f"speed {speed!r} is out of range; choose {SPEED.least:g} to {SPEED.most:g}")
    return float(speed)


def _checked_seed(seed: object) -> int:
    seed = number_of(seed)
    if not (isinstance(seed, Integral) and SEED.least <= int(seed) <= SEED.most):
        raise UsageError(f"seed {seed!r} is out of range; choose a whole number from 0 to 2**64 - 1")
    return int(seed)


def _checked_deadline(deadline: object) -> float | None:
    deadline = number_of(deadline)
    if deadline is None:
        return None
    if not (isinstance(deadline, Real) and 0 < float(deadline) < inf):
        raise UsageError(f"deadline {deadline!r} is out of range; choose seconds above 0, or None for no end")
    return float(deadline)
