"""cosyrt export: a model's parts as archives for other runtimes, each proven before it is given its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosyrt.cli.options import Telling, telling_options, verbose_option
from cosyrt.cli.streams import is_watched

if TYPE_CHECKING:
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.lab.export import Exported

# (archive's name, step that begins)
OnStep = Callable[[str, str], None]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["torchscript"]), required=True, help="What the archives are."
)
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Write here.  [default: the model folder]"
)
@click.option(
    "--precision", default="fp32,fp16", show_default=True, metavar="LIST", help="fp32, fp16, or both."
)
@telling_options
@verbose_option
def export(folder: Path, kind: str, out: Path | None, precision: str, telling: Telling) -> None:
    """Write the encoders of a model FOLDER as archives that upstream's load_jit=True loads, and ours.

    Each is run in a fresh process and compared with the model before it is given its name. Expect no speed:
    the encoder is 1 % of the work (docs/accel.md).

    \b
    cosyrt export --format torchscript CosyVoice2-0.5B
    cosyrt export --format torchscript CosyVoice2-0.5B --out archives --precision fp16
    """
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.lab import export as torchscript

    precisions = [name.strip() for name in precision.split(",") if name.strip()]
    opened = ModelFolder.open(folder)
    with _progress_bars(telling) as on_step:
        made = torchscript.export(opened, out=out, precisions=precisions, on_step=on_step)
    if telling.result:
        report = _as_json if telling.json else _as_table
        click.echo(report(opened, made))


@contextmanager
def _progress_bars(telling: Telling) -> Iterator[OnStep]:
    """A bar an archive on the terminal's standard error."""
    if telling.quiet or not is_watched():
        yield lambda name, step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    from cosyrt.lab.export import STEPS

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}")
    bars: dict[str, TaskID] = {}
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:

        def show(name: str, step: str) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=len(STEPS), step="")
            progress.update(bars[name], completed=STEPS.index(step), step=step)
            if step == STEPS[-1]:
                progress.stop_task(bars[name])

        yield show


def _as_table(folder: ModelFolder, made: list[Exported]) -> str:
    """A line an archive, or what helps instead."""
    from cosyrt.accel.torchscript.stages import INSTEAD

    if not made:
        return f"nothing to export. {INSTEAD[folder.family]}"
    return "\n".join(
        f"{each.path} · {each.bytes / 1e6:.1f} MB · {each.manifest.dtype} · "
        f"error {each.manifest.error:.1e} over {each.manifest.cases} calls"
        for each in made
    )


def _as_json(folder: ModelFolder, made: list[Exported]) -> str:
    from dataclasses import asdict

    from cosyrt.accel.torchscript.stages import INSTEAD

    facts: dict[str, object] = {
        "family": folder.family,
        "archives": [{"path": str(each.path), "bytes": each.bytes} | asdict(each.manifest) for each in made],
    }
    if not made:
        facts["instead"] = INSTEAD[folder.family]
    return json.dumps(facts, ensure_ascii=False)
