"""Settings of a process that come before heavy imports: how threads wait, and that nothing is reported."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Any

VARIABLE = "OMP_WAIT_POLICY"


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait for each other, unless the user has decided otherwise.

    By default they spin. On a machine with other work each waits, spinning, for one that has lost its core:
    on two busy cores that made speech twenty times slower. OpenMP reads its settings once, when torch is
    imported: this must come before.
    """
    os.environ.setdefault(VARIABLE, "PASSIVE")


def keep_quiet() -> None:
    """Forbid ONNX Runtime and OpenVINO to report from this process and those that it starts.

    It must come before either is imported: ONNX Runtime sends its first event at `import`, when
    `disable_telemetry_events()` cannot be called yet. OpenVINO does without its reporting package where that
    is not installed, as it seems to be from now on.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@cache  # asked for at every call of a graph
def runtime(name: str) -> Any:
    """Import `onnxruntime`, `openvino` or a module inside them, with telemetry disabled.

    Raises:
        ImportError: it is not installed.
    """
    keep_quiet()
    module = import_module(name)
    if name == "onnxruntime":
        module.disable_telemetry_events()  # of builds for Windows, which do not read the environment
    return module
