"""Every form of key/value cache, by name: its family, and the stages of the tiny model that run on it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cosyrt.accel.backend import cudagraph
from cosyrt.accel.backend.compiled import compiled_stages
from cosyrt.accel.backend.half_weights import half
from cosyrt.engine.model import Model
from cosyrt.engine.stages import Stages
from tests.accel.fake_cuda import itself

FORMS: dict[str, tuple[str, Callable[[Model], Stages]]] = {
    "plain": ("cosyvoice2", lambda model: model.plain),
    "relative": ("cosyvoice", lambda model: model.plain),
    "shared marks": ("cosyvoice3", lambda model: model.plain),
    "half": ("cosyvoice2", lambda model: half(torch.bfloat16, "llm", model)),
    "relative half": ("cosyvoice", lambda model: half(torch.bfloat16, "llm", model)),
    "growing": (
        "cosyvoice2",
        lambda model: compiled_stages("llm", model.networks, model.plain, lambda module, _: module),
    ),
    "graph": ("cosyvoice2", lambda model: cudagraph.build(None, "llm", model, record=itself)),
    "half graph": ("cosyvoice2", lambda model: cudagraph.build(torch.bfloat16, "llm", model, record=itself)),
}
