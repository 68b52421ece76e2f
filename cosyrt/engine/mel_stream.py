"""speech tokens → mel, chunk by chunk, cut where nothing can change any more.

Shapes: B batch (1 here) · P prompt tokens · S speech tokens · M mel frames. With the chunk mask, everything
left of a chunk boundary depends on the past only: it is remembered (`past.py`), as far as the budget of all
streams goes, and only what is new is computed. Either way the mel is that of one masked pass over all tokens;
`tests/engine/test_mel_stream.py` holds them together.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from cosyrt.engine.pace import Pace
from cosyrt.engine.past import Past, StepCache
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.machine.memory import cache_bytes
from cosyrt.models.flow import DiTFlowConfig, FlowConfig
from cosyrt.models.layers import at_mel_rate, attention_mask
from cosyrt.models.solver import NOISE_FRAMES, SolverState, Solving, begin, fixed_noise, solved
from cosyrt.units import Rates
from cosyrt.voice.voice import Voice

log = logging.getLogger(__name__)

KEPT_VOICES = 64
FORGETS = 0.99  # of the size that is usual, with each chunk of a smaller one
PROMPT_CHUNKS = 4  # of a voice's prompt at once: a long one must not take all memory before it is cut back


class Streams:
    """Streams that have a past; they share a budget in equal parts."""

    def __init__(self) -> None:
        self._known: WeakSet[MelStream] = WeakSet()
        self._lock = Lock()
        self.usual_bytes = 0.0  # of the largest past there was lately

    def note(self, size: int) -> None:
        """Take notice of the size of a past in bytes."""
        self.usual_bytes = max(float(size), FORGETS * self.usual_bytes)

    def add(self, stream: MelStream) -> None:
        """Count a stream that has a past, until it is collected."""
        with self._lock:
            self._known.add(stream)

    def shrink(self, budget: int) -> None:
        """Let all keep their share, those that nobody reads from at the moment included."""
        with self._lock:
            streams = list(self._known)
        for stream in streams:
            stream.shrink(budget // len(streams))


@dataclass(slots=True)
class Condition:
    """A voice prepared for the flow, on the device; the past of its prompt is kept once it was computed."""

    tokens: Tensor  # [1, P]
    mel: Tensor  # [1, 80, up · P]
    speaker: Tensor  # [1, 80]
    cache_bytes: int = sys.maxsize  # that the pasts of all streams may take, and the prompt
    streams: Streams = field(default_factory=Streams)  # of all voices
    past: Past | None = None
    pace: Pace = field(default_factory=Pace)  # of the streams of all voices

    @classmethod
    def of(cls, voice: Voice, stages: Stages, device: torch.device) -> Condition:
        """Prepare the prompt and speaker vector of a registered voice; the prompt may be empty."""

        def there(array: np.ndarray, dtype: torch.dtype) -> Tensor:
            return torch.from_numpy(np.array(array)).to(device, dtype)[None]

        return cls(
            tokens=there(voice.speech_tokens, torch.long),
            mel=there(voice.mel, torch.float32).transpose(1, 2),
            speaker=stages.speaker(there(voice.speaker, torch.float32)),
        )


class Conditions:
    """Voices used lately, with the pasts of their prompts as far as the budget goes.

    They are found by content: a voice that was read again, or came from another process, is the same.
    """

    def __init__(
        self, stages: Stages, device: torch.device, pace: Pace | None = None, unread_bytes: int = 0
    ) -> None:
        self.stages, self.device, self.pace = stages, device, pace or Pace()
        self.cache_bytes = cache_bytes(device, unread_bytes)
        self._known: dict[str, Condition] = {}  # by the voice's digest, last in order: used most lately
        self._streams = Streams()
        self._lock = Lock()  # utterances may begin in several threads

    def of(self, voice: Voice) -> Condition:
        """The voice's condition; the others lose their pasts when all together take too much."""
        with self._lock:
            digest = voice.digest
            condition = self._known.pop(digest, None) or Condition.of(voice, self.stages, self.device)
            self._known[digest] = condition
            if len(self._known) > KEPT_VOICES:
                del self._known[next(iter(self._known))]
            condition.cache_bytes, condition.streams = self.cache_bytes, self._streams
            condition.pace = self.pace
            for other in list(self._known.values()):
                if other is not condition and self.bytes > self.cache_bytes:
                    other.past = None
        return condition

    def forget(self, digest: str) -> None:
        """Keep nothing of the voice of that content; what is speaking with it goes on."""
        with self._lock:
            self._known.pop(digest, None)

    def has_room(self, streams: int, beside_bytes: int = 0) -> bool:
        """Whether the pasts of so many streams, as large as they usually are, fit beside so many bytes."""
        return beside_bytes + streams * self._streams.usual_bytes <= self.cache_bytes

    @property
    def bytes(self) -> int:
        """Size of all pasts in bytes."""
        return sum(known.past.bytes for known in list(self._known.values()) if known.past is not None)


class MelStream:
    """The mel of one utterance; `chunked`: frames attend to their own chunk and the past, else to all."""

    def __init__(
        self,
        stages: Stages,
        config: FlowConfig | DiTFlowConfig,
        condition: Condition,
        *,
        chunked: bool,
        rates: Rates,
    ) -> None:
        self.stages, self.config, self.condition = stages, config, condition
        self.chunked, self.rates = chunked, rates
        self.noise = config.temperature * fixed_noise().to(condition.mel)
        self.done_tokens = 0
        self.past: Past | None = None
        self.warned = False  # that the budget is too small
        self._solving = False  # a past is not to shrink while it is computed with
        self._lock = Lock()

    def until(
        self,
        tokens: list[int],
        boundary: int | None,
    ) -> Tensor:  # [1, 80, M] the frames that are new
        """The mel up to `boundary` tokens, which must be on the grid and have their look-ahead; None: all."""
        return solved(self.stages.velocity, self.solving(tokens, boundary))

    def solving(self, tokens: list[int], boundary: int | None) -> Solving:
        """Make the mel up to `boundary` with states that are solved outside, and with those of other streams.

        Nothing of the past is dropped while a state waits for its next step.
        """
        own = torch.tensor([tokens], dtype=torch.long, device=self.condition.tokens.device)
        every = torch.cat([self.condition.tokens, own], dim=1)
        prompt = self.condition.tokens.shape[1]
        if self.past is None and self.chunked and self.done_tokens == 0:
            self.past = yield from self.past_of_prompt()
            self.condition.streams.add(self)
        if self.past is not None and boundary is None:
            self.past.keep_no_more()
        end = every.shape[1] if boundary is None else prompt + boundary
        start = 0 if self.past is None else self.past.tokens
        with self.keeping_past():
            state = self.state(every, start, end, self.past)
            yield state
            if self.past is not None:
                self.past.tokens = end
        self.stay_within_budget(end)
        new = (prompt + self.done_tokens - start) * self.config.encoder.up
        self.done_tokens = end - prompt
        return state.x[:, :, new:]

    @contextmanager
    def keeping_past(self) -> Iterator[None]:
        """Let no other stream drop anything of this one's past."""
        with self._lock:
            self._solving = True
        try:
            yield
        finally:
            with self._lock:
                self._solving = False

    def stay_within_budget(self, tokens: int) -> None:
        """Drop as much of the past as the budget of all streams asks for; log it the first time."""
        if self.past is None:
            return
        size = self.past.bytes
        self.condition.streams.note(size)
        self.condition.streams.shrink(self.condition.cache_bytes)
        if self.past.kept < self.config.solver.steps and not self.warned:
            self.warned = True
            message = "stream cache full, computing some of the past again from here bytes=%d tokens=%d"
            log.warning(message, size, tokens)

    def shrink(self, share: int) -> None:
        """Drop what is beyond the share; a stream that is solving does so itself after its chunk."""
        with self._lock:
            if self.past is not None and not self._solving:
                self.past.shrink(share)

    def past_of_prompt(self) -> Generator[SolverState, None, Past]:
        """Make the past after the prompt's chunks that no spoken token can reach; once a voice."""
        past = self.condition.past
        if past is None:
            c = self.config
            past = Past(velocity=[StepCache() for _ in range(c.solver.steps)])
            alone = max(0, self.condition.tokens.shape[1] - c.encoder.lookahead_tokens)
            last = alone // c.encoder.chunk_tokens * c.encoder.chunk_tokens
            at_once = PROMPT_CHUNKS * c.encoder.chunk_tokens
            for start in range(0, last, at_once):
                end = min(start + at_once, last)
                yield self.state(self.condition.tokens, start, end, past)
                past.tokens = end
                past.shrink(self.condition.cache_bytes)
            self.condition.past = past  # which another stream's voice may push out at any time
        return past.copy()

    def state(
        self,
        tokens: Tensor,  # [1, P + S]
        start: int,
        end: int,
        past: Past | None,
    ) -> SolverState:
        """Solver state of the tokens from `start` to `end`, before its first step."""
        c, up = self.config, self.config.encoder.up
        self.refuse_too_many_frames(end * up)
        frames, mask = slice(start * up, end * up), self.mask(start, end)
        if past is not None:
            past.mask = self.whole(past, end)
        return begin(
            self.noise[:, :, frames],
            at_mel_rate(mask, up),
            self.encoded(tokens, start, end, mask, past),
            self.condition.speaker,
            self.prompt(frames),
            solver=c.solver,
            past=past,
        )

    def refuse_too_many_frames(self, frames: int) -> None:
        """Raise a SpeechError where the noise does not reach."""
        if frames > NOISE_FRAMES:
            frame_hz = self.config.encoder.up * self.rates.token_hz
            raise SpeechError(
                f"one piece of text became {frames / frame_hz:.0f} s of speech with its prompt, "
                f"{NOISE_FRAMES / frame_hz:.0f} s is the most; split the text or choose a shorter prompt"
            )

    def encoded(
        self,
        tokens: Tensor,  # [1, P + S]
        start: int,
        end: int,
        mask: Tensor,  # [1, end - start, end]
        past: Past | None,
    ) -> Tensor:  # [1, 80, M]
        """Encoding of the tokens from `start` to `end`."""
        reach = self.config.encoder.lookahead_tokens
        lookahead = tokens[:, end : end + reach] if end < tokens.shape[1] else None
        new = tokens[:, start:end]
        cache = None if past is None else past.encoder.begin()
        return self.stages.encode(new, torch.ones_like(new).bool(), mask, lookahead, cache)

    def mask(self, start: int, end: int) -> Tensor:  # [1, end - start, end]
        """Attention mask of the tokens from `start` to `end`."""
        chunk = self.config.encoder.chunk_tokens if self.chunked else None
        return attention_mask(
            torch.ones(1, end, dtype=torch.bool, device=self.condition.mel.device), chunk, start
        )

    def whole(self, past: Past, end: int) -> Tensor | None:  # [1, M, M]
        """Attention mask of all frames so far; None where every step has its cache."""
        c = self.config
        return None if past.kept == c.solver.steps else at_mel_rate(self.mask(0, end), c.encoder.up)

    def prompt(self, frames: slice) -> Tensor:  # [1, 80, M]
        """Mel of the prompt as far as it reaches, then zeros."""
        given = self.condition.mel[:, :, frames]
        return torch.nn.functional.pad(given, (0, frames.stop - frames.start - given.shape[2]))
