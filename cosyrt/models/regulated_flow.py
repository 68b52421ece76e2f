"""speech tokens → mel in CosyVoice 1: an encoder at the token rate, a length regulator, a velocity.

Shapes: B batch · S speech tokens · M mel frames · D encoder width.
Source: CosyVoice (arXiv:2407.05407); upstream's `flow/flow.py` (MaskedDiffWithXvec) and
`flow/length_regulator.py`. The solver is `solver.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.conformer import BlocksConfig, Conformer
from cosyrt.models.flow import SolverConfig, SpeakerFlow, solver_settings
from cosyrt.models.full_unet import FullUNet, FullUNetConfig
from cosyrt.models.stream_cache import StreamCache
from cosyrt.ranges import RATIO


@dataclass(frozen=True, slots=True, kw_only=True)
class RegulatedFlowConfig(SolverConfig):
    """Settings of the flow of CosyVoice 1 and of its parts."""

    speech_vocabulary: int = 4096
    encoder: BlocksConfig = BlocksConfig()
    smoothings: int = 4  # convolutions of the length regulator
    velocity: FullUNetConfig = FullUNetConfig()

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> RegulatedFlowConfig:
        """Read the arguments of upstream's `MaskedDiffWithXvec` in a model description."""
        return cls(
            encoder=BlocksConfig.from_description(args["encoder"].args),
            smoothings=len(RATIO.each(args["length_regulator"].args, "sampling_ratios")),
            velocity=FullUNetConfig.from_description(args["decoder"].args["estimator"].args),
            **solver_settings(args),
        )


class LengthRegulator(nn.Module):
    """Stretch an encoding at the token rate to mu at the mel rate, then smooth it."""

    def __init__(self, channels: int, smoothings: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(smoothings):
            conv = nn.Conv1d(channels, channels, 3, padding=1)
            layers += [conv, nn.GroupNorm(1, channels), nn.Mish()]
        self.model = nn.Sequential(*layers, nn.Conv1d(channels, channels, 1))

    def forward(
        self,
        x: Tensor,  # [B, 80, S]
        stretches: Sequence[tuple[int, int]],  # tokens, and the frames they become: all of S, in order
    ) -> Tensor:  # [B, 80, M]
        parts = torch.split(x, [tokens for tokens, _ in stretches], dim=2)
        sizes = [frames for _, frames in stretches]
        stretched = [
            F.interpolate(part, size=size, mode="linear") for part, size in zip(parts, sizes, strict=True)
        ]
        out: Tensor = self.model(torch.cat(stretched, dim=2))
        return out


class RegulatedFlow(SpeakerFlow):
    """Token encoder, length regulator and velocity of CosyVoice 1."""

    def __init__(self, config: RegulatedFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.input_embedding = nn.Embedding(config.speech_vocabulary, config.encoder.inputs)
        self.spk_embed_affine_layer = nn.Linear(config.speaker_width, config.mel_bins)
        self.encoder = Conformer(config.encoder)
        self.encoder_proj = nn.Linear(config.encoder.width, config.mel_bins)
        self.length_regulator = LengthRegulator(config.mel_bins, config.smoothings)
        self.decoder = nn.ModuleDict({"estimator": FullUNet(config.velocity)})

    @property
    def velocity(self) -> FullUNet:
        """Velocity network."""
        estimator = self.decoder["estimator"]
        assert isinstance(estimator, FullUNet)
        return estimator

    def encode(
        self,
        tokens: Tensor,  # [B, S] speech tokens, prompt first
        valid: Tensor,  # [B, S] True where a token is not padding
        mask: Tensor,  # [B, S, S] True where a token may look
        lookahead: Tensor | None = None,  # none: every token attends to those that follow
        cache: StreamCache | None = None,  # none, for the same reason
    ) -> Tensor:  # [B, 80, S]
        """Encode tokens at their own rate; `regulate` makes mu of it."""
        assert lookahead is None and cache is None, "this encoder looks both ways"
        x = self.input_embedding(tokens) * valid[..., None]
        encoded: Tensor = self.encoder_proj(self.encoder(x, mask))
        return encoded.transpose(1, 2)

    def regulate(
        self,
        encoded: Tensor,  # [B, 80, S]
        stretches: Sequence[tuple[int, int]],
    ) -> Tensor:  # [B, 80, M]
        """Bring an encoding to the mel's rate."""
        out: Tensor = self.length_regulator(encoded, stretches)
        return out
