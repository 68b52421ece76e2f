"""The options of commands whose models may speak on the machines of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cosyrt.cli.options import group

if TYPE_CHECKING:
    from cosyrt.cluster.fleet import Fleet

cluster_option = click.option(
    "--cluster",
    metavar="ADDRESS",
    is_flag=False,
    flag_value="local",
    help="Speak on the machines of a Ray cluster; without ADDRESS on this one (docs/scale.md).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Where the models of a batch are, how many there are, and what each takes."""

    cluster: str | None
    replicas: int
    replica_cpus: float
    replica_gpus: float

    def fleet(self) -> Fleet:
        """The models that speak."""
        from cosyrt.cluster.fleet import Fleet

        return Fleet(replicas=self.replicas, cpus=self.replica_cpus, gpus=self.replica_gpus)


cluster_options = group(
    ClusterOptions,
    "cluster",
    cluster_option,
    click.option(
        "--replicas",
        type=click.IntRange(1),
        metavar="N",
        default=1,
        show_default=True,
        help="Models in the cluster.",
    ),
    click.option(
        "--replica-cpus",
        type=click.FloatRange(0),
        metavar="N",
        default=1.0,
        show_default=True,
        help="Processors that each of them takes.",
    ),
    click.option(
        "--replica-gpus",
        type=click.FloatRange(0),
        metavar="N",
        default=0.0,
        show_default=True,
        help="Graphics cards that each of them takes.",
    ),
)
