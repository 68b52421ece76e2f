"""ONNX Runtime and OpenVINO, imported so that they do not report to their makers, as they do at once.

What somebody has said, and that they spoke at all, is nobody else's business.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Any


def keep_quiet() -> None:
    """Forbid both to report from this process and those it starts; it must come before they are imported.

    ONNX Runtime sends its first event at `import`, when `disable_telemetry_events()` cannot be called yet.
    OpenVINO does without its reporting package where that is not installed, as it seems to be from now on.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


@cache  # asked for at every call of a graph
def runtime(name: str) -> Any:
    """The module of that full name, such as `onnxruntime` or `openvino.frontend`.

    Raises:
        ImportError: it is not installed.
    """
    keep_quiet()
    module = import_module(name)
    if name == "onnxruntime":
        module.disable_telemetry_events()  # of builds for Windows, which do not read the environment
    return module
