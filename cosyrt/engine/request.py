"""One value for what is to be spoken and how: `say`, `stream` and `convert` make one, and a service would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Integral, Real

from cosyrt.audio import Audio
from cosyrt.errors import UsageError
from cosyrt.ranges import SEED, SPEED
from cosyrt.voice.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingStyle:
    """How the text is to be spoken, beside the voice and the speed."""

    instruction: str | None = None  # such as "Speak softly."; None: none
    cross_lingual: bool = False  # the voice without the words of its recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything that decides which audio comes, and in which parts.

    It can be pickled wherever its text can: a string or a list, but no generator. A voice goes along as a
    value or by its name; with `voice_digest` a name must stand for the voice of that content.

    Raises:
        UsageError: a speed or seed out of range.
    """

    text: str | Iterable[str] = ""  # whole, or the parts in which it arrives
    recording: Audio | None = None  # speech to be said again by the voice, in place of a text
    voice: str | Voice | None = None  # None: the model's voice for the language of the text
    voice_digest: str = ""
    style: SpeakingStyle = SpeakingStyle()
    speed: float = 1.0
    seed: int = 0
    as_written: bool = False  # the text is not normalised
    interleave: bool = False  # a sentence is begun before all of it has arrived
    streamed: bool = False  # audio comes in chunks as soon as it is certain, else in whole pieces of the text
    chunked: bool = False  # frames attend to their chunk and those before it, as they do when streamed

    def __post_init__(self) -> None:
        # NumPy's numbers become Python's, so that equal requests are equal.
        object.__setattr__(self, "speed", _checked_speed(self.speed))
        object.__setattr__(self, "seed", _checked_seed(self.seed))
        object.__setattr__(self, "chunked", self.chunked or self.streamed)

    def text_parts(self) -> Iterator[str]:
        """The text, or the parts in which it arrives.

        Raises:
            UsageError: something that is no text.
        """
        text: object = self.text
        parts = [text] if isinstance(text, str) or not isinstance(text, Iterable) else text
        for part in parts:
            if not isinstance(part, str):
                raise UsageError(f"cannot speak {part!r:.80}; give a str, or an iterable of them")
            yield part


def _checked_speed(speed: object) -> float:
    if not (isinstance(speed, Real) and SPEED.least <= float(speed) <= SPEED.most):
        raise UsageError(f"speed {speed!r} is out of range; choose {SPEED.least:g} to {SPEED.most:g}")
    return float(speed)


def _checked_seed(seed: object) -> int:
    if not (isinstance(seed, Integral) and SEED.least <= int(seed) <= SEED.most):
        raise UsageError(f"seed {seed!r} is out of range; choose a whole number from 0 to 2**64 - 1")
    return int(seed)
