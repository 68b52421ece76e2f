"""text tokens → speech tokens, one after another: the loop around the language model.

Shapes: B batch (1 here) · T text tokens · P prompt speech tokens · V speech vocabulary with stops.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cosyrt.engine.sampling import NOTHING, SamplingConfig, draw, remember
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.ranges import LEVEL, SIZE, Whole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingConfig:
    """Sampling, and how many speech tokens a text token may and must become (upstream: 2 to 20).

    Speech that has only `loop_kinds` different tokens in `loop_tokens` (4 s) goes round in a circle or is
    silent: it is cut, once it has a quarter of its most, so that a laugh that was written is not.
    """

    end_token: int
    fill_token: int | None = None  # asks for more text; None: the model was never taught to
    block_text: int = 5
    block_speech: int = 15
    sampling: SamplingConfig = SamplingConfig()
    least_per_text: float = 2.0
    most_per_text: float = 20.0
    loop_tokens: int = 100
    loop_kinds: int = 12
    silent_tokens: frozenset[int] = frozenset()  # silence and breath, of which a run is cut short
    longest_silence_tokens: int = 5
    hears_speaker: bool = False  # CosyVoice 1: the speaker vector stands before the text

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> SpeakingConfig:
        """From the arguments of upstream's `Qwen2LM` in a model description."""
        text, speech = Whole(1, 1_000).each(args, "mix_ratio", [5, 15])
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
class Saying:
    """What the language model is given for one piece of text."""

    text: list[int]  # the tokens to speak
    prompt_text: list[int]  # transcript of the prompt, empty without one
    prompt_speech: list[int]  # speech tokens of the prompt, empty without one
    speaker: Tensor | None = None  # [1, 192] where the language model is to hear it


def speech_tokens(
    stages: Stages,
    config: SpeakingConfig,
    saying: Saying,
    generator: torch.Generator,
    device: torch.device,
) -> Iterator[int]:
    """The speech tokens of one piece, as they are drawn."""
    least = max(1, int(len(saying.text) * config.least_per_text))
    most = max(least, int(len(saying.text) * config.most_per_text))
    text = torch.tensor([saying.prompt_text + saying.text], device=device)
    prompt = torch.tensor([saying.prompt_speech], dtype=torch.long, device=device)
    speaker = () if saying.speaker is None else (saying.speaker,)
    start = text.shape[1] + prompt.shape[1] + 2 + len(speaker)
    cache = stages.new_cache(1, start + most)
    recent = torch.full((1, config.sampling.window), NOTHING, device=device)
    logp = stages.prefill(text, prompt, cache, *speaker)
    loop = Loop(config, most // 4)
    for count in range(most):
        token = draw(allowed(logp, config.end_token, count < least), recent, config.sampling, generator)
        number = checked(int(token))
        if number >= config.end_token:
            return
        yield number
        if loop.closes(number):
            log.warning("speech cut, it repeats itself tokens=%d text_tokens=%d", count + 1, len(saying.text))
            return
        recent = remember(recent, token)
        position = torch.full((1,), start + count, device=device)  # made there: nothing is copied to it
        mask = torch.ones(1, 1, 1, start + count + 1, dtype=torch.bool, device=device)
        logp = stages.step(token, position, mask, cache)
    log.warning("speech cut at its limit tokens=%d text_tokens=%d", most, len(saying.text))


def without_long_silence(tokens: Iterator[int], config: SpeakingConfig) -> Iterator[int]:
    """The tokens but for what is too long of a run of silence; the language model hears all of it itself."""
    run = 0
    for token in tokens:
        run = run + 1 if token in config.silent_tokens else 0
        if run <= config.longest_silence_tokens:
            yield token


class Loop:
    """Notices speech that has left its text and goes round in a circle."""

    def __init__(self, config: SpeakingConfig, patience: int) -> None:
        self.kinds, self.patience = config.loop_kinds, patience
        self.recent: deque[int] = deque(maxlen=config.loop_tokens)
        self.count = 0

    def closes(self, token: int) -> bool:
        """Whether, with this token, it does."""
        self.recent.append(token)
        self.count += 1
        full = len(self.recent) == self.recent.maxlen
        return full and self.count >= self.patience and len(set(self.recent)) <= self.kinds


def checked(number: int) -> int:
    """The token that was drawn.

    Raises:
        SpeechError: there is none, the log-probabilities were not finite.
    """
    if number == NOTHING:
        raise SpeechError(
            "the language model gave log-probabilities that are not finite; check the weights, or use float32"
        )
    return number


def allowed(
    logp: Tensor,  # [B, V]
    end_token: int,
    go_on: bool,
) -> Tensor:  # [B, V]
    """The same, with every stop forbidden while the utterance is too short."""
    if not go_on:
        return logp
    return torch.cat([logp[:, :end_token], torch.full_like(logp[:, end_token:], float("-inf"))], dim=1)
