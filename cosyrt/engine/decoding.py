"""text tokens → speech tokens, as a state machine: what the language model reads next, and when it is over.

Text is pushed into a decoder, `next_input` says what the language model is to read, `accept` takes the token
that was picked. It calls no stage, so that whoever drives several may read for all of them in one batch;
`speech_tokens.py` drives one.

Text that is complete is read at once:

    start · speaker (CosyVoice 1) · prompt text · text · task · prompt speech · speech to the end

Text that is still being written is read five tokens at a time, with fifteen speech tokens between:

    start · opening (CosyVoice 3) · 5 text · 15 speech · 5 text · 15 speech · … · rest · task · speech

There the prompt's text and speech tokens come first in the same blocks. When the text ends, its rest is read,
then the mark that asks for all the speech that is left.

Source: CosyVoice 2 (arXiv:2412.10117, §2.3) and upstream's `inference_bistream` and training (`llm/llm.py`).
Upstream speaks 15 tokens before the first words where the prompt's speech fills its last block, or where only
an opening came before; drops prompt speech that the text was too short for; reads its last speech token
twice before the rest; and has no limit at the end. Else the tokens are the same, one by one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import Tensor

from cosyrt.engine.sampling import NOTHING, SamplingConfig
from cosyrt.errors import SpeechError
from cosyrt.models.llm import MARK, SPEECH, START, TASK, TEXT
from cosyrt.ranges import LEVEL, SIZE, IntRange

log = logging.getLogger(__name__)

FIRST_POSITIONS = 512  # of a cache for text without a known end; doubled whenever they are used up


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """Sampling, and how many speech tokens a text token may and must become (upstream: 2 to 20).

    Speech that has only `repetition_distinct` different tokens in `repetition_window` (4 s) goes round in a
    circle or is silent. It is cut once it has a quarter of its most, so that a laugh that was written is not.
    """

    end_token: int
    fill_token: int | None = None  # asks for more text; None: the model was never taught to
    block_text: int = 5
    block_speech: int = 15
    sampling: SamplingConfig = SamplingConfig()
    least_per_text: float = 2.0
    most_per_text: float = 20.0
    repetition_window: int = 100
    repetition_distinct: int = 12
    silent_tokens: frozenset[int] = frozenset()  # silence and breath, of which a run is cut short
    longest_silence_tokens: int = 5
    reads_speaker: bool = False  # CosyVoice 1: the speaker vector stands before the text
    takes_parts: bool = True  # a prompt may be read in parts; CosyVoice 1 encodes its text whole

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> DecodingConfig:
        """Read the arguments of upstream's `Qwen2LM` in a model description."""
        text, speech = IntRange(1, 1_000).each(args, "mix_ratio", [5, 15])
        end = SIZE.of(args, "speech_token_size")
        return cls(
            end_token=end,
            fill_token=end + 2,
            block_text=text,
            block_speech=speech,
            sampling=SamplingConfig.from_description(args["sampling"].args),
            least_per_text=LEVEL.of(args, "min_token_text_ratio", 2.0),
            most_per_text=LEVEL.of(args, "max_token_text_ratio", 20.0),
        )


@dataclass(frozen=True, slots=True)
class LanguageModelInput:
    """Text and prompt of one utterance; the text may be left empty and pushed later."""

    text: list[int]  # tokens to speak
    prompt_text: list[int]  # transcript of the prompt or an instruction, empty without one
    prompt_speech: list[int]  # speech tokens of the prompt, empty without one
    speaker: Tensor | None = None  # [1, 192] where the language model reads the speaker vector
    opening_tokens: int = 0  # prompt text at the beginning that never stands between speech


