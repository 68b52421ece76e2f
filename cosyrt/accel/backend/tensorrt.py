"""TensorRT 10 and 11: the velocity as one engine for all lengths, built from the graph that ONNX has of it.

Precision is written in the graph (a strongly typed network): the switch for 16 bits and the flag of explicit
batches, which upstream's builder uses, are gone in TensorRT 11. Chunk mask and stream cache are inputs, so
that streams run on the engine too. An engine is kept in the user's cache folder (`artifacts.py`).
Source: the TensorRT Python API, release 10 (kept in 11).

Shapes: B batch · M mel frames · K = past + M.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from cosyrt.accel.artifacts import ArtifactFormat, kept
from cosyrt.accel.backend.compiled import EXAMPLE_FRAMES, EXAMPLE_PAST, compiled_stages
from cosyrt.accel.backend.half_weights import availability as half_availability
from cosyrt.accel.backend.half_weights import narrowed
from cosyrt.accel.backend.onnx import MISSING as ONNX_MISSING
from cosyrt.accel.backend.onnx import export
from cosyrt.accel.contract import MEASURE, NO_CUDA, Advice, Availability, Backend, Part, Precision
from cosyrt.accel.fingerprint import device_name
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import MissingDependency, UsageError
from cosyrt.machine.facts import Machine
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs, Velocity

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD_MB = 1_500  # its peak beside the model, with a workspace of 1 GB
UPSTREAM_WORKSPACE_MB = 4_096  # that upstream's builder asks for
WORKSPACE_BYTES = 1 << 30  # while it is built; upstream asks for four times as much, all of a small card
MOST_FRAMES, MOST_PAST = 2000, 3000  # 40 s and 60 s; what is longer runs the plain way
INSTALL = "TensorRT is not installed; pip install 'cosyrt[tensorrt]'"


class Sizes(NamedTuple):
    """Least, usual and largest value of a free size."""

    least: int
    usual: int
    most: int


FREE: Mapping[int, Sizes] = {  # by what the size is in the example that the graph is made with
    EXAMPLE_FRAMES: Sizes(1, 300, MOST_FRAMES),
    EXAMPLE_PAST: Sizes(0, 150, MOST_PAST),
    EXAMPLE_PAST + EXAMPLE_FRAMES: Sizes(1, 450, MOST_PAST + MOST_FRAMES),
}


class Typed(nn.Module):
    """A graph computed in one type between inputs and outputs of float32; what masks is a number to add.

    ONNX's exporter has words for a boolean mask of attention in float32 alone, and a strongly typed network
    mixes no types.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = narrowed(module, dtype), dtype
        # Finite, also after a score was added: tiles of -inf alone make fused attention compute -inf - -inf.
        self.unseen = torch.finfo(dtype).min / 2

    def forward(self, *args: Tensor) -> tuple[Tensor, ...]:
        return tuple(out.float() for out in self.inner(*map(self.typed, args)))

    def typed(self, arg: Tensor) -> Tensor:
        """Convert an argument to the type of the graph."""
        return arg.to(self.dtype) if arg.is_floating_point() else (~arg).to(self.dtype) * self.unseen


def free_sizes(example: Tensor) -> list[int]:
    """Dimensions of an input that are free: those whose size in the example is a free one."""
    return [number for number, size in enumerate(example.shape) if size in FREE]


def bounds(example: Tensor) -> tuple[tuple[int, ...], ...]:
    """Least, usual and largest shape of an input."""
    sizes = [FREE.get(size, Sizes(size, size, size)) for size in example.shape]
    return tuple(tuple(size[number] for size in sizes) for number in range(len(Sizes._fields)))


