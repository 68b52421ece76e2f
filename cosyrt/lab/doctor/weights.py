"""Causes that lie in the weights: where they are, what they are converted to, what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cosyrt.accel.contract import PARTS, Part
from cosyrt.accel.torchscript.archive import DTYPES, named, read, remedy, weight_dtype, weights
from cosyrt.errors import ArchiveError, one_line
from cosyrt.lab.doctor.finding import Finding
from cosyrt.lab.doctor.held import modules_of, tensors_of
from cosyrt.lab.doctor.patient import LENGTHS, Patient

HALVES = (torch.float16, torch.bfloat16)
CONVERSIONS = ("aten::to", "aten::_to_copy")
MB = 1 << 20


def wrong_device(patient: Patient) -> Finding:
    """A network, or a constant that was no buffer when the network was moved, lies somewhere else."""
    cause = "module or constants on the wrong device"
    held = list(_held(patient))
    lost = [(name, tensor) for name, tensor in held if not _is_on(tensor, patient.device)]
    if not lost:
        seen = f"{len(held)} tensors, all on {patient.device}"
        return Finding(cause=cause, status="ruled out", seen=seen)
    name, tensor = max(lost, key=lambda pair: pair[1].nbytes)
    return Finding(
        cause=cause,
        status="confirmed",
        seen=f"{len(lost)} of {len(held)} tensors are not on {patient.device}: {name} is on {tensor.device}",
        experiment=_moved(patient, tensor),
        fix=f"register {name} as a buffer and move the network by .to({str(patient.device)!r})",
    )


def _held(patient: Patient) -> Iterator[tuple[str, Tensor]]:
    for module in modules_of(patient.stages):
        for name, tensor in tensors_of(module):
            yield f"{type(module).__name__}.{name}", tensor


def _is_on(tensor: Tensor, device: torch.device) -> bool:
    """Single numbers may be anywhere: a card takes them along with the call."""
    if tensor.dim() == 0:
        return True
    other = None in (tensor.device.index, device.index) or tensor.device.index == device.index
    return tensor.device.type == device.type and other


def _moved(patient: Patient, tensor: Tensor) -> str:
    """What it takes to bring it where it is needed, as every call has to."""
    size = f"its {tensor.nbytes / MB:.3g} MB"
    begin = patient.clock()
    try:
        tensor.to(patient.device)
        if patient.device.type == "cuda":
            torch.cuda.synchronize(patient.device)
    except RuntimeError as error:
        reason = one_line(error, 100)
        return f"{size} cannot be copied to {patient.device}: {reason}"
    return f"copying {size} takes {1000 * (patient.clock() - begin):.3g} ms, at every call"


def autocast(patient: Patient) -> Finding:
    """Upstream's fp16: the weights stay float32 and are converted when they are used."""
    cause = "precision by autocast"
    first, second = ({part: conversions(patient, part) for part in PARTS} for _ in range(2))
    part = max(PARTS, key=lambda part: second[part][1])
    count, converted = second[part]
    if not count:
        seen = f"{sum(n for n, _ in first.values())} float32 weights are converted to 16 bits in a call"
        return Finding(cause=cause, status="ruled out", seen=seen)
    return Finding(
        cause=cause,
        status="confirmed",
        seen=f"{part} converts float32 weights to 16 bits: {first[part][0]} in a short utterance",
        experiment=f"said again, {count} are converted once more, {converted / MB:.3g} MB: they are not kept",
        fix=f"take weights of 16 bits: no autocast around {part}, and --way bf16 or fp16, or cosyrt tune",
    )


def conversions(patient: Patient, part: Part) -> tuple[int, int]:
    """How many float32 weights the calls of a part convert to 16 bits, and how many bytes of them."""
    known = {tensor.data_ptr() for tensor in _weights(modules_of(patient.stages))}
    converted = _Converted(known)
    watched = {name: _under(converted, getattr(patient.stages, name)) for name in PARTS[part]}
    replace(patient, stages=patient.stages.wrapped(**watched)).seconds(part, LENGTHS[0])
    return converted.count, converted.nbytes


def _under(mode: TorchDispatchMode, stage: Callable[..., Any]) -> Callable[..., Any]:
    """The stage, watched: what others do around it is not its doing."""

    def call(*args: Any) -> Any:
        with mode:
            return stage(*args)

    return call


def _weights(modules: list[nn.Module]) -> Iterator[Tensor]:
    for module in modules:
        for _, tensor in tensors_of(module):
            if tensor.dtype == torch.float32 and tensor.dim() and tensor.device.type != "meta":
                yield tensor


class _Converted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the conversions of known tensors from 32 bits to 16: autocast's are like any other here."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known, self.count, self.nbytes = known, 0, 0

    @classmethod
    def is_infra_mode(cls) -> bool:
        """It only watches: otherwise torch.compile refuses, for good, what it first meets under it."""
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and look at what it was."""
        out = func(*args, **(kwargs or {}))
        if func._schema.name in CONVERSIONS and out.dtype in HALVES and args[0].data_ptr() in self.known:
            self.count += 1
            self.nbytes += args[0].nbytes
        return out


def mislabelled(patient: Patient) -> Finding:
    """An archive named fp16 that holds float32, or the reverse: an upstream release had them swapped."""
    cause = "weights mislabelled"
    if not patient.archives:
        return Finding(cause=cause, status="not applicable", seen="there are no archives")
    for path in patient.archives:
        try:
            module = read(path, None)
        except ArchiveError:
            continue  # it has no weights to look at, and cannot be loaded by anyone
        holds, said = weight_dtype(module), DTYPES[named(path)[1]]
        if holds is not None and holds != said:
            types = Counter(tensor.dtype for tensor in weights(module) if tensor.is_floating_point())
            return Finding(
                cause=cause,
                status="confirmed",
                seen=f"{path.name} should hold {_name(said)} and holds {_name(holds)}",
                experiment=f"read: {types[holds]} of {types.total()} tensors of its graph are {_name(holds)}",
                fix=remedy(path),
            )
    seen = f"the weights of {len(patient.archives)} archives are what they are named"
    return Finding(cause=cause, status="ruled out", seen=seen)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
