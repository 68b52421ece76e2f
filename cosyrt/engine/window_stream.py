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

import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.engine.chunks import WindowChunking
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.stages import Stages
from cosyrt.models.regulated_flow import RegulatedFlowConfig
from cosyrt.models.solver import NOISE_FRAMES, Solving, begin, fixed_noise, solved
from cosyrt.units import Rates


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
        chunking: WindowChunking,
    ) -> None:
        self.stages, self.config, self.condition, self.rates = stages, config, condition, rates
        self.overlap_tokens = chunking.lookahead_tokens
        self.overlap = rates.frames(chunking.lookahead_tokens)
        self.boundaries = chunking.boundaries(condition.tokens.shape[1]) if chunked else iter(())
        self.boundary = next(self.boundaries, None)
        self.noise = config.temperature * fixed_noise().to(condition.mel)
        self.done_tokens = self.given = 0  # tokens whose window is done, frames handed out
        self.kept: Tensor | None = None  # [1, 80, F] mel of the overlap, to be faded into the next window
        self.kept_mu: Tensor | None = None  # [1, 80, prompt + F] its encoding, and that of the prompt

    def until(
        self,
        tokens: list[int],
        boundary: int | None,
    ) -> Tensor:  # [1, 80, M] the frames that are new
        """The mel up to `boundary` tokens, which must have their overlap behind them; None: all."""
        return solved(self.stages.velocity, self.solving(tokens, boundary))

    def solving(self, tokens: list[int], boundary: int | None) -> Solving:
        """Make the mel up to `boundary`, window by window, with states that are solved outside."""
        windows: list[Tensor] = []
        limit = len(tokens) - self.overlap_tokens
        while self.boundary is not None and self.boundary <= (limit if boundary is None else boundary):
            inside = tokens[self.done_tokens : self.boundary + self.overlap_tokens]
            windows.append((yield from self.window(inside, False)))
            self.done_tokens, self.boundary = self.boundary, next(self.boundaries, None)
        if boundary is None:
            windows.append((yield from self.window(tokens[self.done_tokens :], True)))
        return torch.cat(windows, dim=2)

    def window(self, tokens: list[int], last: bool) -> Solving:
        """Make one window, and keep back the overlap that the next one takes over."""
        c, prompt = self.condition, self.condition.mel.shape[2]
        frames = self.rates.frames(len(tokens))
        state = begin(
            self.start(frames),
            full_mask(prompt + frames, c.mel),
            self.mu(tokens, frames),
            c.speaker,
            F.pad(c.mel, (0, frames)),
            solver=self.config.solver,
            packs=False,
        )
        yield state
        mel = state.x[:, :, prompt:]
        if self.kept is not None:
            mel = torch.cat([self.fade(self.kept, mel[:, :, : self.overlap]), mel[:, :, self.overlap :]], 2)
        if not last:
            mel, self.kept = mel[:, :, : -self.overlap], mel[:, :, -self.overlap :]
        self.given += mel.shape[2]
        return mel

    def mu(self, tokens: list[int], frames: int) -> Tensor:  # [1, 80, prompt + M]
        """Encode prompt and tokens; what an earlier window encoded stays as it was."""
        c = self.condition
        own = torch.tensor([tokens], dtype=torch.long, device=c.tokens.device)
        every = torch.cat([c.tokens, own], dim=1)
        valid = torch.ones_like(every).bool()
        encoded = self.stages.encode(every, valid, full_mask(every.shape[1], every), None, None)
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
        boundary = self.overlap_tokens, self.overlap
        inner = tokens - 2 * boundary[0], frames - 2 * boundary[1]
        own = [boundary, inner, boundary] if inner[0] > 0 else [(tokens, frames)]
        return [prompt, *own] if prompt[0] else own

    def start(self, frames: int) -> Tensor:  # [1, 80, prompt + M]
        """Noise of the prompt and of the window's frames, by their position in the utterance."""
        prompt = self.condition.mel.shape[2]
        at = torch.arange(prompt + frames, device=self.noise.device)
        at[prompt:] += self.given
        return self.noise[:, :, at % NOISE_FRAMES]

    def fade(
        self,
        before: Tensor,  # [1, 80, F]
        after: Tensor,  # [1, 80, F]
    ) -> Tensor:  # [1, 80, F]
        """Fade from one window to the next with weights that sum to one."""
        share = (torch.arange(self.overlap, device=after.device) + 0.5) / self.overlap
        rise = torch.sin(share * (torch.pi / 2)).square()
        return torch.lerp(before, after, rise.to(after.dtype))


def full_mask(
    positions: int,
    like: Tensor,
) -> Tensor:  # [1, T, T]
    """Mask with which every position may look at every other."""
    return torch.ones(1, positions, positions, dtype=torch.bool, device=like.device)