@dataclass(frozen=True, slots=True)
class PrefillInput:
    """Complete text and prompt, read at once into an empty cache."""

    text: list[int]
    speech: list[int]
    speaker: Tensor | None  # [1, 192]
    start: int = 0

    @property
    def end(self) -> int:
        """First position after it: two marks, and a place for the speaker, are read beside the tokens."""
        return len(self.text) + len(self.speech) + 2 + (self.speaker is not None)

    def mixed(self) -> ReadInput:
        """Write the prompt out as text, speech and marks, so that it can be read in parts."""
        assert self.speaker is None
        kinds = [MARK, *[TEXT] * len(self.text), MARK, *[SPEECH] * len(self.speech)]
        return ReadInput([START, *self.text, TASK, *self.speech], kinds, self.start)


@dataclass(frozen=True, slots=True)
class ReadInput:
    """Text, speech and marks in any order."""

    numbers: list[int]
    kinds: list[int]  # TEXT, SPEECH or MARK
    start: int  # position of the first

    @property
    def end(self) -> int:
        """First position after it."""
        return self.start + len(self.numbers)

    def part(self, start: int, most: int) -> ReadInput:
        """The positions from `start` on, at most that many of them."""
        where = slice(start - self.start, start - self.start + most)
        return ReadInput(self.numbers[where], self.kinds[where], start)


@dataclass(frozen=True, slots=True)
class StepInput:
    """One speech token."""

    token: int
    position: int

    @property
    def end(self) -> int:
        """First position after it."""
        return self.position + 1


Input = PrefillInput | ReadInput | StepInput


class Pause(Enum):
    """Why there is nothing to read."""

    AWAITS_TEXT = "text must be pushed, or ended"
    FINISHED = "the utterance is over"


class Stops(Enum):
    """Stop tokens that may be picked next."""

    ANY = "any"
    FILL = "only the one that asks for more text"
    NONE = "none"


