"""Spot checks of a backend while it speaks: now and then a call is made a second time, by the plain stage.

What `tune` has proven can become wrong later: another driver, another length, a card that fails. Values that
are finite and wrong are seen by nobody but a listener, unless they are compared. The first call of a stage is
compared, when a service warms up; from then on comparing may take a small share of the time that the stage
takes. The plain call starts from the same state, on copies, and leaves no trace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cosyrt.accel.contract import PARTS, Precision
from cosyrt.accel.distance import divergence, relative
from cosyrt.engine.stages import Stages
from cosyrt.models.kv_cache import KeyValueCache
from cosyrt.models.stream_cache import StreamCache

# How far one call may be off in production. `tune` allows a tenth to a half of this (lab/parity.py), on the
# mean of many calls; beyond this a call is wrong, not inexact.
MOST_APART: dict[Precision, float] = {"exact": 0.01, "half": 0.2, "quantised": 0.4}  # of the norm
MOST_SURPRISED: dict[Precision, float] = {"exact": 0.01, "half": 0.2, "quantised": 0.5}  # nats a token
# An excitation is noise where there is no pitch, and elsewhere a phase that every rounding moves on.
NEVER = frozenset({"excite", "new_cache"})

Slots = list[tuple[StreamCache, list[Tensor]]]  # the content of each stream's cache


@dataclass(slots=True, kw_only=True)
class SpotCheck:
    """When calls of one part are compared, and how far they may be from the plain ones."""

    precision: Precision
    share: float  # of the time of its calls, that comparing may take
    clock: Callable[[], float] = time.perf_counter
    _credit: dict[str, float] = field(default_factory=dict)  # seconds that may be spent, by stage
    _price: dict[str, float] = field(default_factory=dict)  # seconds that the last comparison took

    def is_due(self, name: str, seconds: float) -> bool:
        """Count a call that took so long; whether it is to be compared."""
        if name in NEVER:
            return False
        self._credit[name] = self._credit.get(name, 0.0) + self.share * seconds
        return self._credit[name] >= self._price.get(name, 0.0)

    def objection(
        self, name: str, plain: Stages, arguments: Sequence[Any], before: Slots, out: Tensor
    ) -> str:
        """Why what a stage has answered is wrong; empty where it is not."""
        began = self.clock()
        expected = plain_twin(name, plain, arguments, before)
        why = self._judged(name, expected, out)
        self._price[name] = self.clock() - began
        self._credit[name] = 0.0
        return why

    def _judged(self, name: str, expected: Tensor, out: Tensor) -> str:
        if out.shape != expected.shape:
            return f"{name} answers {list(out.shape)}, not {list(expected.shape)}"
        got, wanted = out.float(), expected.float()
        if name in PARTS["llm"]:
            apart, most, unit = divergence(wanted, got), MOST_SURPRISED[self.precision], "nats"
        else:
            apart, most, unit = relative(wanted, got), MOST_APART[self.precision], "of its norm"
        return "" if apart <= most else f"{name} is {apart:.2g} {unit} off; {most:g} is the most"


def precision_of(backend: str) -> Precision:
    """The class of precision of a backend; of one that is not known the least exact."""
    from cosyrt.accel.registry import BACKENDS

    return BACKENDS[backend].precision if backend in BACKENDS else "quantised"


def plain_twin(name: str, plain: Stages, arguments: Sequence[Any], before: Slots) -> Tensor:
    """What the plain stage answers to a call, from the state before it; the state after it stays."""
    after: Slots = [(stream, stream.slots()) for stream, _ in before]
    try:
        for stream, slots in before:
            stream.restore([slot.float() for slot in slots])
            stream.begin()
        stage: Callable[..., Tensor] = getattr(plain, name)
        return stage(*(_copied(value, plain) for value in arguments))
    finally:
        for stream, slots in after:
            stream.restore(slots)


@torch.inference_mode()
def _copied(value: Any, plain: Stages) -> Any:
    """A key/value cache as the plain stages have it, for one call; anything else as it is."""
    if not isinstance(value, KeyValueCache):
        return value
    copy = plain.new_cache(value.rows, value.positions)
    copy.copy_from(value, value.positions)
    return copy
