"""CUDA graphs: a step, or a velocity, recorded once and sent to the GPU as one piece of work.

A graph runs at fixed places on fixed sizes. The caches of a step are in `graph_cache.py`; a velocity is
recorded for a few lengths, and what is shorter is padded. What resumes from a stream cache has another size
every time and runs without.
Source: torch.cuda.CUDAGraph; buckets as in gpt-fast and vLLM.

Shapes: B batch · M mel frames · W = M rounded up.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.accel.backend.graph_cache import Places, Record, Run
from cosyrt.accel.backend.half_weights import availability as half_availability
from cosyrt.accel.backend.half_weights import half_stages, narrow_networks
from cosyrt.accel.contract import MEASURE, NO_CUDA, Advice, Availability, Backend, Part, Precision
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages, tabulated
from cosyrt.families import Family
from cosyrt.machine.facts import Machine
from cosyrt.models.dit import DiT
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.unet import CausalUNet
from cosyrt.models.velocity import FlowInputs, Velocity

LEAST_FRAMES, MOST_FRAMES = 64, 2048  # what is longer waits for arithmetic, not for launches

_recording = Lock()  # the GPU records one graph at a time


class Recorder:
    """Records graphs of one card. All are replayed on one stream, so what one has used the next may use."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pool = torch.cuda.graph_pool_handle()
        # The stream that torch would take is one for all cards, and of the card that recorded first.
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, run: Run) -> Run:
        """Record `run` as a CUDA graph. Its result is overwritten by the next call."""
        with _recording, torch.cuda.device(self.device):
            run()  # libraries choose their kernels, and may not do so while it is recorded
            graph = torch.cuda.CUDAGraph()
            # Other threads may speak meanwhile: what they ask of the GPU is no part of this, and no error.
            with torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"):
                out = run()

        def replay() -> Tensor:
            graph.replay()
            return out  # kept, so that no other graph is given its place

        return replay


class Frames:
    """A velocity for one length; what is shorter is padded with frames that no other attends to."""

    def __init__(self, module: CausalUNet | DiT, inputs: FlowInputs, record: Record) -> None:
        self.inputs = FlowInputs(*(tensor.clone() for tensor in inputs))  # where the graph reads them
        self.module = module
        self.graph = record(self.run)

    def run(self) -> Tensor:
        """Run the network on what lies in its inputs."""
        out: Tensor = self.module(self.inputs)
        return out

    def __call__(self, inputs: FlowInputs) -> Tensor:  # [B, 80, W]
        for place, tensor in zip(self.inputs, inputs, strict=True):
            place.copy_(tensor)
        return self.graph().clone()


def rounded_frames(frames: int) -> int:
    """Round up to one of four lengths an octave: under a quarter is padding, and all graphs can be kept."""
    frames = max(frames, LEAST_FRAMES)
    step = 1 << ((frames - 1).bit_length() - 3)
    return -(-frames // step) * step


def widened(
    mask: Tensor,  # [B, M, M]
    more: int,
) -> Tensor:  # [B, W, W]
    """Pad a mask: no frame attends to the padding, and padding attends to one frame, lest it become NaN."""
    wide = F.pad(mask, (0, more, 0, more))
    wide[:, mask.shape[1] :, 0] = True
    return wide


class GraphedVelocity:
    """Velocity by graphs for whole utterances; with a stream cache or very long, the plain one."""

    def __init__(self, module: CausalUNet | DiT, plain: Velocity, record: Record) -> None:
        self.module, self.plain, self.record = module, plain, record
        self.timed = tabulated(module.timed)
        self.dtype = next(module.parameters()).dtype
        # By rows and frames. Recording costs two calls and a solve asks ten times: it pays at once.
        self.known: dict[tuple[int, int], Frames] = {}
        self.lock = Lock()

    @torch.inference_mode()
    def __call__(self, inputs: FlowInputs, cache: StreamCache | None) -> Tensor:  # [B, 80, M]
        if cache is not None or inputs.frames > MOST_FRAMES:
            return self.plain(inputs, cache)
        return self.run(self.padded(inputs))[:, :, : inputs.frames].float()

    def padded(self, inputs: FlowInputs) -> FlowInputs:  # of W frames
        """Convert the inputs to the type of the network and pad them with frames that no other attends to."""
        more = rounded_frames(inputs.frames) - inputs.frames
        x, valid, mask, mu, t, speaker, prompt = inputs
        x, valid, mu, prompt = (F.pad(mel.to(self.dtype), (0, more)) for mel in (x, valid, mu, prompt))
        return FlowInputs(x, valid, widened(mask, more), mu, self.timed(t), speaker.to(self.dtype), prompt)

    def run(self, inputs: FlowInputs) -> Tensor:  # [B, 80, W]
        """Replay the graph of that size, which is recorded when it is first asked for."""
        size = (len(inputs.x), inputs.frames)
        with self.lock:
            if size not in self.known:
                self.known[size] = Frames(self.module, inputs, self.record)
            return self.known[size](inputs)


def build(dtype: torch.dtype | None, part: Part, model: Model, record: Record | None = None) -> Stages:
    """Run one part by graphs, in 16 bits if a type is given."""
    networks, stages = model.networks, model.stages
    if dtype is not None:
        networks = narrow_networks(part, networks, dtype)
        stages = half_stages(part, networks, model, dtype)
    record = record or Recorder(model.device)
    if part == "llm":
        places = Places(stages.new_cache, stages.step, record)
        return stages._replace(new_cache=places.new_cache, step=places.step)
    module = cast(Any, networks.flow.velocity)
    return stages._replace(velocity=GraphedVelocity(module, stages.velocity, record))


def refusal(part: Part, family: Family) -> str:
    """Why there is no CUDA graph of a part of a family; empty if there is one.

    A flow that looks both ways would attend to the padding, and keys that depend on the distance need masks
    that move: both are CosyVoice 1's.
    """
    if family.language_model != "qwen2" or family.flow == "regulated":
        return f"there is no CUDA graph of the part {part} of {family.title}"
    return ""


def availability(kind: str | None, device: torch.device) -> Availability:
    """Tell whether the model runs on CUDA, and computes there in the type that `kind` names."""
    if device.type != "cuda":
        return Availability(False, f"graphs are CUDA's, the model runs on {device.type}")
    return Availability(True) if kind is None else half_availability(kind, device)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge recorded kernels: they pay on every card, where a step is many small launches."""
    if machine.gpu is None:
        return NO_CUDA
    return Advice(
        "use",
        "a token is hundreds of small kernels, and launching them takes longer than running them: others saw "
        f"2 to 8 times as many tokens a second; 50 to 200 MB; {MEASURE}",
    )


def _backend(name: str, precision: Precision, kind: str | None, dtype: torch.dtype | None) -> Backend:
    return Backend(
        name=name,
        precision=precision,
        parts=("llm", "velocity"),
        availability=partial(availability, kind),
        build=partial(build, dtype),
        refusal=refusal,
        predicts=lambda device: 2.5,  # decoding waits for launches: 67 ms → 17 to 28 a token elsewhere
        option="CUDA graphs",
        advice=advice,
        rows=None,
    )


BACKENDS = (
    _backend("cudagraphs", "exact", None, None),
    _backend("cudagraphs-bf16", "half", "bf16", torch.bfloat16),
    _backend("cudagraphs-fp16", "half", "fp16", torch.float16),
)
