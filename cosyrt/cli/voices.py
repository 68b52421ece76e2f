"""cosyrt voices: who can speak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cosyrt.cli.options import Model, model_options, verbose_option

if TYPE_CHECKING:
    from cosyrt import Pipeline, Voice

COLUMNS = ("name", "language", "source", "prompt_s")


@click.group()
def voices() -> None:
    """The voices of a model."""


@voices.command("list")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
@verbose_option
def list_voices(model: Model, as_json: bool) -> None:
    """Each voice, its language, where it is from, and how long its prompt is."""
    tts = model.load()
    source = "built-in" if model.model is None else model.model
    rows = [_row(tts, voice, source) for voice in tts.voices.values()]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
    else:
        click.echo(_table(rows))


def _row(tts: Pipeline, voice: Voice, source: str) -> dict[str, str | float]:
    rates = tts.description.rates
    seconds = rates.seconds(len(voice.mel) * rates.samples_per_frame)
    row = (voice.name, voice.language or "any", source, round(seconds, 2))
    return dict(zip(COLUMNS, row, strict=True))


def _table(rows: list[dict[str, str | float]]) -> str:
    cells = [COLUMNS, *(tuple(str(cell) for cell in row.values()) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
