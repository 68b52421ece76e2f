"""Is the voice understood? At each stage, against the teacher that the built-in voice learned from.

    python -m benchmarks.intelligibility [--limit N] [--health 200] [--json FILE] [--model FOLDER]
    python -m benchmarks.intelligibility FILE ...   # NAME.txt beside NAME.wav has what is said

English: words that Whisper-base and pocketsphinx get wrong. Mandarin: syllables with their tones that
Whisper-base gets wrong, and the distance of the sound to the teacher's own. A sentence has as many errors as
units at most: what a recogniser invents is no measure. Needs `pip install 'cosyrt[judge,train]'`, flite and
espeak-ng with their Debian libraries; what is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks import health
from benchmarks.chain import (
    COPY,
    LANGUAGES,
    TEACHER,
    Bench,
    Spoken,
    add_options,
    print_unjudged,
    show_progress,
)
from benchmarks.distance import distance_db
from benchmarks.judges import Whisper, opened
from benchmarks.recogniser import Recogniser, interval, mistakes, words
from benchmarks.report import machine, table, write_json
from benchmarks.syllables import syllables
from cosyrt import Audio
from cosyrt.text.normalize import language_of

UNITS = {"en": words, "zh": syllables}


class Ear(Protocol):
    """A recogniser of one or more languages."""

    @property
    def name(self) -> str:
        """Name of the recogniser."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that the recogniser understands."""

    def heard(self, audio: Audio, language: str) -> list[str]:
        """Hear words, or syllables of Mandarin."""


class Sphinx:
    """pocketsphinx: it tells stages of one voice apart, but takes lively voices for wrong ones."""

    name, languages = "pocketsphinx", ("en",)

    def __init__(self) -> None:
        self._recogniser = Recogniser()

    def heard(self, audio: Audio, language: str) -> list[str]:
        """Hear words."""
        return self._recogniser.words(audio)


