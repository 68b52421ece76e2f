"""Text that is still being written → speech tokens: five of the text, fifteen of the speech, and so on.

    start · opening (CosyVoice 3) · 5 text · 15 speech · 5 text · 15 speech · … · rest · task · speech

The prompt's words and speech tokens come first in the same blocks. When the text ends, its rest is read, then
the mark that asks for all the speech that is left.
Shapes: B batch (1 here) · T positions of one call · C cache capacity.
Source: CosyVoice 2 (arXiv:2412.10117, §2.3) and upstream's `inference_bistream` and training (`llm/llm.py`).
Upstream speaks 15 tokens before the first words where the prompt's speech fills its last block, or where only
an opening came before; drops prompt speech that the text was too short for; reads its last speech token
twice before the rest; and has no limit at the end. Else the tokens are the same, one by one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from cosyrt.engine.decoding import Loop, SpeakingConfig, allowed, checked
from cosyrt.engine.prompts import Prompt
from cosyrt.engine.sampling import NOTHING, draw, remember
from cosyrt.engine.stages import Stages
from cosyrt.models.llm import MARK, SPEECH, START, TASK, TEXT, Cache

log = logging.getLogger(__name__)

ROOM = 512  # positions of the first cache; doubled whenever they are used up


class Interleaved:
    """One utterance whose text is read while it is spoken."""

    def __init__(
        self,
        stages: Stages,
        config: SpeakingConfig,
        prompt: Prompt,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.config, self.generator = config, generator
        self.reader = Reader(stages, device)
        self.recent = torch.full((1, config.sampling.window), NOTHING, device=device)
        self.prompt = prompt
        self.prompt_speech = iter(prompt.speech)
        self.words = self.spoken = 0

    def speak(self, words: Iterator[int]) -> Iterator[int]:
        """The speech tokens of these text tokens, as they are drawn; text is asked for when needed."""
        opening = self.prompt.opening_tokens
        self.reader.give([START], MARK)
        self.reader.give(self.prompt.text[:opening], TEXT)
        text = self._prompt_first(self.prompt.text[opening:], words)
        while len(block := list(islice(text, self.config.block_text))) == self.config.block_text:
            self.reader.give(block, TEXT)
            yield from self._block()
        self.reader.give(block, TEXT)
        self.reader.give([TASK], MARK)
        self.reader.give(list(self.prompt_speech), SPEECH)
        yield from self._rest()

    def _prompt_first(self, prompt: list[int], words: Iterator[int]) -> Iterator[int]:
        yield from prompt
        for word in words:
            self.words += 1
            yield word

    def _block(self) -> Iterator[int]:
        """Fifteen tokens: the prompt's while there are any, then spoken; fewer if the model asks for text."""
        given = list(islice(self.prompt_speech, self.config.block_speech))
        self.reader.give(given, SPEECH)
        for _ in range(self.config.block_speech - len(given)):
            number = self._draw(self._within_block(self.reader.read()))
            if number == self.config.fill_token:
                return
            yield self._say(number)

    def _rest(self) -> Iterator[int]:
        c = self.config
        least = max(1, int(self.words * c.least_per_text))
        most = max(least, int(self.words * c.most_per_text))
        loop = Loop(c, most // 4)
        while self.spoken < most:
            number = self._draw(allowed(self.reader.read(), c.end_token, self.spoken < least))
            if number >= c.end_token:
                return
            yield self._say(number)
            if loop.closes(number):
                break
        log.warning("speech cut tokens=%d text_tokens=%d", self.spoken, self.words)

    def _within_block(
        self,
        logp: Tensor,  # [1, V]
    ) -> Tensor:  # [1, V]
        """The end cannot come while there is text; the mark that asks for more of it can."""
        fill = self.config.fill_token
        speech = allowed(logp, self.config.end_token, True)
        speech[:, fill] = logp[:, fill]
        return speech

    def _draw(
        self,
        logp: Tensor,  # [1, V]
    ) -> int:
        return checked(int(draw(logp, self.recent, self.config.sampling, self.generator)))

    def _say(self, number: int) -> int:
        self.spoken += 1
        self.recent = remember(self.recent, self.recent.new_tensor([number]))
        self.reader.give([number], SPEECH)
        return number


class Reader:
    """What the language model has read, and what it is to read next; its cache grows with the text."""

    def __init__(self, stages: Stages, device: torch.device) -> None:
        self.stages, self.device = stages, device
        self.cache: Cache = stages.new_cache(1, ROOM)
        self.numbers: list[int] = []  # given, not yet read
        self.kinds: list[int] = []
        self.length = 0

    def give(self, numbers: list[int], kind: int) -> None:
        """Put them behind what is to be read."""
        self.numbers += numbers
        self.kinds += [kind] * len(numbers)

    def read(self) -> Tensor:  # [1, V]
        """Read what was given; the log-probabilities of what comes next."""
        start, end = self.length, self.length + len(self.numbers)
        self._make_room(end)
        numbers, kinds = (torch.tensor([row], device=self.device) for row in (self.numbers, self.kinds))
        positions = torch.arange(start, end, device=self.device)[None]
        mask = torch.arange(end, device=self.device) <= positions[0, :, None]
        logp = self.stages.read(numbers, kinds, positions, mask[None, None], self.cache)
        self.numbers, self.kinds, self.length = [], [], end
        return logp

    def _make_room(self, positions: int) -> None:
        capacity = self.cache.capacity
        if positions <= capacity:
            return
        old, self.cache = self.cache, self.stages.new_cache(1, max(2 * capacity, positions))
        with torch.inference_mode():  # as the stages made them
            for wide, narrow in zip(self.cache, old, strict=True):
                wide[..., :capacity, :] = narrow
