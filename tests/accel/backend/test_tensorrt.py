"""TensorRT: the graph that it is given, what it may be asked, and, on a GPU, its numbers."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from cosyrt.accel.backend import tensorrt
from cosyrt.accel.backend.compiled import EXAMPLE_FRAMES, EXAMPLE_PAST, Compile
from cosyrt.accel.backend.graphs import VelocityGraph
from cosyrt.accel.backend.onnx import export
from cosyrt.accel.backend.tensorrt import MOST_FRAMES, MOST_PAST, Engine, Typed, bounds, free_sizes, within
from cosyrt.accel.contract import Part
from cosyrt.accel.registry import BACKENDS
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Networks, Stages
from cosyrt.errors import UsageError
from cosyrt.lab.parity import relative, verify
from cosyrt.lab.workload import Length, Workload
from cosyrt.models.flow import DiTFlow, Flow
from cosyrt.models.layers import attention_mask
from cosyrt.models.velocity import FlowInputs
from tests import tiny, tiny3
from tests.accel.fake_cuda import FIRST, Cards

CUDA = torch.device("cuda")
NAMES = ["tensorrt", "tensorrt-fp16"]

META = torch.device("meta")  # stands for the second card: tensors are there without memory
ROWS = 2  # of a velocity call under guidance


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Pretend that these packages are installed, and no others."""
    spec = importlib.machinery.ModuleSpec("found", None)
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: spec if name in names else None)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package, what writes the graph, the GPU: the first that is not there, and what to do."""
    installed(monkeypatch)
    assert "pip install 'cosyrt[tensorrt]'" in BACKENDS["tensorrt"].availability(CUDA).reason
    installed(monkeypatch, "tensorrt")
    assert "pip install onnx" in BACKENDS["tensorrt"].availability(CUDA).reason
    installed(monkeypatch, "tensorrt", "onnx")
    assert "the model runs on cpu" in BACKENDS["tensorrt-fp16"].availability(torch.device("cpu")).reason
    assert BACKENDS["tensorrt"].availability(CUDA).ok


def test_only_lengths_are_free() -> None:
    """Frames, past and their sum; rows and widths are the model's."""
    mask = torch.ones(ROWS, EXAMPLE_FRAMES, EXAMPLE_PAST + EXAMPLE_FRAMES)

    assert free_sizes(mask) == [1, 2]
    assert bounds(mask) == ((2, 1, 1), (2, 300, 450), (2, MOST_FRAMES, MOST_PAST + MOST_FRAMES))
    assert bounds(torch.ones(2, 8, EXAMPLE_PAST, 64))[0] == (2, 8, 0, 64)
    assert free_sizes(torch.ones(2, 256, 2)) == []


def given(module: VelocityGraph, frames: int, past: int) -> tuple[Tensor, ...]:
    """Arguments of a velocity with a past of that length."""
    draw = torch.Generator().manual_seed(frames)
    x, mu, prompt = torch.randn(3, ROWS, 80, frames, generator=draw)
    empty, kinds = module.empty(ROWS, 80)
    shapes = (
        (*slot.shape[:2], past if kind == "keys or values" else slot.shape[2], *slot.shape[3:])
        for slot, kind in zip(empty, kinds, strict=True)
    )
    slots = [torch.randn(shape, generator=draw) for shape in shapes]
    mask = attention_mask(torch.ones(ROWS, past + frames).bool(), 50, past)
    time = module.timed(torch.full((ROWS,), 0.3))
    positions = module.positions(past, past + frames)
    return (x, torch.ones(ROWS, 1, frames), mask, mu, time, x[:, :, 0], prompt, *positions, *slots)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.float16, 5e-3)])
@pytest.mark.parametrize("flow", [tiny.flow, tiny3.flow])
def test_the_graph_it_is_given_holds_for_all_lengths(
    flow: Callable[[], Flow | DiTFlow], dtype: torch.dtype, apart: float, tmp_path: Path
) -> None:
    """Well typed, in 16 bits too; at another length, another past and none: the numbers of the network."""
    module, path = VelocityGraph(flow().velocity.requires_grad_(False)), tmp_path / "graph.onnx"
    export(Typed(module, dtype), given(module, EXAMPLE_FRAMES, EXAMPLE_PAST), path, free_sizes)

    onnx.checker.check_model(path, full_check=True)
    for frames, past in ((50, 100), (31, 0)):
        asked = given(module, frames, past)
        for got, want in zip(computed(path, asked), module(*asked), strict=True):
            assert got.dtype == want.dtype and relative(want, got) < apart


