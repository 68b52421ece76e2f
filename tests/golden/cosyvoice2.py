"""What upstream's CosyVoice 2 was asked, asked of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cosyrt.engine.description import Description
from cosyrt.engine.mel_stream import Condition, MelStream
from cosyrt.engine.stages import Models, Stages, eager
from cosyrt.frontend.voice import Voice
from cosyrt.models.layers import visible

FLOAT32 = 1e-4  # of an array's largest value: what two correct float32 implementations differ by
LOG_PROBABILITY = 1e-3
# Upstream sums the phase of the source in float32 and draws lines between sums of thousands of radians; ours
# sums in float64, modulo one cycle. That grain, growing with the seconds, is left in source and samples.
PHASE_GRAIN = 2e-3
LONG_PHASE_GRAIN = 1e-2

FADE_FRAMES = 8  # how much upstream holds back and cross-fades between chunks
HOPS = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class Row:
    """One array: ours against upstream's."""

    name: str
    error: float  # largest difference, of the largest value
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return bool(self.error <= self.tolerance)


class Golden:
    """One golden set and the models it was made with."""

    def __init__(self, arrays: Mapping[str, np.ndarray], description: Description, models: Models) -> None:
        self.arrays, self.description, self.models = arrays, description, models
        self.stages: Stages = eager(models)

    def tensor(self, name: str) -> Tensor:
        """An input, tokens as int64."""
        value = torch.from_numpy(np.array(self.arrays[name]))
        return value if value.is_floating_point() else value.long()

    def rows(self) -> list[Row]:
        """Every output of the set that was compared; an output nobody asks for is an error."""
        inputs = {"embedding", "text", "prompt_text", "prompt_speech_token", "forced", "flow_token", "enc_in"}
        inputs |= {"flow_prompt_token", "flow_prompt_mel", "est_x", "est_mu", "est_t", "est_spks", "est_cond"}
        inputs |= {"hift_mel", "hift_cache_source", "stream_token"}
        outputs = [name for name in self.arrays if name not in inputs]
        assert set(outputs) <= set(ASKED), f"no question for {set(outputs) - set(ASKED)}"
        with torch.inference_mode():
            return [self.row(name) for name in outputs]

    def row(self, name: str) -> Row:
        """Ask one question."""
        ask, tolerance = ASKED[name]
        ours, theirs = ask(self).numpy().astype(np.float64), self.arrays[name].astype(np.float64)
        assert ours.size == theirs.size, f"{name}: ours has shape {ours.shape}, upstream's {theirs.shape}"
        error = np.abs(ours.reshape(theirs.shape) - theirs).max() / np.abs(theirs).max()
        return Row(name, float(error), tolerance)

    def logp(self, text: Tensor, speech: Tensor, steps: int) -> Tensor:  # [steps, V]
        """Log-probabilities, the forced tokens fed back one by one through the cache."""
        start = text.shape[1] + speech.shape[1] + 2
        cache = self.stages.new_cache(1, start + steps)
        rows = [self.stages.prefill(text, speech, cache)]
        for count, token in enumerate(self.tensor("forced")[0, : steps - 1]):
            sees = torch.ones(1, 1, 1, start + count + 1, dtype=torch.bool)
            rows.append(self.stages.step(token[None], torch.tensor([start + count]), sees, cache))
        return torch.cat(rows)

    def logp_with_prompt(self) -> Tensor:
        text = torch.cat([self.tensor("prompt_text"), self.tensor("text")], dim=1)
        return self.logp(text, self.tensor("prompt_speech_token"), len(self.arrays["llm_logp"]))

    def logp_without(self) -> Tensor:
        empty = torch.zeros(1, 0, dtype=torch.long)
        return self.logp(self.tensor("text"), empty, len(self.arrays["llm_logp_cross"]))

    def encoded(self, chunked: bool, held_back: int = 0) -> Tensor:  # [1, M, D]
        x = self.tensor("enc_in")
        heard, ahead = x[:, : x.shape[1] - held_back], x[:, x.shape[1] - held_back :] if held_back else None
        chunk = self.description.flow.encoder.chunk_tokens if chunked else None
        sees = visible(torch.ones(1, heard.shape[1], dtype=torch.bool), chunk)
        out: Tensor = self.models.flow.encoder(heard, sees, self.models.flow.at_mel_rate(sees), ahead)
        return out

    def velocity(self, chunked: bool) -> Tensor:  # [2, 80, M]
        x = self.tensor("est_x")
        real = torch.ones(2, x.shape[2], dtype=torch.bool)
        sees = visible(real, self.description.flow.velocity.chunk_frames if chunked else None)
        inputs = (self.tensor(f"est_{name}") for name in ("mu", "t", "spks", "cond"))
        return self.stages.velocity(x, torch.ones(2, 1, x.shape[2]), sees, *inputs, None)

    def mels(self, chunked: bool) -> MelStream:
        """A mel stream with the set's prompt."""
        voice = Voice(
            name="golden",
            speaker=self.arrays["embedding"][0],
            speech_tokens=self.arrays["flow_prompt_token"][0],
            mel=self.arrays["flow_prompt_mel"][0],
        )
        condition = Condition.of(voice, self.stages, torch.device("cpu"))
        return MelStream(self.stages, self.description.flow, condition, chunked=chunked)

    def mel(self, chunked: bool, held_back: int = 0) -> Tensor:  # [1, 80, M]
        tokens = self.arrays["flow_token"][0].tolist()
        return self.mels(chunked).until(tokens, len(tokens) - held_back if held_back else None)

    def sound(self, mel: Tensor, cached: Tensor | None = None) -> tuple[Tensor, Tensor]:  # [N], [1, 1, N]
        """Vocoder without noise; `cached` replaces the first samples of the source, as upstream streams."""
        source = self.stages.excite(self.stages.pitch(mel), None, None)
        if cached is not None:
            source = torch.cat([cached, source[:, :, cached.shape[2] :]], dim=2)
        return self.stages.vocode(mel, source)[0], source

    def streamed(self) -> Tensor:  # [N]
        """Upstream's hops and fades (cli/model.py) on our stages; the last chunk is not masked."""
        tokens = self.arrays["stream_token"][0].tolist()
        chunks, done = [], 0
        held = Held(self)
        for end in self.upstream_edges(len(tokens)):
            mels = self.mels(chunked=end is not None)
            mels.done_tokens = done
            chunks.append(held.push(mels.until(tokens, end), last=end is None))
            done = end or 0
        return torch.cat(chunks)

    def upstream_edges(self, tokens: int) -> list[int | None]:
        """Where upstream cuts: the first hop is padded so that it ends on an edge, later ones double."""
        prompt = self.arrays["flow_prompt_token"].shape[1]
        edges, done, pad = [], 0, -prompt % HOPS[0]
        for hop in HOPS:
            done += hop + pad
            pad = 0
            if done + self.description.flow.encoder.lookahead_tokens > tokens:
                break
            edges.append(done)
        return [*edges, None]


