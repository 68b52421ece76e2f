"""cosyrt batch: a list of texts → a folder of recordings, overnight if need be."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.cluster import ClusterOptions, cluster_options
from cosyrt.cli.label import LabelOptions, label_options
from cosyrt.cli.options import (
    ModelOptions,
    OutputOptions,
    PaceOptions,
    ReadingOptions,
    SpeakerOptions,
    StyleOptions,
    model_options,
    output_options,
    pace_options,
    reading_options,
    speaker_options,
    style_options,
    verbose_option,
)
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import progress_bar
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.batch.manifest import Item
    from cosyrt.batch.run import BatchConfig, BatchResult
    from cosyrt.engine.frontend import Frontend

SHOWN_FAILURES = 5


class OutPath(UserPath):
    """A folder, or an address that stays as it is written."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Make a path of what is no address."""
        return value if isinstance(value, str) and "://" in value else super().convert(value, param, ctx)


@click.command()
@click.argument("manifest", type=UserPath())
@click.argument("out", type=OutPath())
@click.option(
    "--format",
    "audio_format",
    metavar="FORMAT",
    default="wav",
    show_default=True,
    help="wav, flac, opus, mp3 or m4a.",
)
@click.option(
    "--rate", type=click.IntRange(1), metavar="HZ", help="Samples a second.  [default: the model's]"
)
@click.option(
    "--streams",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Texts that are spoken at once.",
)
@reading_options
@speaker_options
@style_options
@pace_options
@model_options
@cluster_options
@label_options
@output_options
@verbose_option
def batch(
    manifest: Path,
    out: Path | str,
    audio_format: str,
    rate: int | None,
    streams: int,
    reading: ReadingOptions,
    speaker: SpeakerOptions,
    style: StyleOptions,
    pace: PaceOptions,
    model: ModelOptions,
    cluster: ClusterOptions,
    labelling: LabelOptions,
    printing: OutputOptions,
) -> None:
    """Speak each text of MANIFEST into a file of the folder OUT, or of an address such as s3://bucket/folder.

    MANIFEST is JSON lines or CSV with the fields id, text and, where wanted, voice, style, speed and seed; a
    .txt file with a text a line; a folder of .txt files; or - for JSON lines on standard input.

    OUT/manifest.jsonl lists what was made. A run that was stopped or killed goes on where it was when the
    same command is given again. Texts that cannot be spoken are listed in OUT/failed.jsonl, and the exit code
    is then 1.

    \b
    cosyrt batch lines.csv recordings --format flac
    cosyrt batch chapters audiobook --voice NAME --format mp3
    cosyrt batch lines.csv s3://bucket/recordings --cluster 10.0.0.1:6379 --replicas 8 --replica-gpus 1
    """
    listed = _listed(manifest)
    label = labelling.label()
    speaking = _in_cluster(model, cluster) if cluster.cluster else _here(model)
    tts = speaking.frontend
    asked = {
        "voice": speaker.of(tts),
        "speed": pace.speed,
        "seed": pace.seed,
        "format": audio_format,
        "sample_rate": rate,
        "label": label,
        "streams": streams,
        **reading.asked(),
    }
    tally = _spoken(speaking, manifest, listed, out, style, asked, printing)
    if not tally.counts:
        raise UsageError("standard input has no text in it")
    if printing.result:
        as_json = json.dumps(tally.as_json(out), ensure_ascii=False)
        click.echo(as_json if printing.json else tally.summary(out))
    if tally.counts["failed"]:
        if not printing.quiet:
            tally.print_failures(out)
        raise SystemExit(1)


def _listed(manifest: Path) -> list[Item] | None:
    """All items of a list that has an end; None for standard input, which is spoken as it comes.

    Raises:
        UsageError: the list has no text in it.
    """
    from cosyrt.batch.manifest import STANDARD_INPUT, read_items

    if str(manifest) == STANDARD_INPUT:
        return None
    listed = list(read_items(manifest))
    if not listed:
        raise UsageError(f"{manifest} has no text in it")
    return listed


@dataclass(frozen=True, slots=True)
class _Speaking:
    """What is known of the model where the list is, and how the list is spoken."""

    frontend: Frontend
    batch: Callable[[Iterable[Item], Path | str, BatchConfig], Generator[BatchResult, None, None]]


def _here(model: ModelOptions) -> _Speaking:
    from cosyrt.batch.run import batch as speak_batch

    pipeline = model.load()
    return _Speaking(pipeline, partial(speak_batch, pipeline))