def made(module: nn.Module, example: tuple[Tensor, ...], dtype: torch.dtype) -> bytes:
    """Build a serialised engine of the module for the current card.

    Raises:
        UsageError: there is no graph of it, or TensorRT cannot read or build it.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        export(Typed(module, dtype), example, path, free_sizes)
        return built(path, example)


def built(path: Path, example: tuple[Tensor, ...]) -> bytes:
    """Build a serialised engine of an ONNX file.

    Raises:
        UsageError: TensorRT cannot read or build it.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    # Gone, or the only kind there is, in some release: then nothing needs to be asked for.
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(path.read_bytes()):
        reasons = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise UsageError(f"TensorRT {trt.__version__} cannot read this graph: {reasons[:160]}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # ten bits of mantissa are not float32
    profile = builder.create_optimization_profile()
    for number, tensor in enumerate(example):
        profile.set_shape(f"in{number}", *bounds(tensor))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UsageError(f"TensorRT {trt.__version__} could not build this graph, see its own log above")
    return bytes(engine)


class Context:
    """One place to run an engine, with a stream of its own: what runs there waits for what ran before."""

    def __init__(self, engine: Any, device: torch.device) -> None:
        self.context = engine.create_execution_context()
        if self.context is None:
            raise UsageError(
                f"there is no memory on {device} for TensorRT to run in; free some, or ask for fewer contexts"
            )
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.nothing = torch.zeros(1, device=device)  # has a place in cache, as an input of no size has not

    def run(self, given: dict[str, Tensor], wanted: dict[str, torch.dtype]) -> list[Tensor]:
        """Run one call; the results belong to the caller and are ordered on its stream."""
        for name, tensor in given.items():
            self.context.set_input_shape(name, tuple(tensor.shape))
            self.context.set_tensor_address(name, (tensor if tensor.numel() else self.nothing).data_ptr())
        found = [
            torch.empty(tuple(self.context.get_tensor_shape(name)), dtype=dtype, device=self.nothing.device)
            for name, dtype in wanted.items()
        ]
        for name, tensor in zip(wanted, found, strict=True):
            self.context.set_tensor_address(name, (tensor if tensor.numel() else self.nothing).data_ptr())
        asker = torch.cuda.current_stream(self.nothing.device)
        self.stream.wait_stream(asker)
        with torch.cuda.device(self.nothing.device):  # else it works on the first card, whatever the stream
            done = self.context.execute_async_v3(self.stream.cuda_stream)
        asker.wait_stream(self.stream)
        assert done, "TensorRT refused shapes that its profile allows"
        return found


class Engine:
    """A graph run by TensorRT on the card that is current, by as many callers at once as it has contexts.

    Raises:
        UsageError: TensorRT cannot read the plan.
    """

    def __init__(self, plan: bytes) -> None:
        import tensorrt as trt

        self.runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self.engine: Any = self.runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            raise UsageError("TensorRT cannot read its own engine, see its log above")
        names = [self.engine.get_tensor_name(number) for number in range(self.engine.num_io_tensors)]
        outputs = [n for n in names if self.engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT]
        self.inputs = [name for name in names if name not in outputs]
        self.wanted = dict.fromkeys(outputs, torch.float32)
        self.idle: SimpleQueue[Context] = SimpleQueue()

    def opened(self, contexts: int, device: torch.device) -> Engine:
        """Add contexts, so that more callers can run the engine at once.

        Raises:
            UsageError: there is no memory for them.
        """
        for _ in range(contexts):
            self.idle.put(Context(self.engine, device))
        return self

    def __call__(self, *args: Tensor) -> list[Tensor]:
        """Run the engine; arguments that the graph turned out not to need are left out."""
        every = {f"in{number}": arg.contiguous() for number, arg in enumerate(args)}
        with self.lent() as context:
            return context.run({name: every[name] for name in self.inputs}, self.wanted)

    @contextmanager
    def lent(self) -> Iterator[Context]:
        """Lend a context that nobody else uses."""
        context = self.idle.get()
        try:
            yield context
        finally:
            self.idle.put(context)


ENGINE_FILE = "model.engine"
ENGINE = ArtifactFormat(
    write=lambda plan, folder: (folder / ENGINE_FILE).write_bytes(plan),
    read=lambda folder: Engine((folder / ENGINE_FILE).read_bytes()),
    use=Engine,
)


def within(fast: Velocity, plain: Velocity, rows: int) -> Velocity:
    """Velocity by an engine for the rows and lengths that it was built for, else the plain one."""

    def velocity(inputs: FlowInputs, cache: StreamCache | None) -> Tensor:  # [B, 80, M]
        fits = len(inputs.x) == rows and inputs.frames <= MOST_FRAMES and inputs.past <= MOST_PAST
        return (fast if fits else plain)(inputs, cache)

    return velocity


def build(dtype: torch.dtype, part: Part, model: Model, contexts: int = 1) -> Stages:
    """Run the velocity by TensorRT, for as many callers at once as there are contexts.

    Raises:
        UsageError: TensorRT cannot read or build the graph, or there is no memory for so many contexts.
    """

    def compile(module: nn.Module, example: tuple[Tensor, ...]) -> Engine:
        import tensorrt as trt

        device = example[0].device
        name = f"tensorrt-{trt.__version__} {device_name(device)} {dtype}"
        with torch.cuda.device(device):  # TensorRT builds for, and reads onto, the card that is current
            engine = kept(model.folder, name, partial(made, module, example, dtype), ENGINE)
            return engine.opened(contexts, device)

    stages, flow = model.stages, model.networks.flow
    other = compiled_stages(part, model.networks, stages, compile, graphs=1)  # an engine takes minutes
    return stages._replace(velocity=within(other.velocity, stages.velocity, flow.config.branches))


def availability(kind: str | None, device: torch.device) -> Availability:
    """Tell whether TensorRT is installed, with what writes the graph, and the model runs on CUDA."""
    if find_spec("tensorrt") is None:
        return Availability(False, INSTALL)
    if find_spec("onnx") is None:
        return Availability(False, ONNX_MISSING)
    if device.type != "cuda":
        return Availability(False, f"TensorRT runs on CUDA, the model runs on {device.type}")
    return Availability(True) if kind is None else half_availability(kind, device)


def upstreams(fp16: bool, contexts: int, model: Model) -> Stages:
    """Stages for upstream's `load_trt=True`.

    Raises:
        MissingDependency: it cannot run here, and what to do.
        UsageError: TensorRT cannot read or build the graph.
    """
    there = availability(None, model.device)
    if not there.ok:
        raise MissingDependency(f"load_trt=True: {there.reason}, or leave it out")
    return build(torch.float16 if fp16 else torch.float32, "velocity", model, contexts)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge an engine of the velocity by the memory that building one takes."""
    gpu, version = machine.gpu, machine.runtimes.get("tensorrt")
    if gpu is None:
        return NO_CUDA
    warning = (
        f"upstream's builder asks for a workspace of {UPSTREAM_WORKSPACE_MB} MB"
        if gpu.memory_mb <= 2 * UPSTREAM_WORKSPACE_MB
        else "an engine is of one card, driver and version"
    )
    if version and int(version.partition(".")[0]) >= 11:
        warning += f", and cannot use TensorRT {version}: what it calls is gone since 11"
    needed = model.gpu_mb("half") + BUILD_MB
    if needed > gpu.free_mb:
        free = f"the {gpu.free_mb:.0f} MB that are free are too few"
        return Advice("leave", f"a build needs about {needed:.0f} MB, {free}; {warning}")
    todo = "" if version else "install cosyrt[tensorrt]; "
    return Advice("try", f"{todo}1.2 to 2.3 times as fast in the flow on larger cards; {warning}; {MEASURE}")


def _backend(name: str, precision: Precision, kind: str | None, dtype: torch.dtype) -> Backend:
    return Backend(
        name=name,
        precision=precision,
        parts=("velocity",),
        availability=partial(availability, kind),
        build=partial(build, dtype),
        predicts=lambda device: 1.5 if dtype == torch.float32 else 2.3,
        option="TensorRT",
        advice=advice,
        kept=True,
    )


BACKENDS = (
    _backend("tensorrt", "exact", None, torch.float32),
    _backend("tensorrt-fp16", "half", "fp16", torch.float16),
)
