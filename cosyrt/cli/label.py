"""cosyrt label: what files say about synthetic speech; the option that leaves the label out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from cosyrt.cli.options import group, verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.errors import UsageError
from cosyrt.labels import Label, LabelSettings, Signs

PRODUCER, PROPAGATOR = "COSYRT_LABEL_PRODUCER", "COSYRT_LABEL_PROPAGATOR"
CERTIFICATES, KEY = "COSYRT_LABEL_CERTIFICATES", "COSYRT_LABEL_KEY"
NOTICE, OPTIONAL = "COSYRT_LABEL_NOTICE", "COSYRT_LABEL_OPTIONAL"
_SWITCHES = {"": False, "0": False, "1": True}


@click.group()
def label() -> None:
    """Tell whether files say that their speech is synthetic.

    \b
    cosyrt say "Hello." -o hello.mp3
    cosyrt label check hello.mp3
    """


@label.command()
@click.argument("file", type=UserPath())
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@verbose_option
def check(file: Path, as_json: bool) -> None:
    """Read the label of FILE: AIGC metadata, as GB 45438-2025 names it.

    A file without a label may be synthetic all the same.
    """
    from cosyrt.label_check import check_label

    finding = check_label(file)
    if as_json:
        click.echo(json.dumps(finding.as_json(), ensure_ascii=False))
        return
    click.echo(f"{file}: {'labelled as synthetic' if finding.labelled else 'no label'} ({finding.container})")
    if finding.credentials:
        click.echo(f"  signed (C2PA): {finding.credentials}")
    for name, value in finding.fields.items():
        if value:
            click.echo(f"  {name}: {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """Whether what is made is labelled."""

    no_label: bool = False

    def label(self, environment: Mapping[str, str] = os.environ) -> Label | None:
        """The label of what is made, or None where it was to be left out and may be.

        Raises:
            UsageError: it may not be left out, or a variable cannot be used.
        """
        settings = settings_of(environment)
        if not self.no_label:
            return settings.label()
        if settings.optional:
            return None
        raise UsageError(f"--no-label is not allowed here; whoever is responsible can set {OPTIONAL}=1")


LABELLED = LabelOptions()


def settings_of(environment: Mapping[str, str]) -> LabelSettings:
    """The labels that this machine's operator wants.

    Raises:
        UsageError: a variable cannot be used.
    """
    return LabelSettings(
        producer=environment.get(PRODUCER, "cosyrt"),
        propagator=environment.get(PROPAGATOR, ""),
        notice=_switch(environment, NOTICE),
        optional=_switch(environment, OPTIONAL),
        signer=_signer(environment),
    )


def _signer(environment: Mapping[str, str]) -> Signs | None:
    certificates, key = environment.get(CERTIFICATES), environment.get(KEY)
    if not certificates and not key:
        return None
    if not certificates or not key:
        raise UsageError(f"{CERTIFICATES} and {KEY} go together; set both, or neither")
    from cosyrt.credentials import Credentials

    return Credentials(Path(certificates), Path(key))


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "")
    if value not in _SWITCHES:
        raise UsageError(f"{name} is {value[:40]!r}; set it to 1 or 0")
    return _SWITCHES[value]


label_options = group(
    LabelOptions,
    "labelling",
    click.option(
        "--no-label",
        is_flag=True,
        help=f"Do not mark the file as synthetic speech; only where {OPTIONAL}=1.",
    ),
)
