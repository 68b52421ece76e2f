"""ONNX Runtime on the CPU, in float32. It is always installed, for the reference audio."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cosyrt.accel.backend.compiled import compiled_stages, refusal
from cosyrt.accel.contract import MEASURE, Advice, Availability, Backend, Part
from cosyrt.accel.footprint import Footprint
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from cosyrt.errors import UsageError, one_line
from cosyrt.machine.facts import Machine
from cosyrt.startup import runtime

OPSET = 17
MISSING = "the package onnx, which writes the graph, is not installed; pip install onnx"


class Session:
    """An ONNX graph that any number of threads may call."""

    def __init__(self, module: nn.Module, example: tuple[Tensor, ...]) -> None:
        onnxruntime = runtime("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as in cosyrt.startup
        options.log_severity_level = 3  # warnings about its own optimisations are nothing to a user
        with TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            export(module, example, path)
            self.session: Any = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        self.names = [found.name for found in self.session.get_inputs()]

    def __call__(self, *args: Tensor) -> list[Tensor]:
        """Run the graph; arguments that it turned out not to need are left out."""
        given = {f"in{number}": arg.contiguous().numpy() for number, arg in enumerate(args)}
        found = self.session.run(None, {name: given[name] for name in self.names})
        return [torch.from_numpy(np.asarray(value)) for value in found]


def every_size(example: Tensor) -> list[int]:
    """Indices of all dimensions of an input."""
    return list(range(example.dim()))


def export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    free_sizes: Callable[[Tensor], list[int]] = every_size,
) -> None:
    """Write the module as ONNX; `free_sizes` says which dimensions of an input may have another length.

    Raises:
        UsageError: it uses what ONNX has no words for.
    """
    names = [f"in{number}" for number in range(len(example))]
    free = {name: free_sizes(tensor) for name, tensor in zip(names, example, strict=True)}
    settings: Any = {"input_names": names, "dynamic_axes": free, "opset_version": OPSET, "dynamo": False}
    # Tracing warns of every shape and of its age, and prints the whole graph where it fails.
    with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(module, example, path, **settings)
        except torch.onnx.OnnxExporterError as error:
            reason = one_line(error, 100)
            raise UsageError(f"ONNX of opset {OPSET} cannot say this graph: {reason}") from error


def build(part: Part, model: Model) -> Stages:
    """Run one part by ONNX Runtime."""
    return compiled_stages(part, model.networks, model.stages, Session)


def availability(device: torch.device) -> Availability:
    """Whether ONNX Runtime can be used here, and the graph can be made."""
    if device.type != "cpu":
        return Availability(False, f"it is used for the CPU, the model runs on {device.type}")
    if find_spec("onnx") is None:
        return Availability(False, MISSING)
    return Availability(True)


def advice(machine: Machine, model: Footprint) -> Advice:
    """Judge float32 graphs on the CPU; they are not run on a card."""
    if machine.gpu is not None:
        return Advice(
            "leave",
            "cosyrt runs it on the CPU, which the card outdoes; on CUDA it searches algorithms anew for "
            "every length (148 ms against 6 in one report)",
        )
    todo = "" if "onnx" in machine.runtimes else "install onnx; "
    return Advice("try", f"{todo}float32 graphs of the language model, the flow and the vocoder; {MEASURE}")


BACKENDS = (
    Backend(
        name="onnxruntime",
        precision="exact",
        parts=("llm", "velocity", "vocode"),
        availability=availability,
        build=build,
        refusal=refusal,
        predicts=lambda device: 1.1,
        option="ONNX Runtime",
        advice=advice,
        rows=None,
    ),
)