class WhisperBase:
    """Whisper-base, which hears what people hear."""

    name, languages = Whisper.name, ("en", "zh")

    def __init__(self) -> None:
        self._whisper = Whisper()

    def heard(self, audio: Audio, language: str) -> list[str]:
        """Hear words, or characters as their pinyin."""
        return UNITS[language](self._whisper.text(audio, language))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one recogniser heard of one sentence at one stage."""

    stage: str
    judge: str
    text: str
    said: list[str]
    heard: list[str]
    errors: int


def ears() -> tuple[list[Ear], list[str]]:
    """Open the recognisers that are installed, and say why the others are not there."""
    kinds: dict[str, Callable[[], Ear]] = {
        f"words as {kind.name} hears them": kind for kind in (WhisperBase, Sphinx)
    }
    return opened(kinds)


def listen(spoken: Spoken, language: str, judges: Iterable[Ear]) -> list[Heard]:
    """Let every recogniser of the language hear one sentence."""
    said = UNITS[language](spoken.text)
    found = []
    for judge in judges:
        if language in judge.languages:
            heard = judge.heard(spoken.audio, language)
            errors = mistakes(said, heard)
            found.append(
                Heard(
                    stage=spoken.stage,
                    judge=judge.name,
                    text=spoken.text,
                    said=said,
                    heard=heard,
                    errors=errors,
                )
            )
    return found


def error_rows(heard: Sequence[Heard]) -> list[dict[str, Any]]:
    """Give error rates and points above the teacher by judge and stage, with their intervals."""
    groups: dict[tuple[str, str], list[Heard]] = {}
    for item in sorted(heard, key=lambda item: item.judge):
        groups.setdefault((item.judge, item.stage), []).append(item)
    return [_error_row(items, groups.get((judge, TEACHER))) for (judge, _), items in groups.items()]


def _error_row(items: list[Heard], teacher: list[Heard] | None) -> dict[str, Any]:
    errors, lengths = [item.errors for item in items], [len(item.said) for item in items]
    low, high = interval(errors, lengths)
    row: dict[str, Any] = {
        "judge": items[0].judge,
        "stage": items[0].stage,
        "units": sum(lengths),
        "errors": sum(errors),
        "wrong %": 100 * sum(errors) / sum(lengths),
        "low": 100 * low,
        "high": 100 * high,
    }
    return row | _above(errors, [item.errors for item in teacher], lengths) if teacher else row


def _above(errors: list[int], teachers: list[int], lengths: list[int]) -> dict[str, float]:
    """Give the points above the teacher on the same sentences."""
    more = [ours - theirs for ours, theirs in zip(errors, teachers, strict=True)]
    low, high = interval(more, lengths)
    return {
        "points above": 100 * sum(more) / sum(lengths),
        "points low": 100 * low,
        "points high": 100 * high,
    }


def distance_rows(spoken: Sequence[tuple[str, float, float]]) -> list[dict[str, Any]]:
    """Give distances and durations against the teacher by stage, from (stage, dB, duration)."""
    measured: dict[str, list[tuple[float, float]]] = {}
    for stage, decibels, duration in spoken:
        measured.setdefault(stage, []).append((decibels, duration))
    copy_db = float(np.mean(measured[COPY], axis=0)[0]) if COPY in measured else 0.0
    return [_distance_row(stage, np.asarray(figures), copy_db) for stage, figures in measured.items()]


def _distance_row(
    stage: str,
    figures: NDArray[np.float64],  # [sentences, 2]: distance in dB, duration against the teacher's
    copy_db: float,
) -> dict[str, Any]:
    decibels, duration = figures.mean(0).tolist()
    return {
        "stage": stage,
        "sentences": len(figures),
        "distance_db": decibels,
        "worst_db": float(figures[:, 0].max()),
        "duration": duration,
        "to vocoder copy": decibels / copy_db if copy_db else None,
    }


def of_model(bench: Bench, judges: Sequence[Ear]) -> dict[str, list[dict[str, Any]]]:
    """Judge a model: all tables by their titles, and what was heard under `heard`."""
    tables: dict[str, list[dict[str, Any]]] = {}
    everything: list[Heard] = []
    for language, name in LANGUAGES.items():
        heard, distances = [], []
        for spoken in bench.spoken(language):
            heard += listen(spoken, language, judges)
            if language == "zh" and spoken.teacher and spoken.stage != TEACHER:
                seconds = spoken.audio.seconds / spoken.teacher.seconds
                distances.append((spoken.stage, distance_db(spoken.audio, spoken.teacher), seconds))
        tables[f"{name}, what is heard wrong and its 95 % interval"] = error_rows(heard)
        if distances:
            title = f"{name}, mel-cepstral distance to the teacher and duration against it"
            tables[title] = distance_rows(distances)
        everything += heard
    return tables | {"heard": [asdict(item) for item in everything]}


def of_files(
    files: Iterable[Path], judges: Sequence[Ear], cannot: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Judge files with a text beside them; the others go to `cannot`, with the reason."""
    heard: list[Heard] = []
    for file in files:
        beside = file.with_suffix(".txt")
        text = beside.read_text("utf-8").strip() if beside.exists() else ""
        language = language_of(text)
        if language in UNITS:
            heard += listen(Spoken(stage=file.name, text=text, audio=Audio.read(file)), language, judges)
        else:
            cannot.append(f"{file} ({beside.name} beside it has to say in English or Mandarin what is said)")
    return {"Files, what is heard wrong": error_rows(heard), "heard": [asdict(item) for item in heard]}


def unhealthy(bench: Bench, count: int) -> list[dict[str, Any]]:
    """List the texts that were not spoken healthily, and what was wrong."""
    failing = []
    for number, text in enumerate(health.sentences(bench.lines["en"], bench.lines["zh"], count)):
        audio = bench.chain(text).text_to_audio(text)
        bench.keep(audio, f"health{number:03}")
        if wrong := list(health.complaints(audio, text)):
            failing.append({"number": number, "text": text, "wrong": "; ".join(wrong)})
        show_progress(f"health {number + 1}/{count}, {len(failing)} failing")
    return failing


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser)
    parser.add_argument("--health", type=int, default=0, metavar="N", help="check N texts for faults as well")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, write; 1 if a text was not spoken healthily."""
    options = options_of()
    judges, cannot = ears()
    bench = None if options.files else Bench(options)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    tables = of_model(bench, judges) if bench else of_files(options.files, judges, cannot)
    heard = tables.pop("heard")
    for title, rows in tables.items():
        print(f"\n{title}\n{table(rows)}")
    failing = unhealthy(bench, options.health) if bench else []
    if bench and options.health:
        healthy = f"{options.health - len(failing)} of {options.health}"
        print(f"\n{healthy} texts are spoken healthily\n{table(failing)}")
    cannot += bench.cannot if bench else []
    print_unjudged(cannot)
    if options.json:
        checked = {"texts": options.health, "failing": failing}
        write_json(options.json, tables=tables, heard=heard, health=checked, unjudged=cannot)
    return int(bool(failing))


if __name__ == "__main__":
    sys.exit(main())
