"""A network with one of its modules taken by another, the network itself left as it was."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def with_module(network: Network, name: str, module: nn.Module) -> Network:
    """The same network and weights, but for the module of that name."""
    assert name in network._modules
    other = copy.copy(network)
    other._modules = network._modules | {name: module}
    return other
