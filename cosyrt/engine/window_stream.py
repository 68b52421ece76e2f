"""speech tokens → mel in CosyVoice 1, whose flow looks both ways: windows that overlap and are faded over.

Shapes: B batch (1 here) · P prompt tokens · S speech tokens · M mel frames · F frames of the overlap.
Every window is the prompt, the tokens of one hop and those of the overlap; what came before is not seen, so
that a window costs the same however long the past. Where two windows overlap they start from the same noise
and the same encoding, as everywhere in the prompt, and the mel passes from one to the other.
Source: upstream's `cli/model.py` (CosyVoiceModel) and `flow/flow_matching.py` (the cache of ConditionalCFM).
There the fade is a Hamming window, whose halves sum to 1.08, and noise and encoding of 34 frames are shared,
also where the overlap is 68 (the 25 Hz model).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.stages import Stages
from cosyrt.models.regulated_flow import RegulatedFlowConfig
from cosyrt.models.solver import NOISE_FRAMES, begin, fixed_noise, solve
from cosyrt.units import Rates

HOP_S, LONGEST_HOP_S = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """How a stream is cut: a window every `hop_tokens`, each hop `growth` times the one before."""

    hop_tokens: int = 100
    growth: float = 1.0  # a longer hop sounds better, costs less a token and waits longer
    longest_tokens: int = 200
    lookahead_tokens: int = 20  # the overlap: what a window is given beyond its hop

    @classmethod
    def at(cls, token_hz: int) -> WindowPlan:
        """Upstream's: hops of 2 s that may grow to 4, and 20 tokens."""
        return cls(hop_tokens=HOP_S * token_hz, longest_tokens=LONGEST_HOP_S * token_hz)

    def first_edge(self, prompt_tokens: int) -> int:
        """End of the first hop, in tokens after the prompt, whatever its length."""
        return self.hop_tokens

    def edges(self, prompt_tokens: int) -> Iterator[int]:
        """Where the hops end, in tokens after the prompt, whatever its length; endless."""
        edge = hop = self.hop_tokens
        while True:
            yield edge
            hop = min(int(hop * self.growth), self.longest_tokens)
            edge += hop


class WindowStream:
    """The mel of one utterance; with `chunked` window by window, else in one."""

    def __init__(
        self,
        stages: Stages,
        config: RegulatedFlowConfig,
        condition: Condition,
        *,
        chunked: bool,
        rates: Rates,
        plan: WindowPlan,
    ) -> None:
        self.stages, self.config, self.condition, self.rates = stages, config, condition, rates
        self.overlap_tokens = plan.lookahead_tokens
        self.overlap = rates.frames(plan.lookahead_tokens)
        self.edges = plan.edges(condition.tokens.shape[1]) if chunked else iter(())
        self.edge = next(self.edges, None)
        self.noise = config.temperature * fixed_noise().to(condition.mel)
        self.done_tokens = self.given = 0  # tokens whose window is done, frames handed out
        self.kept: Tensor | None = None  # [1, 80, F] mel of the overlap, to be faded into the next window
        self.kept_mu: Tensor | None = None  # [1, 80, prompt + F] its encoding, and that of the prompt

    def until(
        self,
        tokens: list[int],
        edge: int | None,
    ) -> Tensor:  # [1, 80, M] the frames that are new
        """The mel up to `edge` tokens, which must have their overlap behind them; None: all."""
        windows: list[Tensor] = []
        limit = len(tokens) - self.overlap_tokens
        while self.edge is not None and self.edge <= (limit if edge is None else edge):
            windows.append(self.window(tokens[self.done_tokens : self.edge + self.overlap_tokens], False))
            self.done_tokens, self.edge = self.edge, next(self.edges, None)
        if edge is None:
            windows.append(self.window(tokens[self.done_tokens :], True))
        return torch.cat(windows, dim=2)

    def window(self, tokens: list[int], last: bool) -> Tensor:  # [1, 80, M]
        """One window, without the overlap that the next one takes over."""
        c, prompt = self.condition, self.condition.mel.shape[2]
        frames = self.rates.frames(len(tokens))
        state = begin(
            self.start(frames),
            all_seen(prompt + frames, c.mel),
            self.mu(tokens, frames),
            c.speaker,
            F.pad(c.mel, (0, frames)),
            steps=self.config.steps,
            guidance=self.config.guidance,
        )
        mel = solve(self.stages.velocity, state)[:, :, prompt:]
        if self.kept is not None:
            mel = torch.cat([self.fade(self.kept, mel[:, :, : self.overlap]), mel[:, :, self.overlap :]], 2)
        if not last:
            mel, self.kept = mel[:, :, : -self.overlap], mel[:, :, -self.overlap :]
        self.given += mel.shape[2]
        return mel

    def mu(self, tokens: list[int], frames: int) -> Tensor:  # [1, 80, prompt + M]
        """The encoding of prompt and tokens; what an earlier window encoded stays as it was."""
        c = self.condition
        own = torch.tensor([tokens], dtype=torch.long, device=c.tokens.device)
        every = torch.cat([c.tokens, own], dim=1)
        valid = torch.ones_like(every).bool()
        encoded = self.stages.encode(every, valid, all_seen(every.shape[1], every), None, None)
        assert self.stages.regulate is not None
        mu = self.stages.regulate(encoded, self.stretches(len(tokens), frames))
        if self.kept_mu is not None:
            mu = torch.cat([self.kept_mu, mu[:, :, self.kept_mu.shape[2] :]], dim=2)
        prompt = c.mel.shape[2]
        self.kept_mu = torch.cat([mu[:, :, :prompt], mu[:, :, prompt:][:, :, -self.overlap :]], dim=2)
        return mu

    def stretches(self, tokens: int, frames: int) -> list[tuple[int, int]]:
        """Tokens and the frames they become; both overlaps by themselves, so that they are equally long."""
        prompt = self.condition.tokens.shape[1], self.condition.mel.shape[2]
        edge = self.overlap_tokens, self.overlap
        inner = tokens - 2 * edge[0], frames - 2 * edge[1]
        own = [edge, inner, edge] if inner[0] > 0 else [(tokens, frames)]
        return [prompt, *own] if prompt[0] else own

    def start(self, frames: int) -> Tensor:  # [1, 80, prompt + M]
        """The noise of the prompt and of the window's frames, by their position in the utterance."""
        prompt = self.condition.mel.shape[2]
        at = torch.arange(prompt + frames, device=self.noise.device)
        at[prompt:] += self.given
        return self.noise[:, :, at % NOISE_FRAMES]

    def fade(
        self,
        before: Tensor,  # [1, 80, F]
        after: Tensor,  # [1, 80, F]
    ) -> Tensor:  # [1, 80, F]
        """From one window to the next, in weights that sum to one."""
        share = (torch.arange(self.overlap, device=after.device) + 0.5) / self.overlap
        rise = torch.sin(share * (torch.pi / 2)).square()
        return torch.lerp(before, after, rise.to(after.dtype))


def all_seen(
    positions: int,
    like: Tensor,
) -> Tensor:  # [1, T, T]
    """Every position sees every other."""
    return torch.ones(1, positions, positions, dtype=torch.bool, device=like.device)
