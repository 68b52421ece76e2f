"""cosyrt device: this machine, what models need of it, and which accelerations are worth a try."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.options import verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import table
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.lab.advice import OptionAdvice
    from cosyrt.machine.facts import Gpu, Machine

FITS = {"too large": "too large", "tight": "tight", "fits": "fits", "unknown": "free memory unknown"}
PRECISION_TITLES = {
    "float32": "float32",
    "autocast": "fp16 as upstream has it",
    "half": "half weights",
    "int8": "int8 language model",
}


@click.command()
@click.option(
    "--as",
    "described",
    metavar="FILE",
    type=UserPath(),
    help="Answer for the machine in a description (JSON), as --json prints it.",
)
@click.option(
    "--model", metavar="FOLDER", type=UserPath(), help="Tell also what this model folder speaks with."
)
@click.option(
    "--weights", metavar="NAME", default="", help="Of several language models in it: rl for llm.rl.pt."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@verbose_option
def device(described: Path | None, model: Path | None, weights: str, as_json: bool) -> None:
    """Show what this machine can do for speech: hardware, memory against need, and advice with reasons.

    \b
    cosyrt device
    cosyrt device --json > machine.json
    cosyrt device --as machine.json
    cosyrt device --model Fun-CosyVoice3-0.5B --weights rl
    """
    from cosyrt.lab.advice import advise, measured_here
    from cosyrt.machine.facts import Machine
    from cosyrt.machine.probe import this_machine

    loaded = _loaded(model, weights)
    if described:
        machine = Machine.read(described)
        advice = advise(machine)
    else:
        machine = this_machine()
        advice = advise(machine, measured=measured_here())
    click.echo(
        json.dumps(_as_data(machine, advice, loaded), ensure_ascii=False)
        if as_json
        else _as_text(machine, advice, loaded)
    )


def _loaded(model: Path | None, weights: str) -> dict[str, Any]:
    """What a model folder speaks with: its family, and which weights of the language model.

    Raises:
        ModelError: there is no such folder, or no such weights in it. UsageError: weights without a folder.
    """
    from cosyrt.checkpoint.folder import ModelFolder

    if model is None:
        if weights:
            raise UsageError("--weights chooses within a model folder; give it with --model")
        return {}
    folder = ModelFolder.open(model, variant=weights)
    facts = {
        "folder": str(folder.path),
        "family": folder.family,
        "language_model": folder.weights("llm").name,
    }
    return facts | {"other_weights": [name for name in folder.variants() if name != weights]}


def _as_data(machine: Machine, advice: list[OptionAdvice], loaded: dict[str, Any]) -> dict[str, Any]:
    from cosyrt.accel.footprint import PUBLISHED
    from cosyrt.lab.advice import memory_needs

    needs = [
        {"model": model.name} | need._asdict() for model in PUBLISHED for need in memory_needs(machine, model)
    ]
    found = {"machine": machine.as_data(), "memory": needs, "advice": [asdict(each) for each in advice]}
    return found | ({"model": loaded} if loaded else {})


def _as_text(machine: Machine, advice: list[OptionAdvice], loaded: dict[str, Any]) -> str:
    parts = [
        table(("", ""), [*_facts(machine), *_model_facts(loaded)], wrapped=True),
        _memory(machine),
        table(("option", "verdict", "basis", "why"), [_row(each) for each in advice], wrapped=True),
    ]
    return "\n\n".join(parts)


def _model_facts(loaded: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if loaded:
        others = ", ".join(f"--weights {name}" for name in loaded["other_weights"])
        there = f"; there is also {others}" if others else ""
        yield "model", f"{loaded['folder']} ({loaded['family']})"
        yield "weights", f"{loaded['language_model']}{there}"


def _row(each: OptionAdvice) -> tuple[str, str, str, str]:
    return each.option, each.verdict, each.basis, each.reason


def _facts(machine: Machine) -> list[tuple[str, str]]:
    cpu = machine.cpu
    cores = "" if cpu.cores is None else f", {cpu.cores} cores"
    facts = [("system", machine.system), ("CPU", f"{cpu.name}{cores}")]
    facts.append(("instructions", " ".join(cpu.instruction_sets) or "unknown"))
    if machine.ram_mb is not None:
        free = "" if machine.ram_free_mb is None else f", {machine.ram_free_mb:.0f} free"
        facts.append(("RAM", f"{machine.ram_mb:.0f} MB{free}"))
    facts += [("GPU", _gpu(gpu)) for gpu in machine.gpus] or [("GPU", "none")]
    facts.append(("software", ", ".join(f"{name} {version}" for name, version in machine.runtimes.items())))
    facts += [("note", note) for note in machine.notes]
    return facts


def _gpu(gpu: Gpu) -> str:
    optional = {
        "compute capability": gpu.capability,
        "driver": gpu.driver,
        "CUDA": gpu.cuda,
        "busy": None if gpu.utilisation_percent is None else f"{gpu.utilisation_percent:.0f} %",
        "reads": None if gpu.memory_gb_s is None else f"{gpu.memory_gb_s:.0f} GB/s",
    }
    more = (f"{name} {value}" for name, value in optional.items() if value is not None)
    return ", ".join((gpu.name, f"{gpu.used_mb:.0f} of {gpu.memory_mb:.0f} MB used", *more))


def _memory(machine: Machine) -> str:
    from cosyrt.accel.footprint import PUBLISHED
    from cosyrt.lab.advice import memory_needs

    rows = [
        (
            model.name,
            PRECISION_TITLES[need.precision],
            need.needed_mb,
            need.free_mb,
            FITS[need.room],
            need.reading_rtf,
        )
        for model in PUBLISHED
        for need in memory_needs(machine, model)
    ]
    head = ("model", "precision", "needs MB", "free MB", "", "LLM at best, RTF")
    if machine.gpu is None or machine.gpu.memory_gb_s is None:
        return table(head[:-1], [row[:-1] for row in rows])
    return table(head, rows)
