"""speech tokens → mel: the encoder and the velocity of CosyVoice 2 and 3; `solver.py` brings them together.

Shapes: B batch · S speech tokens · M mel frames · D encoder width.
Source: CosyVoice 2 (arXiv:2412.10117) and 3 (arXiv:2505.17589); upstream's `flow/flow.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.conformer import ConformerConfig, LookAhead, UpsampleConformer
from cosyrt.models.dit import DiT, DiTConfig
from cosyrt.models.layers import at_mel_rate
from cosyrt.models.solver import Solver, euler
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.unet import CausalUNet, UNetConfig
from cosyrt.ranges import CHUNK, LEVEL, LOOKAHEAD, RATIO, SIZE, STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverConfig:
    """Settings that all flows share: vocabulary, speaker vector, solver."""

    speech_vocabulary: int = 6561
    speaker_width: int = 192
    mel_bins: int = 80
    guidance: float = 0.7
    temperature: float = 1.0  # scale of the noise that every utterance starts from
    steps: int = 10
    approximation: Solver | None = None  # in place of the steps that the model ships with

    @property
    def solver(self) -> Solver:
        """The steps from noise to mel."""
        return self.approximation or euler(self.steps, self.guidance)

    @property
    def branches(self) -> int:
        """Rows of a velocity call for one mel: one with the conditions and, under guidance, one without."""
        return 1 if self.guidance == 0 else 2


def solver_settings(args: Mapping[str, Any]) -> dict[str, Any]:
    """Read the arguments of a `SolverConfig` from a model description."""
    solver = args["decoder"].args["cfm_params"].args["content"]
    return {
        "speech_vocabulary": SIZE.of(args, "vocab_size"),
        "speaker_width": SIZE.of(args, "spk_embed_dim"),
        "mel_bins": SIZE.of(args, "output_size"),
        "guidance": LEVEL.of(solver, "inference_cfg_rate"),
        "temperature": LEVEL.of(solver, "temperature", 1.0),
        "steps": STEPS.of(solver, "n_timesteps", 10),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConfig(SolverConfig):
    """Settings of the flow of CosyVoice 2 and of its two halves."""

    encoder: ConformerConfig = ConformerConfig()
    velocity: UNetConfig = UNetConfig()

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> FlowConfig:
        """Read the arguments of upstream's `CausalMaskedDiffWithXvec` in a model description."""
        return cls(
            encoder=ConformerConfig.from_description(
                args["encoder"].args,
                up=RATIO.of(args, "token_mel_ratio", 2),
                lookahead_tokens=LOOKAHEAD.of(args, "pre_lookahead_len", 3),
            ),
            velocity=UNetConfig.from_description(args["decoder"].args["estimator"].args),
            **solver_settings(args),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAheadConfig:
    """Sizes of the token encoder of CosyVoice 3, which is a look-ahead and nothing else."""

    width: int = 80
    hidden: int = 1024
    up: int = 2
    lookahead_tokens: int = 3
    chunk_tokens: int = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class DiTFlowConfig(SolverConfig):
    """Settings of the flow of CosyVoice 3 and of its two halves."""

    encoder: LookAheadConfig = LookAheadConfig()
    velocity: DiTConfig = DiTConfig()

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> DiTFlowConfig:
        """Read the arguments of upstream's `CausalMaskedDiffWithDiT` in a model description."""
        velocity = DiTConfig.from_description(args["decoder"].args["estimator"].args)
        up = RATIO.of(args, "token_mel_ratio", 2)
        chunk_tokens = CHUNK.checked("static_chunk_size // token_mel_ratio", velocity.chunk_frames // up)
        return cls(
            encoder=LookAheadConfig(
                width=SIZE.of(args, "input_size"),
                hidden=SIZE.of(args["pre_lookahead_layer"].args, "channels"),
                up=up,
                lookahead_tokens=LOOKAHEAD.of(args, "pre_lookahead_len", 3),
                chunk_tokens=chunk_tokens,
            ),
            velocity=velocity,
            **solver_settings(args),
        )


class SpeakerFlow(nn.Module):
    """Base of all flows: the projection of the speaker vector."""

    spk_embed_affine_layer: nn.Linear

    def speaker(
        self,
        vector: Tensor,  # [B, 192] speaker vector of any length
    ) -> Tensor:  # [B, 80]
        """Project a speaker vector for the velocity."""
        out: Tensor = self.spk_embed_affine_layer(F.normalize(vector, dim=1))
        return out


class Flow(SpeakerFlow):
    """Token encoder and velocity of CosyVoice 2."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.input_embedding = nn.Embedding(config.speech_vocabulary, config.encoder.width)
        self.spk_embed_affine_layer = nn.Linear(config.speaker_width, config.mel_bins)
        self.encoder = UpsampleConformer(config.encoder)
        self.encoder_proj = nn.Linear(config.encoder.width, config.mel_bins)
        self.decoder = nn.ModuleDict({"estimator": CausalUNet(config.velocity)})

    @property
    def velocity(self) -> CausalUNet:
        """Velocity network."""
        estimator = self.decoder["estimator"]
        assert isinstance(estimator, CausalUNet)
        return estimator

    def encode(
        self,
        tokens: Tensor,  # [B, S] speech tokens, prompt first
        valid: Tensor,  # [B, S] True where a token is not padding
        mask: Tensor,  # [B, S, past + S] True where a token may look: whole or chunked
        lookahead: Tensor | None = None,  # [B, lookahead] tokens that follow; None: nothing follows
        cache: StreamCache | None = None,  # of the tokens before these
    ) -> Tensor:  # [B, 80, M]
        """Encode tokens to mu, the mel that they suggest, at the mel's rate."""
        x = self.input_embedding(tokens) * valid[..., None]
        context = None if lookahead is None else self.input_embedding(lookahead)
        wide = at_mel_rate(mask, self.config.encoder.up)
        mu: Tensor = self.encoder_proj(self.encoder(x, mask, wide, context, cache))
        return mu.transpose(1, 2)


class DiTFlow(SpeakerFlow):
    """Token encoder and velocity of CosyVoice 3."""

    def __init__(self, config: DiTFlowConfig) -> None:
        super().__init__()
        self.config = config
        c = config.encoder
        self.input_embedding = nn.Embedding(config.speech_vocabulary, c.width)
        self.spk_embed_affine_layer = nn.Linear(config.speaker_width, config.mel_bins)
        self.pre_lookahead_layer = LookAhead(c.width, c.lookahead_tokens, c.hidden)
        self.decoder = nn.ModuleDict({"estimator": DiT(config.velocity)})

    @property
    def velocity(self) -> DiT:
        """Velocity network."""
        estimator = self.decoder["estimator"]
        assert isinstance(estimator, DiT)
        return estimator

    def encode(
        self,
        tokens: Tensor,  # [B, S] speech tokens, prompt first
        valid: Tensor,  # [B, S] True where a token is not padding
        mask: Tensor,  # [B, S, past + S] unused: only the few tokens around one reach it
        lookahead: Tensor | None = None,  # [B, lookahead] tokens that follow; None: nothing follows
        cache: StreamCache | None = None,  # of the tokens before these
    ) -> Tensor:  # [B, 80, M]
        """Encode tokens to mu, the mel that they suggest, at the mel's rate."""
        x = self.input_embedding(tokens) * valid[..., None]
        context = None if lookahead is None else self.input_embedding(lookahead)
        mu: Tensor = self.pre_lookahead_layer(x, context, cache)
        return mu.repeat_interleave(self.config.encoder.up, dim=1).transpose(1, 2)