class Decoder:
    """State of one utterance: text goes in, speech tokens come out, no stage is called."""

    def __init__(
        self, config: DecodingConfig, given: LanguageModelInput, *, interleaved: bool = False
    ) -> None:
        self.config, self.given, self.interleaved = config, given, interleaved
        self.spoken = 0  # speech tokens so far
        self.text_tokens = 0  # pushed so far, the prompt's not counted
        self._text_ended = False
        self._text = deque(given.prompt_text[given.opening_tokens :])  # waits for its block
        self._prompt_speech = deque(given.prompt_speech)
        self._block_left = 0  # speech tokens still to come in this block
        self._least = self._most = 0
        self._repetition: RepetitionDetector | None = None  # there once all text is read
        self._finished = False
        self._input: Input | None = None  # until its token is accepted
        self._position = 0
        self._numbers: list[int] = []  # to be read next
        self._kinds: list[int] = []
        self._give([START], MARK)
        self._give(given.prompt_text[: given.opening_tokens], TEXT)
        self.push(given.text)

    def push(self, tokens: Sequence[int]) -> None:
        """Add text tokens."""
        assert not (tokens and self._text_ended), "the text has ended"
        self._text.extend(tokens)
        self.text_tokens += len(tokens)

    def end_of_text(self) -> None:
        """Say that no more text will be pushed."""
        self._text_ended = True

    @property
    def cache_positions(self) -> int:
        """Positions to make a cache for: all that may be used, or the first ones of text without an end."""
        if self.interleaved:
            return FIRST_POSITIONS
        given = self.given
        marks = 2 + (given.speaker is not None)
        start = len(given.prompt_text) + self.text_tokens + len(given.prompt_speech) + marks
        return start + self.limits[1]

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the most speech tokens that the text pushed so far may become."""
        least = max(1, int(self.text_tokens * self.config.least_per_text))
        return least, max(least, int(self.text_tokens * self.config.most_per_text))

    @property
    def stops(self) -> Stops:
        """Stop tokens that may be picked after the input was read."""
        if self._block_left:
            return Stops.FILL
        return Stops.ANY if self.spoken >= self._least else Stops.NONE

    def next_input(self) -> Input | Pause:
        """What the language model is to read next: one and the same until a token is accepted."""
        while self._input is None and not self._finished:
            if self._block_left or self._repetition:
                self._input = self._pending()
            elif self.interleaved and len(self._text) >= self.config.block_text:
                self._begin_block()
            elif self._text_ended:
                self._end_blocks()
            else:
                return Pause.AWAITS_TEXT
        return self._input or Pause.FINISHED

    def accept(self, token: int) -> int | None:
        """Take the token that was picked after the input was read; None if it is a stop, not speech.

        After the most speech tokens one more is picked: a stop there is an end like any other, speech is cut.

        Raises:
            SpeechError: no token could be picked, the log-probabilities were not finite.
        """
        if token == NOTHING:
            raise SpeechError(
                "the language model gave log-probabilities that are not finite; check the weights, or use "
                "float32"
            )
        assert self._input is not None
        self._position, self._input = self._input.end, None
        self._numbers, self._kinds = [], []
        if token >= self.config.end_token:
            self._block_left, self._finished = 0, self._repetition is not None
            return None
        if self._repetition is not None and self.spoken >= self._most:  # only an end could still come
            self._cut(" at its limit")
            return None
        self.spoken += 1
        self._give([token], SPEECH)
        if self._repetition is None:
            self._block_left -= 1
        elif self._repetition.push(token):
            self._cut(", it repeats itself")
        return token

    def _give(self, numbers: Sequence[int], kind: int) -> None:
        """Put tokens behind what is to be read."""
        self._numbers += numbers
        self._kinds += [kind] * len(numbers)

    def _pending(self) -> Input:
        """The tokens that wait to be read; a speech token alone is a step."""
        if self._position == 0 and not self.interleaved:
            return self._prefill()
        if self._kinds == [SPEECH]:
            return StepInput(self._numbers[0], self._position)
        return ReadInput(self._numbers, self._kinds, self._position)

    def _prefill(self) -> PrefillInput:
        text = [*self.given.prompt_text[: self.given.opening_tokens], *self._text]
        return PrefillInput(text, self.given.prompt_speech, self.given.speaker)

    def _begin_block(self) -> None:
        """Give five text tokens, and speech tokens of the prompt while there are any."""
        self._give([self._text.popleft() for _ in range(self.config.block_text)], TEXT)
        speech = min(self.config.block_speech, len(self._prompt_speech))
        self._give([self._prompt_speech.popleft() for _ in range(speech)], SPEECH)
        self._block_left = self.config.block_speech - speech

    def _end_blocks(self) -> None:
        """Give the rest of the text and of the prompt; from here on an end may come."""
        self._least, self._most = self.limits
        self._repetition = RepetitionDetector(self.config, self._most // 4)
        if self.interleaved:
            self._give(self._text, TEXT)
            self._give([TASK], MARK)
            self._give(self._prompt_speech, SPEECH)

    def _cut(self, why: str) -> None:
        self._finished = True
        why = "" if self.interleaved else why
        log.warning("speech cut%s tokens=%d text_tokens=%d", why, self.spoken, self.text_tokens)


def complete(config: DecodingConfig, given: LanguageModelInput) -> Decoder:
    """A decoder whose text is complete."""
    decoder = Decoder(config, given)
    decoder.end_of_text()
    return decoder


class RepetitionDetector:
    """Notices speech that has left its text and repeats a few tokens for ever."""

    def __init__(self, config: DecodingConfig, patience: int) -> None:
        self.distinct, self.patience = config.repetition_distinct, patience
        self.recent: deque[int] = deque(maxlen=config.repetition_window)
        self.count = 0

    def push(self, token: int) -> bool:
        """Take one more token; True if the speech is to be cut behind it."""
        self.recent.append(token)
        self.count += 1
        full = len(self.recent) == self.recent.maxlen
        return full and self.count >= self.patience and len(set(self.recent)) <= self.distinct
