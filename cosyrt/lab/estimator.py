"""The velocity of the flow as upstream's ONNX file: `cosyrt export --format onnx`.

Names, shapes and the free axis are those of upstream's export_onnx.py, so that whatever reads that file reads
ours. Upstream's graph looks everywhere, in streams too. The variant beside it looks at its chunk and what is
before, as CosyVoice 2 and 3 were trained for streams.
"""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.errors import ArchiveError, MissingDependency, UsageError, one_line
from cosyrt.files import replace_file
from cosyrt.models.dit import DiT
from cosyrt.models.full_unet import FullUNet
from cosyrt.models.layers import attention_mask
from cosyrt.models.unet import CausalUNet
from cosyrt.models.velocity import FlowInputs
from cosyrt.startup import runtime

OFFICIAL, CHUNKED = "flow.decoder.estimator.fp32.onnx", "flow.decoder.estimator.chunk.fp32.onnx"
OPSET, BRANCHES, EXAMPLE_FRAMES = 18, 2, 256  # upstream's: one row with guidance and one without
INPUTS, OUTPUT, FREE = ("x", "mask", "mu", "t", "spks", "cond"), "estimator_out", ("x", "mask", "mu", "cond")
LENGTHS, LEAST_FRAMES, MOST_FRAMES = 10, 16, 512
TOLERANCE = 1e-4  # of the largest value: float32 sums in another order
STEPS = ("write", "check")

OnStep = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGraph:
    """A graph that was written and agrees with the network."""

    path: Path
    bytes: int
    error: float  # the largest, of the largest value
    cases: int


class Estimator(nn.Module):
    """A velocity with the arguments of upstream's `estimator`; `chunk`: frames see their chunk and back."""

    def __init__(self, velocity: CausalUNet | DiT | FullUNet, chunk: int | None) -> None:
        super().__init__()
        self.inner, self.chunk = velocity, chunk

    def forward(
        self,
        x: Tensor,  # [2, 80, M]
        mask: Tensor,  # [2, 1, M] 1 where a frame is not padding
        mu: Tensor,  # [2, 80, M]
        t: Tensor,  # [2]
        spks: Tensor,  # [2, 80]
        cond: Tensor,  # [2, 80, M]
    ) -> Tensor:  # [2, 80, M]
        looked_at = attention_mask(mask[:, 0] > 0, self.chunk)
        inputs = FlowInputs(x, mask, looked_at, mu, self.inner.timed(t), spks, cond)
        if isinstance(self.inner, DiT):
            rope = self.inner.rope(torch.arange(x.shape[2], device=x.device)[None])
            out: Tensor = self.inner(inputs, None, rope)
        else:
            out = self.inner(inputs)
        return out


def export(
    folder: ModelFolder, *, out: Path | None = None, on_step: OnStep = lambda name, step: None
) -> list[ExportedGraph]:
    """Write the graph of a folder's velocity and its variant in chunks, each compared with the network first.

    Raises:
        MissingDependency: the package onnx is not installed. ArchiveError: a graph gives other numbers.
        UsageError: `out` cannot be written, or ONNX cannot say the network. ModelError: no usable folder.
    """
    if find_spec("onnx") is None:
        raise MissingDependency(
            "the package onnx, which writes the graph, is not installed; pip install onnx"
        )
    settings, networks = build(folder)
    velocity = networks.flow.velocity.eval()
    chunk = getattr(settings.flow.velocity, "chunk_frames", None)
    graphs = {OFFICIAL: None} | ({CHUNKED: chunk} if chunk else {})
    place = out or folder.path
    return [
        _exported(name, Estimator(velocity, frames), settings.flow.mel_bins, place, on_step)
        for name, frames in graphs.items()
    ]


@torch.no_grad()
def _exported(name: str, module: Estimator, bins: int, place: Path, on_step: OnStep) -> ExportedGraph:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        on_step(name, "write")
        write(module, bins, path)
        on_step(name, "check")
        errors = list(differences(module, bins, path))
        if (error := max(errors)) > TOLERANCE:
            raise ArchiveError(
                f"{name} differs by {error:.1e} of the largest value from the network; not kept"
            )
        data = path.read_bytes()
    try:
        place.mkdir(parents=True, exist_ok=True)
        replace_file(place / name, data)
    except OSError as problem:
        raise UsageError(f"cannot write into {place}: {problem.strerror or problem}") from problem
    return ExportedGraph(path=place / name, bytes=len(data), error=error, cases=len(errors))


def write(module: Estimator, bins: int, path: Path) -> None:
    """Write a graph whose number of frames is free.

    Raises:
        UsageError: it uses what ONNX has no words for.
    """
    axes = {name: {2: "seq_len"} for name in (*FREE, OUTPUT)}
    # Tracing warns of every shape and of its age, and prints the whole graph where it fails.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module,
                example(bins, EXAMPLE_FRAMES),
                path,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise UsageError(
                f"ONNX of opset {OPSET} cannot say this graph: {one_line(error, 100)}"
            ) from error


def differences(module: Estimator, bins: int, path: Path) -> Iterator[float]:
    """How far the graph is from the network at many lengths, a part of the largest value."""
    onnxruntime = runtime("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    lengths = random.Random(0)
    for _ in range(LENGTHS):
        given = example(bins, lengths.randint(LEAST_FRAMES, MOST_FRAMES))
        want = module(*given)
        (found,) = session.run(None, {name: value.numpy() for name, value in zip(INPUTS, given, strict=True)})
        yield float((torch.from_numpy(found) - want).abs().max() / want.abs().max())


def example(bins: int, frames: int) -> tuple[Tensor, ...]:
    """Inputs of a call, all frames valid, as upstream draws them."""
    draw = torch.Generator().manual_seed(frames)
    mel = [torch.rand(BRANCHES, bins, frames, generator=draw) for _ in range(3)]
    time, speaker = torch.rand(BRANCHES, generator=draw), torch.rand(BRANCHES, bins, generator=draw)
    return mel[0], torch.ones(BRANCHES, 1, frames), mel[1], time, speaker, mel[2]