def computed(path: Path, asked: tuple[Tensor, ...]) -> list[Tensor]:
    """Results of ONNX Runtime given all arguments: none may be lost, the mask least of all."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {f"in{number}": arg.numpy() for number, arg in enumerate(asked)}
    assert {found.name for found in session.get_inputs()} == set(feed)
    return [torch.from_numpy(found) for found in session.run(None, feed)]


def test_in_16_bits_weights_are_narrow_and_numbers_wide() -> None:
    """Weights and arithmetic are narrow, what goes in and comes out is float32."""
    plain, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).requires_grad_(False), torch.randn(3, 4)
    typed = Typed(plain, torch.bfloat16)
    (row,) = typed(x[:1])

    assert row.dtype == torch.float32 and next(typed.parameters()).dtype == torch.bfloat16
    torch.testing.assert_close(row, plain(x)[0], atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("rows", "frames", "past", "way"),
    [
        (2, MOST_FRAMES, MOST_PAST, "fast"),
        (2, MOST_FRAMES + 1, 0, "plain"),
        (2, 50, MOST_PAST + 1, "plain"),
        (4, 50, 0, "plain"),
    ],
)
def test_what_an_engine_was_not_built_for_runs_the_plain_way(
    rows: int, frames: int, past: int, way: str
) -> None:
    """More rows, frames or past than its profile has."""
    called: list[str] = []

    def velocity(name: str) -> object:
        return lambda inputs, cache: called.append(name) or inputs.x

    x = torch.empty(rows, 80, frames, device="meta")
    mask = torch.empty(rows, frames, past + frames, device="meta")
    within(velocity("fast"), velocity("plain"), 2)(FlowInputs(x, x, mask, x, x, x, x), None)  # type: ignore[arg-type]

    assert called == [way]


class FakeContext:
    """Where an engine of one input and one output would run."""

    def __init__(self, cards: Cards) -> None:
        self.cards = cards

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def set_tensor_address(self, name: str, place: int) -> None:
        """Nothing is read."""

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def execute_async_v3(self, stream: int) -> bool:
        return self.cards.current == META


class FakeEngine:
    """Engine of TensorRT, read onto the card that was current."""

    num_io_tensors = 2

    def __init__(self, cards: Cards, memory: int) -> None:
        self.cards, self.memory = cards, memory

    def get_tensor_name(self, number: int) -> str:
        return ("in0", "out0")[number]

    def get_tensor_mode(self, name: str) -> str:
        return name[:-1]

    def create_execution_context(self) -> FakeContext | None:
        assert self.cards.current == META
        self.memory -= 1
        return FakeContext(self.cards) if self.memory >= 0 else None


def with_tensorrt(monkeypatch: pytest.MonkeyPatch, *, memory: int) -> Cards:
    """Pretend that TensorRT is installed, beside two cards with memory for that many contexts."""
    cards = Cards(monkeypatch)

    def deserialize(plan: bytes) -> FakeEngine | None:
        assert cards.current == META
        return FakeEngine(cards, memory) if plan == b"engine" else None

    fake = SimpleNamespace(
        Logger=type("Logger", (), {"ERROR": 0, "__init__": lambda self, level: None}),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=deserialize),
        TensorIOMode=SimpleNamespace(OUTPUT="out"),
        __version__="10.13",
    )
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    return cards


def loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workload: Workload, contexts: int
) -> list[Engine]:
    """The engines that loading a model onto the second card makes."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    engines: list[Engine] = []

    def stages(part: Part, networks: Networks, stages: Stages, compile: Compile, graphs: int) -> Stages:
        engines.append(compile(nn.Identity(), (torch.zeros(2, device=META),)))  # type: ignore[arg-type]
        return stages

    monkeypatch.setattr(tensorrt, "compiled_stages", stages)
    tensorrt.build(torch.float32, "velocity", workload.model, contexts)
    return engines


def test_everything_is_done_on_the_card_of_the_model(
    workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT works on the card that is current: building, reading, contexts, and each call."""
    cards = with_tensorrt(monkeypatch, memory=2)
    built_on: list[torch.device] = []
    monkeypatch.setattr(tensorrt, "export", lambda *args: None)
    monkeypatch.setattr(tensorrt, "built", lambda *args: built_on.append(cards.current) or b"engine")
    (engine,) = loaded(monkeypatch, tmp_path, workload, contexts=2)
    (out,) = engine(torch.zeros(3, device=META))

    assert built_on == [META] and engine.idle.qsize() == 2
    assert out.shape == (3,) and cards.current == FIRST


def test_no_memory_for_a_context_is_an_error(
    workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT says so by giving none."""
    with_tensorrt(monkeypatch, memory=1)
    monkeypatch.setattr(tensorrt, "made", lambda *args: b"engine")
    with pytest.raises(UsageError, match="no memory on meta for TensorRT to run in"):
        loaded(monkeypatch, tmp_path, workload, contexts=2)


def test_an_engine_that_tensorrt_cannot_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT gives no engine then, and the error says so."""
    cards = with_tensorrt(monkeypatch, memory=1)
    with cards.device(META), pytest.raises(UsageError, match="cannot read its own engine"):
        Engine(b"half an eng")


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_the_engine_equals_eager(tiny_folder: Path, name: str) -> None:
    """On the last GPU, with TensorRT: whole and streamed, within the class."""
    one = BACKENDS[name]
    if not one.availability(CUDA).ok:
        pytest.skip(one.availability(CUDA).reason)
    workload = Workload(Model.open(tiny_folder, f"cuda:{torch.cuda.device_count() - 1}"))
    stages = one.build("velocity", workload.model)
    said = [workload.utterance(Length(31, 0, False)), workload.utterance(Length(110, 31, True))]
    parity = verify(workload.model, "velocity", one.precision, stages, said)

    assert parity.passed, parity.why
