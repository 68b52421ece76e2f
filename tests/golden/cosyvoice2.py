"""Questions that upstream's CosyVoice 2 has answered, for ours to answer."""

from __future__ import annotations

import torch
from torch import Tensor

from cosyrt.models.layers import at_mel_rate, attention_mask
from tests.golden.held import Held
from tests.golden.questions import FLOAT32, LOG_PROBABILITY, LONG_PHASE_GRAIN, PHASE_GRAIN, Golden

FADE_FRAMES = 8  # how much upstream holds back and cross-fades between chunks


class CosyVoice2(Golden):
    """A set of CosyVoice 2."""

    family = "cosyvoice2"

    def encoded(self, chunked: bool, held_back: int = 0) -> Tensor:  # [1, M, D]
        x = self.tensor("enc_in")
        heard, ahead = x[:, : x.shape[1] - held_back], x[:, x.shape[1] - held_back :] if held_back else None
        chunk = self.settings.flow.encoder.chunk_tokens if chunked else None
        mask = attention_mask(torch.ones(1, heard.shape[1], dtype=torch.bool), chunk)
        out: Tensor = self.networks.flow.encoder(
            heard, mask, at_mel_rate(mask, self.networks.flow.config.encoder.up), ahead
        )
        return out

    def streamed(self) -> Tensor:  # [N]
        """Upstream's hops and fades (cli/model.py) on our stages; the last chunk is not masked."""
        tokens = self.arrays["stream_token"][0].tolist()
        chunks, done = [], 0
        held = Held(self, FADE_FRAMES)
        for end in self.upstream_boundaries(len(tokens)):
            mels = self.mels(chunked=end is not None)
            mels.done_tokens = done
            chunks.append(held.push(mels.until(tokens, end), last=end is None))
            done = end or 0
        return torch.cat(chunks)


def _whole(golden: CosyVoice2) -> Tensor:
    tokens = golden.arrays["stream_token"][0].tolist()
    return golden.sound(golden.mels(chunked=False).until(tokens, None))[0]


def _chunk_samples(golden: CosyVoice2) -> Tensor:
    ends: list[float] = [
        e or golden.arrays["stream_token"].shape[1]
        for e in golden.upstream_boundaries(golden.arrays["stream_token"].shape[1])
    ]
    hop = golden.settings.rates.samples_per_token
    held = FADE_FRAMES * golden.settings.rates.samples_per_frame
    upto = torch.tensor([end * hop - held for end in ends[:-1]] + [ends[-1] * hop])
    return upto.diff(prepend=torch.zeros(1))


CosyVoice2.asked = {
    "llm_logp": (CosyVoice2.logp_with_prompt, LOG_PROBABILITY),
    "llm_logp_cross": (CosyVoice2.logp_without, LOG_PROBABILITY),
    "enc_full": (lambda g: g.encoded(chunked=False), FLOAT32),
    "enc_chunked": (lambda g: g.encoded(chunked=True), FLOAT32),
    "enc_chunked_context": (lambda g: g.encoded(chunked=True, held_back=3), FLOAT32),
    "est_full": (lambda g: g.velocity(chunked=False), FLOAT32),
    "est_chunked": (lambda g: g.velocity(chunked=True), FLOAT32),
    "flow_mel": (lambda g: g.mel(chunked=False), FLOAT32),
    "flow_mel_streaming_final": (lambda g: g.mel(chunked=True), FLOAT32),
    "flow_mel_streaming_open": (lambda g: g.mel(chunked=True, held_back=3), FLOAT32),
    "hift_f0": (lambda g: g.stages.pitch(g.tensor("hift_mel"), None, None), FLOAT32),
    "hift_source": (lambda g: g.sound(g.tensor("hift_mel"))[1], PHASE_GRAIN),
    "hift_audio": (lambda g: g.sound(g.tensor("hift_mel"))[0], PHASE_GRAIN),
    "hift_audio_cached": (
        lambda g: g.sound(g.tensor("hift_mel"), g.tensor("hift_cache_source"))[0],
        PHASE_GRAIN,
    ),
    "whole_audio": (_whole, LONG_PHASE_GRAIN),
    "stream_audio": (CosyVoice2.streamed, LONG_PHASE_GRAIN),
    "stream_chunk_samples": (_chunk_samples, 0.0),
}
