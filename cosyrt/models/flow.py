"""speech tokens → mel: an encoder, then an Euler solver over a velocity function.

Shapes: B batch · S speech tokens · M mel frames · D encoder width.
Source: flow matching (arXiv:2210.02747) with classifier-free guidance (arXiv:2207.12598) as in CosyVoice 2
(arXiv:2412.10117) and 3 (arXiv:2505.17589); upstream's `flow/flow.py` and `flow/flow_matching.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cosyrt.models.conformer import ConformerConfig, LookAhead, UpsampleConformer
from cosyrt.models.dit import DiT, DiTConfig
from cosyrt.models.layers import Memory, at_mel_rate
from cosyrt.models.unet import CausalUNet, UNetConfig
from cosyrt.ranges import CHUNK, LEVEL, LOOKAHEAD, RATIO, SIZE, STEPS

Velocity = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Memory | None], Tensor]
NOISE_FRAMES = 15_000  # upstream draws this much once, so a frame's noise depends on its position alone
NOISE_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverConfig:
    """What the flows share: vocabulary, speaker vector, the way from noise to mel."""

    speech_vocabulary: int = 6561
    speaker_width: int = 192
    mel_bins: int = 80
    guidance: float = 0.7
    temperature: float = 1.0  # scale of the noise that every utterance starts from
    steps: int = 10

    @property
    def branches(self) -> int:
        """Rows of a call of the velocity for one mel: with the conditions and, under guidance, without."""
        return 1 if self.guidance == 0 else 2


def solver_settings(args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a `SolverConfig` in a model description."""
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
    """The flow of CosyVoice 2 and its two halves."""

    encoder: ConformerConfig = ConformerConfig()
    velocity: UNetConfig = UNetConfig()

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> FlowConfig:
        """From the arguments of upstream's `CausalMaskedDiffWithXvec` in a model description."""
        return cls(
            encoder=ConformerConfig.from_description(
                args["encoder"].args,
                up=RATIO.of(args, "token_mel_ratio"),
                lookahead_tokens=LOOKAHEAD.of(args, "pre_lookahead_len"),
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
    """The flow of CosyVoice 3 and its two halves."""

    encoder: LookAheadConfig = LookAheadConfig()
    velocity: DiTConfig = DiTConfig()

    @classmethod
    def from_description(cls, args: Mapping[str, Any]) -> DiTFlowConfig:
        """From the arguments of upstream's `CausalMaskedDiffWithDiT` in a model description."""
        velocity = DiTConfig.from_description(args["decoder"].args["estimator"].args)
        up = RATIO.of(args, "token_mel_ratio")
        chunk_tokens = CHUNK.checked("static_chunk_size // token_mel_ratio", velocity.chunk_frames // up)
        return cls(
            encoder=LookAheadConfig(
                width=SIZE.of(args, "input_size"),
                hidden=SIZE.of(args["pre_lookahead_layer"].args, "channels"),
                up=up,
                lookahead_tokens=LOOKAHEAD.of(args, "pre_lookahead_len"),
                chunk_tokens=chunk_tokens,
            ),
            velocity=velocity,
            **solver_settings(args),
        )


class SpeakerFlow(nn.Module):
    """What the flows share: the speaker's projection."""

    spk_embed_affine_layer: nn.Linear

    def speaker(
        self,
        vector: Tensor,  # [B, 192] speaker vector of any length
    ) -> Tensor:  # [B, 80]
        """The speaker as the velocity wants it."""
        out: Tensor = self.spk_embed_affine_layer(F.normalize(vector, dim=1))
        return out


class Flow(SpeakerFlow):
    """Token encoder and velocity of CosyVoice 2; the solver below brings them together."""

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
        """The velocity model."""
        estimator = self.decoder["estimator"]
        assert isinstance(estimator, CausalUNet)
        return estimator

    def encode(
        self,
        tokens: Tensor,  # [B, S] speech tokens, prompt first
        valid: Tensor,  # [B, S] True where a token is not padding
        mask: Tensor,  # [B, S, past + S] True where a token may look: whole or chunked
        ahead: Tensor | None = None,  # [B, lookahead] tokens that follow; None: nothing follows
        memory: Memory | None = None,  # of the tokens before these
    ) -> Tensor:  # [B, 80, M]
        """What the tokens say the mel should be, at the mel's rate."""
        x = self.input_embedding(tokens) * valid[..., None]
        context = None if ahead is None else self.input_embedding(ahead)
        wide = at_mel_rate(mask, self.config.encoder.up)
        mu: Tensor = self.encoder_proj(self.encoder(x, mask, wide, context, memory))
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
        """The velocity model."""
        estimator = self.decoder["estimator"]
        assert isinstance(estimator, DiT)
        return estimator

    def encode(
        self,
        tokens: Tensor,  # [B, S] speech tokens, prompt first
        valid: Tensor,  # [B, S] True where a token is not padding
        mask: Tensor,  # [B, S, past + S] of no use here: a token sees the few around it
        ahead: Tensor | None = None,  # [B, lookahead] tokens that follow; None: nothing follows
        memory: Memory | None = None,  # of the tokens before these
    ) -> Tensor:  # [B, 80, M]
        """What the tokens say the mel should be, at the mel's rate."""
        x = self.input_embedding(tokens) * valid[..., None]
        context = None if ahead is None else self.input_embedding(ahead)
        mu: Tensor = self.pre_lookahead_layer(x, context, memory)
        return mu.repeat_interleave(self.config.encoder.up, dim=1).transpose(1, 2)


@cache
def fixed_noise() -> Tensor:  # [1, 80, NOISE_FRAMES]
    """The noise every utterance starts from: the same for all, by position, as upstream draws it."""
    return torch.randn(1, 80, NOISE_FRAMES, generator=torch.Generator().manual_seed(NOISE_SEED))


def time_steps(steps: int) -> Tensor:  # [steps + 1] from 0 to 1
    """Cosine schedule: small steps first, where the path bends. On the host, where it is looked up."""
    return 1 - torch.cos(torch.linspace(0, 1, steps + 1) * 0.5 * torch.pi)


class Pair(NamedTuple):
    """What a velocity is given beside the mel and the time: with the conditions, then without them.

    Without guidance what it does without them counts for nothing: then there is no second half.
    """

    valid: Tensor  # [2B or B, 1, M]
    mask: Tensor  # [2B or B, M, past + M]
    mu: Tensor  # [2B or B, 80, M]
    speaker: Tensor  # [2B or B, 80]
    prompt: Tensor  # [2B or B, 80, M]

    @classmethod
    def of(
        cls,
        mask: Tensor,  # [B, M, past + M]
        mu: Tensor,  # [B, 80, M]
        speaker: Tensor,  # [B, 80]
        prompt: Tensor,  # [B, 80, M]
        guidance: float,
    ) -> Pair:
        """Both branches in one batch, the same for all steps of a solve."""
        if guidance == 0:
            return cls(torch.ones_like(mu[:, :1]), mask, mu, speaker, prompt)

        def beside_zero(y: Tensor) -> Tensor:
            return torch.cat([y, torch.zeros_like(y)])

        valid = torch.ones_like(mu[:, :1]).repeat(2, 1, 1)
        return cls(valid, torch.cat([mask, mask]), *map(beside_zero, (mu, speaker, prompt)))


def guided(
    velocity: Velocity,
    x: Tensor,  # [B, 80, M]
    pair: Pair,
    t: Tensor,  # [] time
    guidance: float,
    memory: Memory | None = None,
) -> Tensor:  # [B, 80, M]
    """Velocity pushed away from what the model would do without conditions; both branches in one batch."""
    both = x if guidance == 0 else torch.cat([x, x])
    v = velocity(both, pair.valid, pair.mask, pair.mu, t.expand(len(both)), pair.speaker, pair.prompt, memory)
    if guidance == 0:
        return v
    conditional, free = v.chunk(2)
    return (1 + guidance) * conditional - guidance * free


def solve(
    velocity: Velocity,
    noise: Tensor,  # [B, 80, M]
    mask: Tensor,  # [B, M, past + M]
    mu: Tensor,  # [B, 80, M]
    speaker: Tensor,  # [B, 80]
    prompt: Tensor,  # [B, 80, M]
    *,
    steps: int,
    guidance: float,
    memories: Sequence[Memory] | None = None,  # of the frames before these, one a step
) -> Tensor:  # [B, 80, M] mel
    """Euler's method from noise to mel along the guided velocity."""
    x, times, pair = noise, time_steps(steps), Pair.of(mask, mu, speaker, prompt, guidance)
    for i in range(steps):
        memory = None if memories is None else memories[i].begin()
        v = guided(velocity, x, pair, times[i], guidance, memory)
        x = x + (times[i + 1] - times[i]) * v
    return x
