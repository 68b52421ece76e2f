"""speech tokens → mel, chunk by chunk, cut where nothing can change any more.

Shapes: B batch (1 here) · P prompt tokens · S speech tokens · M mel frames.
The past is computed again for each chunk; hops grow so that this stays affordable. What comes out is what one
pass over all tokens with the chunk mask gives: `tests/engine/test_mel_stream.py` holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.frontend.voice import Voice
from cosyrt.models.flow import NOISE_FRAMES, FlowConfig, fixed_noise, solve
from cosyrt.models.layers import visible


@dataclass(frozen=True, slots=True)
class Condition:
    """A voice as the flow wants it, on the device."""

    tokens: Tensor  # [1, P]
    mel: Tensor  # [1, 80, up · P]
    speaker: Tensor  # [1, 80]

    @classmethod
    def of(cls, voice: Voice, stages: Stages, device: torch.device) -> Condition:
        """Prompt and speaker vector of a registered voice; the prompt may be empty."""

        def there(array: np.ndarray, dtype: torch.dtype) -> Tensor:
            return torch.from_numpy(np.array(array)).to(device, dtype)[None]

        return cls(
            tokens=there(voice.speech_tokens, torch.long),
            mel=there(voice.mel, torch.float32).transpose(1, 2),
            speaker=stages.speaker(there(voice.speaker, torch.float32)),
        )


class MelStream:
    """The mel of one utterance; `chunked` tells whether frames see their own chunk and the past, or everything."""

    def __init__(self, stages: Stages, config: FlowConfig, condition: Condition, *, chunked: bool) -> None:
        self.stages, self.config, self.condition, self.chunked = stages, config, condition, chunked
        self.noise = fixed_noise().to(condition.mel)
        self.done_tokens = 0

    def until(
        self,
        tokens: list[int],
        edge: int | None,
    ) -> Tensor:  # [1, 80, M] the frames that are new
        """The mel up to `edge` tokens, which must lie on an edge and be followed by the look-ahead; None: to the end."""
        lookahead = self.config.encoder.lookahead_tokens
        own = torch.tensor([tokens if edge is None else tokens[: edge + lookahead]], dtype=torch.long)
        every = torch.cat([self.condition.tokens, own.to(self.condition.tokens.device)], dim=1)
        heard, ahead = (every, None) if edge is None else (every[:, :-lookahead], every[:, -lookahead:])
        assert edge is None or heard.shape[1] == self.condition.tokens.shape[1] + edge
        mel = self.mel(heard, ahead)[:, :, self.condition.mel.shape[2] + self.config.encoder.up * self.done_tokens :]
        self.done_tokens = len(tokens) if edge is None else edge
        return mel

    def mel(
        self,
        tokens: Tensor,  # [1, P + S]
        ahead: Tensor | None,  # [1, lookahead]
    ) -> Tensor:  # [1, 80, M] prompt included
        """Encode, then solve from the fixed noise."""
        c = self.config
        frames = tokens.shape[1] * c.encoder.up
        if frames > NOISE_FRAMES:
            raise SpeechError(
                f"one piece of text became {frames / 50:.0f} s of speech with its prompt, {NOISE_FRAMES / 50:.0f} s "
                "is the most; split the text or choose a shorter prompt"
            )
        real = torch.ones_like(tokens, dtype=torch.bool)
        sees = visible(real, c.encoder.chunk_tokens if self.chunked else None)
        mu = self.stages.encode(tokens, real, sees, ahead)
        prompt = torch.zeros_like(mu)
        prompt[:, :, : self.condition.mel.shape[2]] = self.condition.mel
        sees_up = sees.repeat_interleave(c.encoder.up, dim=1).repeat_interleave(c.encoder.up, dim=2)
        noise = self.noise[:, :, :frames]
        return solve(
            self.stages.velocity, noise, sees_up, mu, self.condition.speaker, prompt, steps=c.steps, guidance=c.guidance
        )
