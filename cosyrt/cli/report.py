"""One run of a command that makes sound: the model, where the sound goes, the line about it at the end."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

import click

from cosyrt.cli.measure import Watch, warnings
from cosyrt.cli.options import Model, Telling

if TYPE_CHECKING:
    from cosyrt import Audio


class Run:
    """Opens the target before the model is loaded; tells what was done when nothing went wrong."""

    def __init__(self, output: str | None, model: Model, telling: Telling, *, piecewise: bool) -> None:
        from cosyrt.cli.sinks import open_target

        self.telling = telling
        self.target = open_target(output, piecewise=piecewise)
        self.watch = Watch()
        self.tts = model.load()
        self.watch.model_is_loaded()
        self.spoken_by: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Run:
        self.warnings = self._stack.enter_context(warnings())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is None and self.telling.result:
            click.echo(self._as_json() if self.telling.json else self._as_line(), err=self.target.is_stdout)

    def deliver(self, chunks: Generator[Audio]) -> None:
        """Give every chunk to the target as it comes."""
        from cosyrt.cli.sinks import deliver

        deliver(self.watch.timed(chunks), self.target.sink)

    def _as_line(self) -> str:
        facts = (
            ", ".join(self.spoken_by),
            f"{self.watch.audio_s:.1f} s of audio",
            f"first audio {1000 * self.watch.first_audio_s:.0f} ms",
            f"RTF {self.watch.rtf:.2f}",
            self.tts.device,
            self.target.described,
        )
        return " · ".join(facts)

    def _as_json(self) -> str:
        facts = {
            "voice": ", ".join(self.spoken_by),
            "audio_s": round(self.watch.audio_s, 3),
            "first_audio_ms": round(1000 * self.watch.first_audio_s, 1),
            "rtf": round(self.watch.rtf, 4),
            "work_s": round(self.watch.work_s, 3),
            "load_s": round(self.watch.load_s, 3),
            "device": self.tts.device,
            "family": self.tts.family,
            "sample_hz": self.tts.sample_rate,
            "file": self.target.file,
            "player": self.target.player,
            "warnings": self.warnings,
        }
        return json.dumps(facts, ensure_ascii=False)