def _in_cluster(model: ModelOptions, cluster: ClusterOptions) -> _Speaking:
    from cosyrt.batch.run import limits_of
    from cosyrt.cluster.batch import batch as speak_batch
    from cosyrt.cluster.connection import check_installed
    from cosyrt.cluster.replica import ReplicaConfig

    check_installed()
    frontend, where = model.frontend(), cluster.cluster

    def speak(
        items: Iterable[Item], out: Path | str, config: BatchConfig
    ) -> Generator[BatchResult, None, None]:
        replica = ReplicaConfig(
            model=model.model, weights=model.weights, device=model.device, scheduling=limits_of(config)
        )
        return speak_batch(
            frontend, items, out, config, address=str(where), fleet=cluster.fleet(), replica=replica
        )

    return _Speaking(frontend, speak)


def _spoken(
    speaking: _Speaking,
    manifest: Path,
    listed: list[Item] | None,
    out: Path | str,
    style: StyleOptions,
    asked: dict[str, Any],
    printing: OutputOptions,
) -> Tally:
    """Speak the list while a bar shows how far it has come."""
    from cosyrt.batch.manifest import read_items
    from cosyrt.batch.run import BatchConfig
    from cosyrt.engine.request import SpeakingStyle

    speaking_style = SpeakingStyle(instruction=style.instruct, cross_lingual=style.cross_lingual)
    config = BatchConfig(style=speaking_style, **asked)
    tally = Tally.of(listed)
    items = read_items(manifest) if listed is None else listed
    with (
        closing(speaking.batch(items, out, config)) as results,
        progress_bar(hidden=printing.quiet) as show,
    ):
        for result in results:
            tally.add(result)
            show(tally.line(), tally.share)
    return tally


@dataclass
class Tally:
    """What was done so far, and how fast."""

    characters: int  # of all texts; 0 where nobody knows
    count: int | None  # of texts; None where nobody knows
    counts: Counter[str] = field(default_factory=Counter)  # results by status
    made_s: float = 0.0  # audio of this run
    done_characters: int = 0  # of texts that are finished, whenever that was
    spoken_characters: int = 0  # of texts that this run spoke
    failures: list[BatchResult] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, listed: list[Item] | None) -> Tally:
        """Begin to count, for a list that is known or for one that is still coming."""
        if listed is None:
            return cls(characters=0, count=None)
        return cls(characters=sum(len(item.text) for item in listed), count=len(listed))

    def add(self, result: BatchResult) -> None:
        """Count a result."""
        self.counts[result.status] += 1
        self.done_characters += len(result.item.text)
        if result.status == "made":
            self.made_s += result.seconds
            self.spoken_characters += len(result.item.text)
        if result.status == "failed":
            self.failures.append(result)

    @property
    def share(self) -> float | None:
        """Share of all characters that are done."""
        return self.done_characters / self.characters if self.characters else None

    @property
    def pace(self) -> float:
        """Seconds of audio made in a second."""
        return self.made_s / max(1e-9, time.monotonic() - self.begin)

    def remaining_s(self) -> float | None:
        """Seconds that the rest takes if it goes on like this."""
        if not self.characters or not self.spoken_characters:
            return None
        elapsed = time.monotonic() - self.begin
        return (self.characters - self.done_characters) * elapsed / self.spoken_characters

    def line(self) -> str:
        """How far the work has come."""
        done = sum(self.counts.values())
        remaining = self.remaining_s()
        parts = [
            f"{done} of {self.count}" if self.count is not None else f"{done} texts",
            f"{self.pace:.1f} s of audio a second",
            *([f"{self.counts['failed']} failed"] if self.counts["failed"] else []),
            *([f"{as_time(remaining)} left"] if remaining is not None else []),
        ]
        return " · ".join(parts)

    def summary(self, out: Path | str) -> str:
        """The line at the end."""
        counts = self.counts
        parts = [
            f"{counts['made']} made",
            *([f"{counts['kept']} were there"] if counts["kept"] else []),
            *([f"{counts['failed']} failed"] if counts["failed"] else []),
            f"{self.made_s:.1f} s of audio, {self.pace:.1f} a second",
            f"{out}/manifest.jsonl",
        ]
        return " · ".join(parts)

    def as_json(self, out: Path | str) -> dict[str, Any]:
        """The object that --json prints."""
        return {
            "made": self.counts["made"],
            "kept": self.counts["kept"],
            "failed": self.counts["failed"],
            "audio_s": round(self.made_s, 3),
            "seconds": round(time.monotonic() - self.begin, 3),
            "audio_s_per_s": round(self.pace, 3),
            "manifest": f"{out}/manifest.jsonl",
            "failures": [result.as_failure for result in self.failures],
        }

    def print_failures(self, out: Path | str) -> None:
        """Say on standard error what could not be spoken, the first few of it."""
        for result in self.failures[:SHOWN_FAILURES]:
            click.echo(f"cosyrt: {result.item.where or result.item.id}: {result.reason}", err=True)
        if len(self.failures) > SHOWN_FAILURES:
            click.echo(
                f"cosyrt: and {len(self.failures) - SHOWN_FAILURES} more; see {out}/failed.jsonl",
                err=True,
            )


def as_time(seconds: float) -> str:
    """Write a time as people say it: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
