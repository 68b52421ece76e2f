"""The options of a cluster: where it is, and what speaks in it."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from cosyrt.cli.cluster import ClusterOptions, cluster_options


@pytest.mark.parametrize(
    ("arguments", "address"),
    [([], None), (["--cluster"], "local"), (["--cluster", "10.0.0.1:6379"], "10.0.0.1:6379")],
)
def test_the_address(arguments: list[str], address: str | None) -> None:
    """Without an address the cluster is a private one on this machine."""
    assert given(arguments).cluster == address


def test_the_models_in_it() -> None:
    """Their number, and what each takes; a part of a card is possible."""
    fleet = given(["--cluster", "--replicas", "4", "--replica-cpus", "2", "--replica-gpus", "0.5"]).fleet()

    assert (fleet.replicas, fleet.cpus, fleet.gpus) == (4, 2.0, 0.5) and not fleet.scales


def given(arguments: list[str]) -> ClusterOptions:
    """The options that a command is given."""
    found = list[ClusterOptions]()

    @click.command()
    @cluster_options
    def command(cluster: ClusterOptions) -> None:
        found.append(cluster)

    CliRunner().invoke(command, arguments, catch_exceptions=False)
    return found[0]
