"""Questions that upstream's CosyVoice 1 has answered, for ours to answer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cosyrt.engine.window_stream import WindowStream, full_mask
from tests.golden.held import Held
from tests.golden.questions import FLOAT32, LOG_PROBABILITY, LONG_PHASE_GRAIN, PHASE_GRAIN, Golden

FADE_FRAMES = 20  # how much upstream's vocoder holds back and cross-fades between chunks


class UpstreamWindows(WindowStream):
    """Windows joined as upstream joins them: fresh noise by place in the window, a Hamming fade."""

    fresh: Tensor  # [1, 80, M] what upstream drew
    kept_noise: Tensor | None = None

    def start(self, frames: int) -> Tensor:
        prompt = self.condition.mel.shape[2]
        noise = self.fresh[:, :, : prompt + frames]
        if self.kept_noise is not None:
            noise = torch.cat([self.kept_noise, noise[:, :, self.kept_noise.shape[2] :]], dim=2)
        self.kept_noise = torch.cat([noise[:, :, :prompt], noise[:, :, -self.overlap :]], dim=2)
        return noise

    def fade(self, before: Tensor, after: Tensor) -> Tensor:
        window = torch.from_numpy(np.hamming(2 * self.overlap)).float()
        return after * window[: self.overlap] + before * window[self.overlap :]


class CosyVoice(Golden):
    """A set of CosyVoice 1."""

    family = "cosyvoice"

    def logp_with_prompt(self) -> Tensor:
        text = torch.cat([self.tensor("prompt_text"), self.tensor("text")], dim=1)
        speech, speaker = self.tensor("prompt_speech_token"), self.tensor("embedding")
        return self.logp(text, speech, len(self.arrays["llm_logp"]), speaker)

    def encoded(self) -> Tensor:  # [1, S, D]
        x = self.tensor("enc_in")
        out: Tensor = self.networks.flow.encoder(x, full_mask(x.shape[1], x))
        return out

    def windows(self, chunked: bool) -> UpstreamWindows:
        """A mel stream with the set's prompt and noise."""
        d = self.settings
        windows = UpstreamWindows(
            self.stages, d.flow, self.condition(), chunked=chunked, rates=d.rates, chunking=d.chunking
        )
        windows.fresh = self.tensor("flow_noise")
        return windows

    def mel(self, chunked: bool, held_back: int = 0) -> Tensor:  # [1, 80, M]
        return self.windows(chunked).until(self.arrays["flow_token"][0].tolist(), None)

    def streamed(self) -> list[Tensor]:  # [N] each
        """Upstream's windows and fades (cli/model.py) on our stages."""
        tokens = self.arrays["stream_token"][0].tolist()
        windows, held, chunks = self.windows(chunked=True), Held(self, FADE_FRAMES), []
        while windows.boundary is not None and windows.boundary + windows.overlap_tokens <= len(tokens):
            chunks.append(held.push(windows.until(tokens, windows.boundary), last=False))
        return [*chunks, held.push(windows.until(tokens, None), last=True)]

    def whole(self) -> Tensor:  # [N]
        """Tokens to samples in one piece."""
        tokens = self.arrays["stream_token"][0].tolist()
        return self.sound(self.windows(chunked=False).until(tokens, None))[0]


CosyVoice.asked = {
    "llm_logp": (CosyVoice.logp_with_prompt, LOG_PROBABILITY),
    "llm_logp_cross": (CosyVoice.logp_without, LOG_PROBABILITY),
    "enc_out": (CosyVoice.encoded, FLOAT32),
    "flow_mel": (lambda g: g.mel(chunked=False), FLOAT32),
    "hift_f0": (lambda g: g.stages.pitch(g.tensor("hift_mel"), None, None), FLOAT32),
    "hift_source": (lambda g: g.sound(g.tensor("hift_mel"))[1], PHASE_GRAIN),
    "hift_audio": (lambda g: g.sound(g.tensor("hift_mel"))[0], PHASE_GRAIN),
    "hift_audio_cached": (
        lambda g: g.sound(g.tensor("hift_mel"), g.tensor("hift_cache_source"))[0],
        PHASE_GRAIN,
    ),
    "whole_audio": (CosyVoice.whole, LONG_PHASE_GRAIN),
    "stream_audio": (lambda g: torch.cat(g.streamed()), LONG_PHASE_GRAIN),
    "stream_chunk_samples": (lambda g: torch.tensor([len(chunk) for chunk in g.streamed()]), 0.0),
}
