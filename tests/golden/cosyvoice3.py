"""Questions that upstream's CosyVoice 3 has answered, for ours to answer."""

from __future__ import annotations

import torch
from torch import Tensor

from cosyrt.engine.vocoder_stream import CausalVocoderStream
from tests.golden.questions import FLOAT32, LOG_PROBABILITY, LONG_PHASE_GRAIN, PHASE_GRAIN, Golden

HELD_BACK_FRAMES = 8  # by upstream, of each chunk; ours wait for half as many


class CosyVoice3(Golden):
    """A set of CosyVoice 3."""

    family = "cosyvoice3"

    def logp_without(self) -> Tensor:
        """Cross-lingual: the opening, which is the prompt's text here, stays."""
        text = torch.cat([self.tensor("prompt_text"), self.tensor("text")], dim=1)
        return self.logp(text, torch.zeros(1, 0, dtype=torch.long), len(self.arrays["llm_logp_cross"]))

    def source(self) -> Tensor:  # [1, 1, N]
        """The excitation without noise."""
        return self.stages.excite(self.stages.pitch(self.tensor("hift_mel"), None, None), None, None)

    def audio(self) -> CausalVocoderStream:
        """A stream of samples without noise."""
        return CausalVocoderStream(self.stages, self.settings.vocoder, None)

    def unfinalized(self) -> Tensor:  # [N]
        """Samples that upstream gives of a mel that goes on."""
        samples = self.audio().push(self.tensor("hift_mel"), False)
        return samples[: self.arrays["hift_audio_unfinalized"].shape[1]]

    def streamed(self) -> Tensor:  # [N]
        """Upstream's hops (cli/model.py) on our stages; the last chunk is not masked."""
        tokens = self.arrays["stream_token"][0].tolist()
        audio, chunks, done = self.audio(), [], 0
        for end in self.upstream_boundaries(len(tokens)):
            mels = self.mels(chunked=end is not None)
            mels.done_tokens = done
            chunks.append(audio.push(mels.until(tokens, end), last=end is None))
            done = end or 0
        return torch.cat(chunks)

    def whole(self) -> Tensor:  # [N]
        """Tokens to samples in one piece."""
        tokens = self.arrays["stream_token"][0].tolist()
        return self.audio().push(self.mels(chunked=False).until(tokens, None), True)

    def chunk_samples(self) -> Tensor:  # [chunks]
        """How many samples upstream gives at a time."""
        total = self.arrays["stream_token"].shape[1]
        rates = self.settings.rates
        held = HELD_BACK_FRAMES * rates.samples_per_frame
        boundaries = self.upstream_boundaries(total)
        upto = [total if end is None else end for end in boundaries]
        given = [
            end * rates.samples_per_token - (held if boundary else 0)
            for end, boundary in zip(upto, boundaries, strict=True)
        ]
        return torch.tensor(given).diff(prepend=torch.zeros(1))


CosyVoice3.asked = {
    "llm_logp": (CosyVoice3.logp_with_prompt, LOG_PROBABILITY),
    "llm_logp_cross": (CosyVoice3.logp_without, LOG_PROBABILITY),
    "est_full": (lambda g: g.velocity(chunked=False), FLOAT32),
    "est_chunked": (lambda g: g.velocity(chunked=True), FLOAT32),
    "flow_mel": (lambda g: g.mel(chunked=False), FLOAT32),
    "flow_mel_streaming_final": (lambda g: g.mel(chunked=True), FLOAT32),
    "flow_mel_streaming_open": (lambda g: g.mel(chunked=True, held_back=3), FLOAT32),
    "hift_f0": (lambda g: g.stages.pitch(g.tensor("hift_mel"), None, None), FLOAT32),
    "hift_source": (CosyVoice3.source, PHASE_GRAIN),
    "hift_audio": (lambda g: g.audio().push(g.tensor("hift_mel"), True), PHASE_GRAIN),
    "hift_audio_unfinalized": (CosyVoice3.unfinalized, PHASE_GRAIN),
    "whole_audio": (CosyVoice3.whole, LONG_PHASE_GRAIN),
    "stream_audio": (CosyVoice3.streamed, LONG_PHASE_GRAIN),
    "stream_chunk_samples": (CosyVoice3.chunk_samples, 0.0),
}
