"""CUDA graphs: a step, or a velocity, recorded once and sent to the GPU as one piece of work.

A graph runs at fixed places on fixed sizes. So a step has caches of a few sizes at places of their own, and
sees all of its cache, what is not there yet being masked; a velocity is recorded for a few lengths, and what
is shorter is padded. What goes on from a memory (streams) has another size every time and runs without.
Source: torch.cuda.CUDAGraph; buckets as in gpt-fast and vLLM.

Shapes: B batch · M mel frames · W = M rounded up · K positions a step sees · V speech vocabulary with stops.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.accel.backend import Availability, Backend, Part, Precision
from cosyrt.accel.half_weights import availability as half_availability
from cosyrt.accel.half_weights import half_stages, narrow_models
from cosyrt.checkpoint import ModelFolder
from cosyrt.engine.stages import Models, NewCache, Stages, Step, Velocity
from cosyrt.engine.times import tabulated
from cosyrt.errors import UsageError
from cosyrt.models.dit import DiT
from cosyrt.models.layers import Memory
from cosyrt.models.llm import Cache, SpeechLanguageModel
from cosyrt.models.unet import CausalUNet

LEAST_POSITIONS = 256  # caches have this capacity, or twice, four times … of it
FRAMES = 64  # lengths of a velocity are rounded up to a multiple of this
GRAPHS = 8  # of a velocity that are kept: the ones used lately
WARM = 3  # runs before the recording: libraries choose their kernels, and may not do so while it goes on

Run = Callable[[], Tensor]
Record = Callable[[Run], Run]  # what is run → the same as a graph, at the same places
_recording = Lock()  # the GPU records one graph at a time


def recorded(run: Run) -> Run:
    """The work of `run` as a CUDA graph. Its result is overwritten by the next call."""
    with _recording:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may speak meanwhile: what they ask of the GPU is no part of this, and no error.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            out = run()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay


class Slot:
    """A cache at a place of its own, and one step over all of it."""

    def __init__(self, new_cache: NewCache, step: Step, batch: int, capacity: int, record: Record) -> None:
        self.cache: Cache = new_cache(batch, capacity)
        self.token = torch.zeros(batch, dtype=torch.long, device=self.cache.keys.device)
        self.position = torch.zeros_like(self.token)
        self.sees = self.token.new_zeros(batch, 1, 1, capacity, dtype=torch.bool)
        self.plain, self.record = step, record
        self.graph: Run | None = None

    def lent(self) -> Cache:
        """The cache, emptied: what is masked must be a number, too."""
        for side in self.cache:
            side.zero_()
        return Cache(*(side.view_as(side) for side in self.cache))

    def step(
        self,
        token: Tensor,  # [B]
        position: Tensor,  # [B]
        sees: Tensor,  # [B, 1, 1, K]
    ) -> Tensor:  # [B, V]
        """One token more."""
        self.token.copy_(token)
        self.position.copy_(position)
        self.sees.zero_()
        self.sees[..., : sees.shape[3]] = sees
        if self.graph is None:
            self.graph = self.record(lambda: self.plain(self.token, self.position, self.sees, self.cache))
        return self.graph().clone()


class Slots:
    """The slots there are, by size; each belongs to an utterance until its cache is let go."""

    def __init__(self, new_cache: NewCache, step: Step, record: Record) -> None:
        self.make, self.plain = partial(Slot, new_cache, step, record=record), step
        self.free: dict[tuple[int, int], list[Slot]] = {}
        self.taken: dict[int, Slot] = {}  # by the place of its keys
        self.lock = Lock()

    @torch.inference_mode()
    def new_cache(self, batch: int, positions: int) -> Cache:
        """A cache of at least that many positions."""
        size = (batch, rounded_capacity(positions))
        with self.lock:
            idle = self.free.setdefault(size, [])
            slot = idle.pop() if idle else self.make(*size)
            cache = slot.lent()
            place = cache.keys.data_ptr()
            self.taken[place] = slot
        weakref.finalize(cache.keys, self.give_back, size, place)
        return cache

    def give_back(self, size: tuple[int, int], place: int) -> None:
        """The cache at that place is no longer used. (No lock: it may be called from anywhere.)"""
        self.free[size].append(self.taken.pop(place))

    @torch.inference_mode()
    def step(self, token: Tensor, position: Tensor, sees: Tensor, cache: Cache) -> Tensor:
        """The stage."""
        return self.taken[cache.keys.data_ptr()].step(token, position, sees)


def rounded_capacity(positions: int) -> int:
    """The next capacity."""
    capacity = LEAST_POSITIONS
    while capacity < positions:
        capacity *= 2
    return capacity


class Frames:
    """A velocity for one length; what is shorter is padded with frames that no other frame sees."""

    def __init__(self, module: CausalUNet | DiT, given: tuple[Tensor, ...], record: Record) -> None:
        self.places = tuple(torch.zeros_like(tensor) for tensor in given)
        self.graph: Run | None = None
        self.module, self.record = module, record
        self.lock = Lock()

    def run(self) -> Tensor:
        """The network on what is at the places."""
        out: Tensor = self.module(*self.places)
        return out

    def __call__(self, given: tuple[Tensor, ...]) -> Tensor:  # [B, 80, W]
        with self.lock:
            for place, tensor in zip(self.places, given, strict=True):
                place.copy_(tensor)
            if self.graph is None:
                self.graph = self.record(self.run)
            return self.graph().clone()


def widened(
    sees: Tensor,  # [B, M, M]
    more: int,
) -> Tensor:  # [B, W, W]
    """The mask with more frames, which no other sees; each sees the first: nothing would be no number."""
    wide = F.pad(sees, (0, more, 0, more))
    wide[:, sees.shape[1] :, 0] = True
    return wide


class GraphedVelocity:
    """The stage: whole utterances by graphs, what has a memory the plain way."""

    def __init__(self, module: CausalUNet | DiT, plain: Velocity, record: Record) -> None:
        self.module, self.plain, self.record = module, plain, record
        self.timed = tabulated(module.timed)
        self.dtype = next(module.parameters()).dtype
        self.known: OrderedDict[tuple[int, int], Frames] = OrderedDict()
        self.lock = Lock()

    @torch.inference_mode()
    def __call__(
        self,
        x: Tensor,  # [B, 80, M]
        real: Tensor,  # [B, 1, M]
        sees: Tensor,  # [B, M, K]
        mu: Tensor,  # [B, 80, M]
        t: Tensor,  # [B]
        speaker: Tensor,  # [B, 80]
        prompt: Tensor,  # [B, 80, M]
        memory: Memory | None = None,
    ) -> Tensor:  # [B, 80, M]
        if memory is not None:
            return self.plain(x, real, sees, mu, t, speaker, prompt, memory)
        length = x.shape[2]
        more = -length % FRAMES
        x, real, mu, prompt = (F.pad(mel.to(self.dtype), (0, more)) for mel in (x, real, mu, prompt))
        given = (x, real, widened(sees, more), mu, self.timed(t), speaker.to(self.dtype), prompt)
        return self.of((len(x), length + more), given)(given)[:, :, :length].float()

    def of(self, size: tuple[int, int], given: tuple[Tensor, ...]) -> Frames:
        """The graph of that size; the one that was not used for longest makes room."""
        with self.lock:
            if size not in self.known:
                self.known[size] = Frames(self.module, given, self.record)
            self.known.move_to_end(size)
            if len(self.known) > GRAPHS:
                self.known.popitem(last=False)
            return self.known[size]


def build(
    dtype: torch.dtype | None,
    part: Part,
    folder: ModelFolder,
    models: Models,
    stages: Stages,
    record: Record = recorded,
) -> Stages:
    """One part by graphs, in 16 bits if a type is given.

    Raises:
        UsageError: CosyVoice 1, whose velocity would hear the padding and whose keys depend on the distance.
    """
    if not isinstance(models.llm, SpeechLanguageModel):
        raise UsageError(f"there is no CUDA graph of the part {part} of CosyVoice 1")
    if dtype is not None:
        narrow = narrow_models(part, models, dtype)
        stages, models = half_stages(part, narrow, models, stages, dtype), narrow
    if part == "llm":
        slots = Slots(stages.new_cache, stages.step, record)
        return stages._replace(new_cache=slots.new_cache, step=slots.step)
    module = cast(Any, models.flow.velocity)
    return stages._replace(velocity=GraphedVelocity(module, stages.velocity, record))


def availability(kind: str | None, device: torch.device) -> Availability:
    """Whether the model runs on CUDA, and computes there in that type."""
    if device.type != "cuda":
        return Availability(False, f"graphs are CUDA's, the model runs on {device.type}")
    return Availability(True) if kind is None else half_availability(kind, device)


def _backend(name: str, precision: Precision, kind: str | None, dtype: torch.dtype | None) -> Backend:
    return Backend(
        name=name,
        precision=precision,
        parts=("llm", "velocity"),
        availability=partial(availability, kind),
        build=partial(build, dtype),
        predicts=lambda device: 2.5,  # decoding waits for launches: 67 ms → 17 to 28 a token elsewhere
    )


CUDAGRAPHS = (
    _backend("cudagraphs", "exact", None, None),
    _backend("cudagraphs-bf16", "half", "bf16", torch.bfloat16),
    _backend("cudagraphs-fp16", "half", "fp16", torch.float16),
)
