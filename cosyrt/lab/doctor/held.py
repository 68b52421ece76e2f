"""The networks behind stages, found by following what the callables hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from types import CellType, FunctionType, MethodType

import torch
from torch import Tensor, nn

from cosyrt.accel.torchscript.archive import weights


def modules_of(stages: Iterable[object]) -> list[nn.Module]:
    """Every network that the stages run, once; the parts of one are not told again."""
    found: list[nn.Module] = []
    seen: dict[int, object] = {}  # keeps what it names alive, so that no number is given twice
    waiting = list(stages)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, nn.Module):
            found.append(thing)
            waiting.extend(_ours(value) for part in thing.modules() for value in vars(part).values())
        else:
            waiting.extend(_inside(thing))
    parts = {id(part) for module in found for part in module.modules() if part is not module}
    return [module for module in found if id(module) not in parts]


def _inside(thing: object) -> Iterator[object]:
    """What a callable holds on to: closures, bound objects, and fields of what is defined here."""
    if isinstance(thing, FunctionType):
        yield from (cell.cell_contents for cell in thing.__closure__ or () if _filled(cell))
    elif isinstance(thing, MethodType):
        yield thing.__self__
        yield thing.__func__
    elif isinstance(thing, partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, tuple):
        yield from thing
    elif _ours(thing) is not None:
        names = getattr(thing, "__slots__", None) or vars(thing)
        yield from (getattr(thing, name) for name in names if hasattr(thing, name))


def _ours(thing: object) -> object | None:
    """What is defined here, such as an archive; None for anything else, of which there is too much."""
    return thing if type(thing).__module__.startswith("cosyrt.") else None


def _filled(cell: CellType) -> bool:
    """A function that is still being made has empty cells."""
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def tensors_of(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Its weights, buffers and plain attributes by name, and the constants of TorchScript."""
    yield from module.named_parameters()
    yield from module.named_buffers()
    if isinstance(module, torch.jit.ScriptModule):
        yield from (("a constant of the archive", tensor) for tensor in weights(module))
        return
    for path, part in module.named_modules():
        own = ((name, value) for name, value in vars(part).items() if isinstance(value, Tensor))
        yield from ((f"{path}.{name}".lstrip("."), value) for name, value in own)
