"""What comes before heavy imports: settings of threads, kernels and reports, and what they run in."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from typing import Any

from cosyrt.errors import UsageError

VARIABLE = "OMP_WAIT_POLICY"
LEAST_ADDRESS_BYTES = 900_000_000  # to load torch and speak: with less, libraries end the process themselves
KERNELS_VARIABLE, KEPT_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", 256


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait for each other, unless the user has decided otherwise.

    By default they spin. On a machine with other work each waits, spinning, for one that has lost its core:
    on two busy cores that made speech twenty times slower. OpenMP reads its settings once, when torch is
    imported: this must come before.
    """
    os.environ.setdefault(VARIABLE, "PASSIVE")


def keep_few_kernels() -> None:
    """Let oneDNN keep fewer of the kernels that it compiles, unless the user has decided otherwise.

    It compiles some for every length of audio, and by default keeps 1024, most of them for lengths that never
    come again. It reads this setting at its first kernel.
    """
    os.environ.setdefault(KERNELS_VARIABLE, str(KEPT_KERNELS))


def prepare_torch() -> None:
    """Set what torch and its libraries read once, before torch is imported.

    Raises:
        UsageError: surroundings in which it would end the process.
    """
    check_surroundings()
    wait_asleep()
    keep_few_kernels()


def check_surroundings() -> None:
    """Refuse surroundings in which libraries would end the process without a word of ours.

    Raises:
        UsageError: the working folder was deleted, or the process may have too little address space.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the working folder is gone; change to one that is there") from error
    limit = _address_limit()
    if limit is not None and limit < LEAST_ADDRESS_BYTES:
        raise UsageError(
            f"this process may use only {limit // 1_000_000} MB of memory, speech needs "
            f"{LEAST_ADDRESS_BYTES // 1_000_000}; raise `ulimit -v`"
        )


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


def _address_limit() -> int | None:
    """Bytes of address space that this process may have, or None where that is not limited."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft
