"""The networks behind stages are found wherever a callable keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from cosyrt.accel.backend.torchscript import archives
from cosyrt.lab.doctor.held import modules_of, tensors_of
from cosyrt.lab.export import Exported
from cosyrt.lab.workload import Subject


@dataclass(slots=True)
class Holder:
    """A field of ours holds it."""

    inner: nn.Module


Holder.__module__ = "cosyrt.somewhere"


def test_what_holds_a_network_does_not_matter() -> None:
    """Closures, partials, bound methods and fields, one in another; a part of a network is not told again."""
    a, b, c = nn.Linear(1, 1), nn.Linear(2, 2), nn.Sequential(nn.Linear(3, 3))
    d = Holder(nn.Linear(4, 4))
    closed = torch.inference_mode()(lambda x: a(x) + d.inner(x))

    found = modules_of([closed, partial(b.forward, 1), c.forward, c[0].forward])

    assert {id(module) for module in found} == {id(module) for module in (a, b, c, d.inner)}


def test_all_networks_of_the_plain_stages_are_found(subject: Subject) -> None:
    """Every weight of the model is among what they hold."""
    held = {id(tensor) for module in modules_of(subject.plain) for _, tensor in tensors_of(module)}
    networks = subject.model.networks
    used = [networks.llm.parameters(), networks.flow.parameters(), networks.vocoder.parameters()]

    assert all(id(weight) in held for weights in used for weight in weights)


def test_a_constant_that_is_no_buffer_has_a_name() -> None:
    """It is what `.to` leaves behind."""
    module = nn.Sequential(nn.Linear(1, 1))
    module[0].table = torch.zeros(2)

    assert [name for name, _ in tensors_of(module)] == ["0.weight", "0.bias", "0.table"]


def test_the_constants_of_an_archive_are_found(subject: Subject, exported: dict[str, Exported]) -> None:
    """Freezing made them of its weights."""
    accelerate = archives(where=exported["fp32"].path.parent)
    stages = accelerate(subject.model)
    names = [name for module in modules_of([stages.encode]) for name, _ in tensors_of(module)]

    assert names.count("a constant of the archive") > 10
