"""Speaking in a process that was forked after a model was loaded, as gunicorn's `preload_app` does.

A fork has one thread: those of OpenMP, which torch spreads an operation over, are gone, and whoever waits for
them waits for ever. On one thread torch needs none of them.
"""

from __future__ import annotations

import os
from functools import cache

import torch

from cosyrt.engine.model import Model
from cosyrt.errors import UsageError


@cache
def stay_usable_when_forked() -> None:
    """Let torch use one thread in every process that is forked from now on."""
    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    torch.set_num_threads(1)


def check_usable(model: Model, loaded_by: int) -> None:
    """Refuse a model that another process has loaded and this one cannot run.

    Raises:
        UsageError: it runs on a GPU or through a backend, whose threads and memory a fork does not have.
    """
    if loaded_by == os.getpid() or (model.device.type == "cpu" and model.stages is model.plain):
        return
    raise UsageError(
        "this process was forked after the model was loaded; load it in each process, start processes with "
        "'spawn', or load with device='cpu' and plan=False"
    )
