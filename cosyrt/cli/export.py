"""cosyrt export: parts of a model as TorchScript archives or ONNX graphs, each checked before it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosyrt.cli.options import OutputOptions, output_options, verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import progress_bar
from cosyrt.families import FAMILIES

if TYPE_CHECKING:
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.lab.export import Exported


@click.command()
@click.argument("folder", type=UserPath())
@click.option(
    "--format", "kind", type=click.Choice(["torchscript", "onnx"]), required=True, help="What is written."
)
@click.option("--out", metavar="DIR", type=UserPath(), help="Write here.  [default: the model folder]")
@click.option(
    "--precision",
    default="fp32,fp16",
    show_default=True,
    metavar="LIST",
    help="Of archives: fp32, fp16, or both.",
)
@output_options
@verbose_option
def export(folder: Path, kind: str, out: Path | None, precision: str, printing: OutputOptions) -> None:
    """Write parts of a model FOLDER under upstream's names, each compared with the model first.

    torchscript: the encoders as archives for load_jit=True, upstream's and ours. Expect no speed: the encoder
    of CosyVoice 2 is 1 % of the work (docs/accel.md). onnx: flow.decoder.estimator.fp32.onnx, in float32, for
    whatever reads upstream's, and its variant for streams beside it.

    \b
    cosyrt export --format torchscript CosyVoice2-0.5B
    cosyrt export --format torchscript CosyVoice2-0.5B --out archives --precision fp16
    cosyrt export --format onnx CosyVoice2-0.5B
    """
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.lab import export as torchscript
    from cosyrt.lab.export import EXPORT_STEPS

    if kind == "onnx":
        _export_graphs(folder, out, printing)
        return
    precisions = [name.strip() for name in precision.split(",") if name.strip()]
    opened = ModelFolder.open(folder)
    with progress_bar(hidden=printing.quiet) as show:
        made = torchscript.export(
            opened,
            out=out,
            precisions=precisions,
            on_step=lambda name, step: show(f"{name}: {step}", EXPORT_STEPS.index(step) / len(EXPORT_STEPS)),
        )
    if printing.result:
        report = _as_json if printing.json else _as_table
        click.echo(report(opened, made))


def _export_graphs(folder: Path, out: Path | None, printing: OutputOptions) -> None:
    from dataclasses import asdict

    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.lab import estimator

    opened = ModelFolder.open(folder)
    with progress_bar(hidden=printing.quiet) as show:
        made = estimator.export(
            opened,
            out=out,
            on_step=lambda name, step: show(
                f"{name}: {step}", estimator.STEPS.index(step) / len(estimator.STEPS)
            ),
        )
    if not printing.result:
        return
    if printing.json:
        graphs = [asdict(each) | {"path": str(each.path)} for each in made]
        click.echo(json.dumps({"family": opened.family, "graphs": graphs}, ensure_ascii=False))
        return
    for each in made:
        click.echo(
            f"{each.path} · {each.bytes / 1e6:.1f} MB · error {each.error:.1e} over {each.cases} calls"
        )


def _as_table(folder: ModelFolder, made: list[Exported]) -> str:
    """Write a line for each archive; where there is none, what helps instead."""
    if not made:
        return f"nothing to export. {FAMILIES[folder.family].instead_of_archives}"
    return "\n".join(
        f"{each.path} · {each.bytes / 1e6:.1f} MB · {each.manifest.dtype} · "
        f"error {each.manifest.error:.1e} over {each.manifest.cases} calls"
        for each in made
    )


def _as_json(folder: ModelFolder, made: list[Exported]) -> str:
    from dataclasses import asdict

    facts: dict[str, object] = {
        "family": folder.family,
        "archives": [{"path": str(each.path), "bytes": each.bytes} | asdict(each.manifest) for each in made],
    }
    if not made:
        facts["instead"] = FAMILIES[folder.family].instead_of_archives
    return json.dumps(facts, ensure_ascii=False)
