"""Questions that upstream has answered for any family; a family's own are in its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cosyrt.engine.family import ModelSettings
from cosyrt.engine.mel_stream import Condition, MelStream
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.models.layers import attention_mask
from cosyrt.models.velocity import FlowInputs
from cosyrt.voice.voice import Voice

FLOAT32 = 1e-4  # of an array's largest value: what two correct float32 implementations differ by
LOG_PROBABILITY = 1e-3
# Upstream sums the phase of the source in float32 and draws lines between sums of thousands of radians; ours
# sums in float64, modulo one cycle. That grain, growing with the seconds, is left in source and samples.
PHASE_GRAIN = 2e-3
LONG_PHASE_GRAIN = 1e-2

HOPS = (25, 50, 100)
INPUTS = {
    *("embedding", "text", "prompt_text", "prompt_speech_token", "forced", "flow_token", "enc_in"),
    *("flow_prompt_token", "flow_prompt_mel", "est_x", "est_mu", "est_t", "est_spks", "est_cond"),
    *("hift_mel", "hift_cache_source", "stream_token", "flow_noise"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One array: ours against upstream's."""

    name: str
    error: float  # largest difference, of the largest value
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the array is within its tolerance."""
        return bool(self.error <= self.tolerance)


class Golden:
    """One golden set and the models it was made with."""

    family: ClassVar[str]
    asked: ClassVar[dict[str, tuple[Callable[[Any], Tensor], float]]]  # how, and the tolerance

    def __init__(self, arrays: Mapping[str, np.ndarray], settings: ModelSettings, networks: Networks) -> None:
        self.arrays, self.settings, self.networks = arrays, settings, networks
        self.stages: Stages = eager(networks)

    def tensor(self, name: str) -> Tensor:
        """An input, tokens as int64."""
        value = torch.from_numpy(np.array(self.arrays[name]))
        return value if value.is_floating_point() else value.long()

    def rows(self) -> list[Row]:
        """Every output of the set that was compared; an output nobody asks for is an error."""
        outputs = [name for name in self.arrays if name not in INPUTS]
        assert set(outputs) <= set(self.asked), f"no question for {set(outputs) - set(self.asked)}"
        with torch.inference_mode():
            return [self.row(name) for name in outputs]

    def row(self, name: str) -> Row:
        """Ask one question."""
        ask, tolerance = self.asked[name]
        ours, theirs = ask(self).numpy().astype(np.float64), self.arrays[name].astype(np.float64)
        assert ours.size == theirs.size, f"{name}: ours has shape {ours.shape}, upstream's {theirs.shape}"
        error = np.abs(ours.reshape(theirs.shape) - theirs).max() / np.abs(theirs).max()
        return Row(name, float(error), tolerance)

    def logp(self, text: Tensor, speech: Tensor, steps: int, *speaker: Tensor) -> Tensor:  # [steps, V]
        """Log-probabilities, the forced tokens fed back one by one through the cache."""
        start = text.shape[1] + speech.shape[1] + 2 + len(speaker)
        cache = self.stages.new_cache(1, start + steps)
        rows = [self.stages.prefill(text, speech, cache, *speaker)]
        for count, token in enumerate(self.tensor("forced")[0, : steps - 1]):
            mask = torch.ones(1, 1, 1, start + count + 1, dtype=torch.bool)
            rows.append(self.stages.step(token[None], torch.tensor([start + count]), mask, cache))
        return torch.cat(rows)

    def logp_with_prompt(self) -> Tensor:
        text = torch.cat([self.tensor("prompt_text"), self.tensor("text")], dim=1)
        return self.logp(text, self.tensor("prompt_speech_token"), len(self.arrays["llm_logp"]))

    def logp_without(self) -> Tensor:
        empty = torch.zeros(1, 0, dtype=torch.long)
        return self.logp(self.tensor("text"), empty, len(self.arrays["llm_logp_cross"]))

    def velocity(self, chunked: bool) -> Tensor:  # [2, 80, M]
        x = self.tensor("est_x")
        valid = torch.ones(2, x.shape[2], dtype=torch.bool)
        mask = attention_mask(valid, self.settings.flow.velocity.chunk_frames if chunked else None)
        rest = (self.tensor(f"est_{name}") for name in ("mu", "t", "spks", "cond"))
        inputs = FlowInputs(x, torch.ones(2, 1, x.shape[2]), mask, *rest)
        return self.stages.velocity(inputs, None)

    def condition(self) -> Condition:
        """The set's prompt."""
        voice = Voice(
            name="golden",
            speaker=self.arrays["embedding"][0],
            speech_tokens=self.arrays["flow_prompt_token"][0],
            mel=self.arrays["flow_prompt_mel"][0],
            family=self.family,
        )
        return Condition.of(voice, self.stages, torch.device("cpu"))

    def mels(self, chunked: bool) -> MelStream:
        """A mel stream with it."""
        d = self.settings
        return MelStream(self.stages, d.flow, self.condition(), chunked=chunked, rates=d.rates)

    def mel(self, chunked: bool, held_back: int = 0) -> Tensor:  # [1, 80, M]
        tokens = self.arrays["flow_token"][0].tolist()
        return self.mels(chunked).until(tokens, len(tokens) - held_back if held_back else None)

    def sound(self, mel: Tensor, cached: Tensor | None = None) -> tuple[Tensor, Tensor]:  # [N], [1, 1, N]
        """Vocoder without noise; `cached` replaces the first samples of the source, as upstream streams."""
        source = self.stages.excite(self.stages.pitch(mel, None, None), None, None)
        if cached is not None:
            source = torch.cat([cached, source[:, :, cached.shape[2] :]], dim=2)
        return self.stages.vocode(mel, source, None, None)[0], source

    def upstream_boundaries(self, tokens: int) -> list[int | None]:
        """Where upstream cuts: the first hop is padded to a chunk boundary, later ones double."""
        prompt = self.arrays["flow_prompt_token"].shape[1]
        boundaries, done, pad = [], 0, -prompt % HOPS[0]
        for hop in HOPS:
            done += hop + pad
            pad = 0
            if done + self.settings.flow.encoder.lookahead_tokens > tokens:
                break
            boundaries.append(done)
        return [*boundaries, None]
