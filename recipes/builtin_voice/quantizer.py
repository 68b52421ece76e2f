"""The speech tokenizer of the built-in voice: whisper log-mel to 25 tokens a second by scalar quantisation.

The quantiser is CosyVoice 2's (Mentzer et al., "Finite Scalar Quantization", 2023): project, tanh, round to
-1, 0, 1, read the digits as a number in base 3. What the tokens must carry is taught by two readers: the
phones that sound (two labels a token) and, given the voice, the mel spectrogram and the pitch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS, DIMS = 3, 7
SPEECH_VOCABULARY = LEVELS**DIMS


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """Sizes; 3 to the power of `dims` speech tokens."""

    dims: int = DIMS
    width: int = 176
    phones: int = 1
    voices: int = 1

    @property
    def vocab(self) -> int:
        """How many speech tokens there are."""
        return LEVELS**self.dims


class ConvBlock(nn.Module):
    """Residual: layer norm, convolution over time, GELU, mixing of channels."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(
        self,
        x: Tensor,  # [B, D, T]
        mask: Tensor | None,  # [B, 1, T]
    ) -> Tensor:  # [B, D, T]
        """Padding stays zero, as it is beyond the end of a sound that stands alone."""
        normed = masked(self.norm(x.transpose(1, 2)).transpose(1, 2), mask)
        return masked(x + self.mix(F.gelu(self.conv(normed))), mask)


class Encoder(nn.Module):
    """Whisper log-mel to token ids; this is the part that becomes speech_tokenizer_v2.onnx."""

    powers: Tensor  # [dims]

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        self.conv1 = nn.Conv1d(128, width, 3, stride=2, padding=1)
        self.blocks1 = nn.ModuleList([ConvBlock(width, 5), ConvBlock(width, 5)])
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks2 = nn.ModuleList([ConvBlock(width, 5) for _ in range(3)])
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, config.dims)
        self.register_buffer("powers", LEVELS ** torch.arange(config.dims), persistent=False)

    def continuous(
        self,
        features: Tensor,  # [B, 128, T]
        lengths: Tensor | None = None,  # [B] tokens, when padded
    ) -> Tensor:  # [B, S, dims] in (-1, 1)
        """What is to be rounded."""
        mask1 = mask2 = None
        if lengths is not None:
            mask2 = token_mask(lengths, features.shape[2] // 4)[:, None]
            mask1 = mask2.repeat_interleave(2, dim=2)
        x = masked(F.gelu(self.conv1(features)), mask1)
        for block in self.blocks1:
            x = block(x, mask1)
        x = masked(self.conv2(x), mask2)
        for block in self.blocks2:
            x = block(x, mask2)
        return torch.tanh(self.project(self.norm(x.transpose(1, 2))).float()) * 0.999

    def ids(self, code: Tensor) -> Tensor:  # [B, S, dims] -> int64 [B, S]
        """The digits of the rounded code as a number, lowest first."""
        return ((torch.round(code) + 1).long() * self.powers).sum(-1)

    def forward(
        self,
        features: Tensor,  # [1, 128, T]
        length: Tensor,  # int32 [1] = T
    ) -> Tensor:  # int32 [1, ceil(T / 4)]
        """Token ids, with the inputs of the official file."""
        tokens = torch.div(length.long() + 3, 4, rounding_mode="floor")[0]
        return self.ids(self.continuous(features))[:, :tokens].int()


class Tokenizer(nn.Module):
    """Encoder, quantiser and the two readers that train them."""

    mel_mean: Tensor  # [80]
    mel_std: Tensor  # [80]

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.encoder = Encoder(config)
        self.embed = nn.Linear(config.dims, width)
        self.trunk = nn.ModuleList([ConvBlock(width, 3) for _ in range(2)])
        self.phone_head = nn.Linear(width, 2 * config.phones)
        self.voice = nn.Embedding(config.voices, width)
        self.detail = nn.ModuleList([ConvBlock(width, 3) for _ in range(3)])
        self.mel_head = nn.Linear(width, 2 * 80)
        self.pitch_head = nn.Linear(width, 2 * 2)
        self.register_buffer("mel_mean", torch.zeros(80))
        self.register_buffer("mel_std", torch.ones(80))

    def read(
        self,
        code: Tensor,  # [B, S, dims] rounded
        voices: Tensor,  # int64 [B]
        lengths: Tensor,  # int64 [B]
    ) -> tuple[Tensor, Tensor, Tensor]:  # [B, 2S, phones], [B, 2S, 80], [B, 2S, 2]
        """Phone scores, normalised mel, and (voiced score, log pitch) of every mel frame."""
        batch, frames = code.shape[0], 2 * code.shape[1]
        mask = token_mask(lengths, code.shape[1])[:, None]
        x = masked(self.embed(code).transpose(1, 2), mask)
        for block in self.trunk:
            x = block(x, mask)
        phones = self.phone_head(x.transpose(1, 2))
        x = masked(x + self.voice(voices)[:, :, None], mask)
        for block in self.detail:
            x = block(x, mask)
        x = x.transpose(1, 2)
        return (
            phones.reshape(batch, frames, -1),
            self.mel_head(x).reshape(batch, frames, 80),
            self.pitch_head(x).reshape(batch, frames, 2),
        )


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """x where the mask holds, zero elsewhere."""
    return x if mask is None else x * mask


def token_mask(lengths: Tensor, tokens: int) -> Tensor:  # bool [B, S]
    """True within each length."""
    return torch.arange(tokens, device=lengths.device) < lengths[:, None]


def straight_through(code: Tensor) -> Tensor:
    """Rounded forwards, untouched backwards."""
    return code + (torch.round(code) - code).detach()
