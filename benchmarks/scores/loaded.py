"""The model and the service's code in memory, once, for the process that all services are forked from."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

import cosyrt.service.start  # noqa: F401  every life needs it
from cosyrt.startup import keep_quiet, prepare_torch

if TYPE_CHECKING:
    from cosyrt.engine.pipeline import Pipeline


@cache
def pipeline() -> Pipeline:
    """The built-in voice on the processor, without a plan: what anybody has."""
    from cosyrt.accel.load import load

    return load(device="cpu", plan=False)


def load_all() -> None:
    """Load what every life would load, without a thread that a fork would miss."""
    keep_quiet()
    prepare_torch()
    pipeline()
    assert threading.active_count() == 1


load_all()
