"""The loop around the language model for one utterance: read, mask, pick, until the decoder is finished.

Shapes: B batch · V speech vocabulary with stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from cosyrt.engine.decoding import (
    FIRST_POSITIONS,
    Decoder,
    DecodingConfig,
    Input,
    Pause,
    PrefillInput,
    ReadInput,
    StepInput,
    Stops,
)
from cosyrt.engine.sampling import NOTHING, distribution, pick, remember, uniforms
from cosyrt.engine.stages import Stages
from cosyrt.models.kv_cache import KeyValueCache


class LanguageModelReader:
    """Reads the inputs of one decoder; makes its cache, and a larger one when that is full."""

    def __init__(
        self, stages: Stages, device: torch.device, positions: int = FIRST_POSITIONS
    ) -> None:  # `positions` of the first cache
        self.stages, self.device, self.positions = stages, device, positions
        self.cache: KeyValueCache | None = None

    def read(self, given: Input) -> Tensor:  # [1, V]
        """Log-probabilities of the token after the input."""
        cache = self.cache = self._with_room(given.end)
        match given:
            case PrefillInput():
                return self._prefill(given, cache)
            case StepInput():
                return self._step(given, cache)
        return self._read(given, cache)

    def _prefill(self, given: PrefillInput, cache: KeyValueCache) -> Tensor:  # [1, V]
        text = torch.tensor([given.text], device=self.device)
        speech = torch.tensor([given.speech], dtype=torch.long, device=self.device)
        speaker = () if given.speaker is None else (given.speaker,)
        return self.stages.prefill(text, speech, cache, *speaker)

    def _step(self, given: StepInput, cache: KeyValueCache) -> Tensor:  # [1, V]
        # Made on the device: nothing is copied to it.
        token, position = (torch.full((1,), n, device=self.device) for n in (given.token, given.position))
        mask = torch.ones(1, 1, 1, given.end, dtype=torch.bool, device=self.device)
        return self.stages.step(token, position, mask, cache)

    def _read(self, given: ReadInput, cache: KeyValueCache) -> Tensor:  # [1, V]
        numbers, kinds = (torch.tensor([row], device=self.device) for row in (given.numbers, given.kinds))
        positions = torch.arange(given.start, given.end, device=self.device)[None]
        mask = torch.arange(given.end, device=self.device) <= positions[0, :, None]
        return self.stages.read(numbers, kinds, positions, mask[None, None], cache)

    def _with_room(self, end: int) -> KeyValueCache:
        """The cache, made or grown so that it has room up to that position."""
        if self.cache is None:
            return self.stages.new_cache(1, max(self.positions, end))
        if end <= self.cache.positions:
            return self.cache
        return self.cache.grown(max(2 * self.cache.positions, end))


def speech_tokens(
    stages: Stages,
    decoder: Decoder,
    rng: torch.Generator,
    device: torch.device,
    text: Iterable[int] = (),
) -> Iterator[int]:
    """Yield the speech tokens of one utterance as they are picked; text is asked for when it is needed."""
    reader = LanguageModelReader(stages, device, decoder.cache_positions)
    config, words = decoder.config, iter(text)
    recent = torch.full((1, config.sampling.window), NOTHING, device=device)
    while (given := decoder.next_input()) is not Pause.FINISHED:
        if given is Pause.AWAITS_TEXT:
            _push_next(decoder, words)
            continue
        logp = allowed(reader.read(given), [decoder.stops], config)
        token = pick(distribution(logp, recent, config.sampling), uniforms([rng], device))
        spoken = decoder.accept(int(token))
        if spoken is not None:
            recent = remember(recent, token)
            yield spoken


def _push_next(decoder: Decoder, words: Iterator[int]) -> None:
    """Push one text token, or say that there are no more."""
    for word in words:
        decoder.push([word])
        return
    decoder.end_of_text()


def without_long_silence(tokens: Iterator[int], config: DecodingConfig) -> Iterator[int]:
    """Leave out what makes a run of silence too long; the language model reads all of it itself."""
    run = 0
    for token in tokens:
        run = run + 1 if token in config.silent_tokens else 0
        if run <= config.longest_silence_tokens:
            yield token


def allowed(
    logp: Tensor,  # [B, V]
    stops: Sequence[Stops],  # of each row
    config: DecodingConfig,
) -> Tensor:  # [B, V]
    """Mask the stop tokens that may not come next."""
    if all(each is Stops.ANY for each in stops):
        return logp
    masked = logp.clone()
    for row, each in enumerate(stops):
        if each is not Stops.ANY:
            masked[row, config.end_token :] = float("-inf")
        if each is Stops.FILL:
            masked[row, config.fill_token] = logp[row, config.fill_token]
    return masked