class Held:
    """What upstream keeps between two chunks of its vocoder."""

    def __init__(self, golden: Golden) -> None:
        self.golden = golden
        hop = golden.description.vocoder.samples_per_frame
        self.window = torch.from_numpy(np.hamming(2 * FADE_FRAMES * hop))
        self.size = FADE_FRAMES * hop
        self.mel: Tensor | None = None
        self.source: Tensor | None = None
        self.samples: Tensor | None = None

    def push(self, mel: Tensor, last: bool) -> Tensor:  # [N]
        """Vocode a chunk behind the frames held back from the one before, and fade over."""
        if self.mel is not None:
            mel = torch.cat([self.mel, mel], dim=2)
        samples, source = self.golden.sound(mel, self.source)
        if self.samples is not None:
            rise, fall = self.window[: self.size], self.window[self.size :]
            samples[: self.size] = (samples[: self.size] * rise + self.samples * fall).float()
        if last:
            return samples
        self.mel, self.source = mel[:, :, -FADE_FRAMES:], source[:, :, -self.size :]
        self.samples = samples[-self.size :]
        return samples[: -self.size]


def _whole(golden: Golden) -> Tensor:
    tokens = golden.arrays["stream_token"][0].tolist()
    return golden.sound(golden.mels(chunked=False).until(tokens, None))[0]


def _chunk_samples(golden: Golden) -> Tensor:
    ends: list[float] = [
        e or golden.arrays["stream_token"].shape[1]
        for e in golden.upstream_edges(golden.arrays["stream_token"].shape[1])
    ]
    hop = golden.description.rates.samples_per_token
    held = FADE_FRAMES * golden.description.rates.samples_per_frame
    upto = torch.tensor([end * hop - held for end in ends[:-1]] + [ends[-1] * hop])
    return upto.diff(prepend=torch.zeros(1))


Ask = Callable[[Golden], Tensor]
ASKED: dict[str, tuple[Ask, float]] = {
    "llm_logp": (Golden.logp_with_prompt, LOG_PROBABILITY),
    "llm_logp_cross": (Golden.logp_without, LOG_PROBABILITY),
    "enc_full": (lambda g: g.encoded(chunked=False), FLOAT32),
    "enc_chunked": (lambda g: g.encoded(chunked=True), FLOAT32),
    "enc_chunked_context": (lambda g: g.encoded(chunked=True, held_back=3), FLOAT32),
    "est_full": (lambda g: g.velocity(chunked=False), FLOAT32),
    "est_chunked": (lambda g: g.velocity(chunked=True), FLOAT32),
    "flow_mel": (lambda g: g.mel(chunked=False), FLOAT32),
    "flow_mel_streaming_final": (lambda g: g.mel(chunked=True), FLOAT32),
    "flow_mel_streaming_open": (lambda g: g.mel(chunked=True, held_back=3), FLOAT32),
    "hift_f0": (lambda g: g.stages.pitch(g.tensor("hift_mel")), FLOAT32),
    "hift_source": (lambda g: g.sound(g.tensor("hift_mel"))[1], PHASE_GRAIN),
    "hift_audio": (lambda g: g.sound(g.tensor("hift_mel"))[0], PHASE_GRAIN),
    "hift_audio_cached": (
        lambda g: g.sound(g.tensor("hift_mel"), g.tensor("hift_cache_source"))[0],
        PHASE_GRAIN,
    ),
    "whole_audio": (_whole, LONG_PHASE_GRAIN),
    "stream_audio": (Golden.streamed, LONG_PHASE_GRAIN),
    "stream_chunk_samples": (_chunk_samples, 0.0),
}
