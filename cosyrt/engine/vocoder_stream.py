"""mel → samples, chunk by chunk: one stream for vocoders that look both ways, one for the causal vocoder.

Shapes: 1 utterance a stream · M mel frames · N samples · H harmonics.
Upstream fades between chunks that do not agree (its fade windows sum to 1.08). Here they agree: the pitch is
exact once its neighbours are known, the phase of the source runs on, its noise belongs to the frame, and a
sample is given out only when no later frame can change it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from math import ceil
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.engine.stages import Stages, Vocode
from cosyrt.models.source import PITCH_LOOKAHEAD_FRAMES, Phase, phase_after
from cosyrt.models.stream_cache import StackedCache, StreamCache
from cosyrt.models.vocoder import VocoderConfig

PITCH_REACH_FRAMES = 5  # five convolutions of width three
DRAWN_TOGETHER = 16  # normal numbers: as many whole groups are the same in one draw or in several
OUTER_REACH = 3  # the first and the last convolution are seven wide


def reach_frames(config: VocoderConfig) -> int:
    """Frames of mel and excitation to either side that a sample depends on, rounded up."""
    c = config
    rate = c.samples_per_frame / c.transform_hop  # positions a frame at the last stage
    reach = (c.transform_size / 2 / c.transform_hop + 1 + OUTER_REACH) / rate
    branches = max(map(_span, c.kernels, c.dilations))
    source = 0.0
    stages = zip(c.upsample_rates, c.upsample_kernels, c.source_kernels, c.source_dilations, strict=True)
    for up, kernel, source_kernel, source_dilations in reversed(list(stages)):
        reach += branches / rate
        # The excitation joins here: through its own transform, one strided convolution and a residual block.
        joined = (_span(source_kernel, source_dilations) + 1) / rate
        source = max(source, reach + joined + c.transform_size / 2 / c.samples_per_frame)
        rate /= up
        reach += kernel / up / 2 / rate
    return ceil(max(source, reach + OUTER_REACH / rate))


def _span(kernel: int, dilations: tuple[int, ...]) -> float:
    """Positions that a dilated and a plain convolution for each dilation reach to either side."""
    return (kernel - 1) / 2 * sum(dilation + 1 for dilation in dilations)


class VocodeCall(NamedTuple):
    """Arguments of the vocoder for the next samples of one stream."""

    mel: Tensor  # [1, 80, M]
    excitation: Tensor  # [1, 1, N]
    lookahead: Tensor | None  # [1, 80, lookahead]
    cache: StreamCache | None

    def is_like(self, other: VocodeCall) -> bool:
        """Whether both may be rows of one call: they have the same sizes, and both a past or none."""
        return self._kind() == other._kind()

    def _kind(self) -> tuple[object, ...]:
        sizes = [None if each is None else each.shape for each in self[:3]]
        return (*sizes, None if self.cache is None else self.cache.empty)


# Yields calls of the vocoder and is sent their samples [1, N]; returns the samples that are final [N].
Pushing = Generator[VocodeCall, Tensor, Tensor]


def vocode_together(vocode: Vocode, calls: Sequence[VocodeCall]) -> list[Tensor]:  # [1, N] of each
    """Call the vocoder for several streams, once for all that are alike.

    Where that raises, all streams are as they were before, so that they may be tried again one by one.
    """
    undo = [call.cache.checkpoint() for call in calls if call.cache is not None]
    found: dict[int, Tensor] = {}
    try:
        for number, call in enumerate(calls):
            if number not in found:
                alike = [at for at in range(number, len(calls)) if calls[at].is_like(call)]
                samples = vocode(*(call if len(alike) == 1 else _stacked([calls[at] for at in alike])))
                found.update(zip(alike, torch.split(samples, 1), strict=True))
    except BaseException:
        for bring_back in undo:
            bring_back()
        raise
    return [found[number] for number in range(len(calls))]


def _stacked(calls: Sequence[VocodeCall]) -> VocodeCall:
    """One call of calls that are alike."""
    lookaheads = [call.lookahead for call in calls if call.lookahead is not None]
    caches = [call.cache for call in calls if call.cache is not None]
    return VocodeCall(
        torch.cat([call.mel for call in calls]),
        torch.cat([call.excitation for call in calls]),
        torch.cat(lookaheads) if lookaheads else None,
        StackedCache(caches) if caches else None,
    )


class VocoderStream(ABC):
    """Turns the mel of one utterance to samples, chunk by chunk."""

    noise_of: ClassVar[Callable[..., Tensor]]  # (size, generator=…) → random numbers of that size

    def __init__(self, stages: Stages, config: VocoderConfig, generator: torch.Generator | None) -> None:
        self.stages, self.config, self.generator = stages, config, generator
        self.mel: Tensor | None = None  # [1, 80, M] frames that are still needed
        self.source: Tensor | None = None  # [1, 1, N] excitation, from the first of them on
        self.phase: Phase | None = None

    @property
    @abstractmethod
    def withheld_frames(self) -> int:
        """Frames at the end of what was pushed whose samples depend on frames that are still to come."""

    def push(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Tensor:  # [N] samples that are final
        """Take in mel frames, give back the samples that no later frame can change; `last` gives the rest."""
        pushing = self.pushing(mel, last)
        try:
            call = next(pushing)
            while True:
                call = pushing.send(self.stages.vocode(*call))
        except StopIteration as end:
            samples: Tensor = end.value
            return samples

    @abstractmethod
    def pushing(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Pushing:
        """Do what `push` does, with the vocoder called outside, once for several streams."""

    def take(
        self,
        mel: Tensor,  # [1, 80, M]
    ) -> int:
        """Add frames to those that are kept; return how many these are now."""
        self.mel = mel if self.mel is None else torch.cat([self.mel, mel], dim=2)
        return self.mel.shape[2]

    def excite(
        self,
        pitch: Tensor,  # [1, frames], or one more: the phase runs towards that of the frame after them
        frames: int,
    ) -> None:
        """Add the excitation of these frames."""
        noise, hop = self.noise(frames), self.config.samples_per_frame
        if noise is not None and pitch.shape[1] > frames:
            noise = F.pad(noise, (0, 0, 0, hop))
        source = self.stages.excite(pitch, noise, self.phase)[:, :, : frames * hop]
        self.phase = phase_after(self.config.source, pitch[:, :frames], self.phase)
        self.source = source if self.source is None else torch.cat([self.source, source], dim=2)

    def noise(self, frames: int) -> Tensor | None:  # [1, N, H]
        """Noise of the frames, drawn frame by frame so that it is the same however the stream is cut."""
        if self.generator is None:
            return None
        assert self.mel is not None
        samples, harmonics = self.config.samples_per_frame, self.config.harmonics
        at_once = frames if samples * harmonics % DRAWN_TOGETHER == 0 else 1
        size = (1, at_once * samples, harmonics)
        noise = [type(self).noise_of(size, generator=self.generator) for _ in range(frames // at_once)]
        return torch.cat(noise, dim=1).to(self.mel)

    def drop(self, frames: int) -> None:
        """Forget the first of the frames that are kept."""
        assert self.mel is not None and self.source is not None
        hop = self.config.samples_per_frame
        self.mel, self.source = self.mel[:, :, frames:], self.source[:, :, frames * hop :]


class OverlappingVocoderStream(VocoderStream):
    """Stream of a vocoder that looks both ways: each call is given the frames within reach of its samples."""

    noise_of = torch.randn

    def __init__(self, stages: Stages, config: VocoderConfig, generator: torch.Generator | None) -> None:
        super().__init__(stages, config, generator)
        self.reach = reach_frames(config)
        self.start = 0  # first frame that is kept
        self.excited = 0  # frames whose excitation is known
        self.given = 0  # frames whose samples were given out

    @property
    def withheld_frames(self) -> int:
        """Frames within reach of those whose pitch is not certain yet."""
        return PITCH_REACH_FRAMES + 1 + self.reach

    def pushing(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Pushing:
        """Take in mel frames and have those decoded that no later frame can change."""
        known = self.start + self.take(mel)
        self.extend_source(known if last else known - PITCH_REACH_FRAMES, last)
        end = self.excited if last else self.excited - self.reach
        return (yield from self.decode(end)) if end > self.given else mel.new_zeros(0)

    def extend_source(self, pitched: int, last: bool) -> None:
        """Excite the frames whose pitch is certain; the last of them needs the next one, too."""
        upto = pitched if last else pitched - 1
        if upto <= self.excited:
            return
        assert self.mel is not None
        # The pitch of one frame more, so that the phase runs towards that of the next frame.
        kept = self.excited - self.start
        around = self.mel[:, :, max(0, kept - PITCH_REACH_FRAMES) :]
        skip = min(kept, PITCH_REACH_FRAMES)
        pitch = self.stages.pitch(around, None, None)[:, skip : skip + pitched - self.excited]
        self.excite(pitch, upto - self.excited)
        self.excited = upto

    def decode(self, end: int) -> Pushing:
        """Decode the frames up to `end`; those out of reach are then dropped."""
        assert self.mel is not None and self.source is not None
        hop, kept = self.config.samples_per_frame, self.excited - self.start
        samples = yield VocodeCall(self.mel[:, :, :kept], self.source[:, :, : kept * hop], None, None)
        fresh = samples[0, (self.given - self.start) * hop : (end - self.start) * hop]
        self.given = end
        start = max(self.start, min(end - self.reach, self.excited - PITCH_REACH_FRAMES))
        self.drop(start - self.start)
        self.start = start
        return fresh


class CausalVocoderStream(VocoderStream):
    """Stream of the causal vocoder: every convolution has a cache, and no frame is computed twice."""

    noise_of = torch.rand

    def __init__(self, stages: Stages, config: VocoderConfig, generator: torch.Generator | None) -> None:
        super().__init__(stages, config, generator)
        assert config.lookahead_frames is not None
        self.lookahead: int = config.lookahead_frames
        self.excited = 0  # of the frames that are kept: those whose excitation is known
        self.pitch_cache, self.cache = StreamCache(), StreamCache()

    @property
    def withheld_frames(self) -> int:
        """Frames that the first convolution looks ahead, or the pitch and the transform."""
        return max(self.lookahead, PITCH_LOOKAHEAD_FRAMES + 1)

    def pushing(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Pushing:
        """Take in mel frames and have those decoded that no later frame can change."""
        known = self.take(mel)
        self.extend_source(known if last else known - PITCH_LOOKAHEAD_FRAMES, last)
        # The transform of a frame's excitation reaches into the next frame.
        end = known if last else min(known - self.lookahead, self.excited - 1)
        return (yield from self.decode(end, last)) if end > 0 else mel.new_zeros(0)

    def extend_source(self, upto: int, last: bool) -> None:
        """Excite the frames before `upto`."""
        if upto <= self.excited:
            return
        assert self.mel is not None
        lookahead = None if last else self.mel[:, :, upto:]
        pitch = self.stages.pitch(self.mel[:, :, self.excited : upto], lookahead, self.pitch_cache.begin())
        self.excite(pitch, upto - self.excited)
        self.excited = upto

    def decode(self, end: int, last: bool) -> Pushing:
        """Decode the frames before `end`, which are then dropped."""
        assert self.mel is not None and self.source is not None
        lookahead = None if last else self.mel[:, :, end:]
        source = self.source[:, :, : (end + (0 if last else 1)) * self.config.samples_per_frame]
        samples = yield VocodeCall(self.mel[:, :, :end], source, lookahead, self.cache.begin())
        self.drop(end)
        self.excited -= end
        return samples[0]
