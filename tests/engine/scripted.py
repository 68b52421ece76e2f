"""A language model that wants the tokens that the test says, and decoders that it drives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from cosyrt.engine.decoding import Decoder, DecodingConfig, LanguageModelInput, complete
from cosyrt.engine.sampling import SamplingConfig
from cosyrt.engine.speech_tokens import speech_tokens
from cosyrt.engine.stages import Stages
from cosyrt.models.kv_cache import KeyValueCache, PlainCache
from cosyrt.models.llm import MARK, SPEECH, START, TASK, TEXT

END, FILL = 10, 12  # speech tokens 0 … 9, stops 10, 11 and 12
CONFIG = DecodingConfig(
    end_token=END, fill_token=FILL, sampling=SamplingConfig(tolerance=2.0)
)  # repeats freely
CPU = torch.device("cpu")
NO_PROMPT = LanguageModelInput([], [], [])


class Script:
    """A language model that wants the given tokens, one after another, then the last one for ever."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self.wanted, self.calls = list(wanted), 0
        self.asked: list[dict[str, Any]] = []
        self.sequence: list[tuple[int, int]] = []  # (kind, number) of everything that was read
        self.stages = Stages(
            **(dict.fromkeys(Stages._fields) | {name: getattr(self, name) for name in STAGES})  # type: ignore[arg-type]
        )

    def logp(self) -> Tensor:  # [1, V]
        """The wanted token is nearly certain, its neighbours follow; NaN where a negative is wanted."""
        self.calls += 1
        wanted = self.wanted[min(self.calls, len(self.wanted)) - 1]
        if wanted < 0:
            return torch.full((1, END + 3), torch.nan)
        return (-8.0 * (torch.arange(END + 3) - wanted).abs()).log_softmax(0)[None]

    def new_cache(self, rows: int, positions: int) -> PlainCache:
        self.positions = positions
        none = torch.zeros(1, rows, 1, positions, 0)
        return PlainCache(none, none)

    def prefill(self, text: Tensor, speech: Tensor, cache: KeyValueCache) -> Tensor:
        self.asked.append({"text": text.tolist(), "speech": speech.tolist()})
        self.sequence += [(MARK, START), *((TEXT, number) for number in text[0].tolist()), (MARK, TASK)]
        self.sequence += [(SPEECH, number) for number in speech[0].tolist()]
        return self.logp()

    def step(self, token: Tensor, position: Tensor, mask: Tensor, cache: KeyValueCache) -> Tensor:
        """The token stands behind everything that was read, and sees all of it and itself."""
        assert position.tolist() == [len(self.sequence)]
        assert mask.shape == (1, 1, 1, len(self.sequence) + 1) and mask.all()
        self.asked.append({"token": int(token), "position": int(position)})
        self.sequence.append((SPEECH, int(token)))
        return self.logp()

    def read(
        self, numbers: Tensor, kinds: Tensor, positions: Tensor, mask: Tensor, cache: KeyValueCache
    ) -> Tensor:
        """Every position stands where it belongs and sees all before it, itself included."""
        start, end = len(self.sequence), len(self.sequence) + numbers.shape[1]
        assert positions.tolist() == [list(range(start, end))]
        assert mask.shape == (1, 1, end - start, end)
        assert mask.sum(-1).flatten().tolist() == list(range(start + 1, end + 1))
        self.sequence += zip(kinds[0].tolist(), numbers[0].tolist(), strict=True)
        return self.logp()

    def drive(self, decoder: Decoder, text: Iterable[int] = ()) -> Iterator[int]:
        return speech_tokens(self.stages, decoder, torch.Generator().manual_seed(0), CPU, text)

    def say(self, config: DecodingConfig, given: LanguageModelInput) -> list[int]:
        """Speech tokens of complete text."""
        return list(self.drive(complete(config, given)))

    def interleave(
        self,
        words: Sequence[int],
        config: DecodingConfig = CONFIG,
        prompt: LanguageModelInput = NO_PROMPT,
    ) -> list[int]:
        """Speech tokens of text that is read while it is spoken."""
        return list(self.drive(Decoder(config, prompt, interleaved=True), iter(words)))

    def layout(self) -> str:
        """What was read, in letters: m mark, t text, s speech."""
        return "".join("tsm"[kind] for kind, _ in self.sequence)


STAGES = ("new_cache", "prefill", "step", "read")


def words(count: int) -> LanguageModelInput:
    return LanguageModelInput(list(range(count)), [], [])
