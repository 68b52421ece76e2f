"""One run of a command that makes sound: the model, where the sound goes, the line about it at the end."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

import click

from cosyrt.cli.label import LABELLED, LabelOptions
from cosyrt.cli.options import PLAIN_SOUND, ModelOptions, OutputOptions, SoundOptions
from cosyrt.cli.output import Written, deliver, open_target

if TYPE_CHECKING:
    from cosyrt import Audio


class SpeechRun:
    """Opens the target before the model is loaded; reports what was made unless something went wrong."""

    def __init__(
        self,
        output: str | None,
        model: ModelOptions,
        printing: OutputOptions,
        labelling: LabelOptions = LABELLED,
        sound: SoundOptions = PLAIN_SOUND,
        *,
        piecewise: bool,
    ) -> None:
        self.printing, self._sound = printing, sound
        written = Written(format=sound.format, rate=sound.rate, label=labelling.label())
        self.target = open_target(output, written, piecewise=piecewise and sound.loudness is None)
        self.times = RunTimes()
        self.tts = model.load()
        self.times.model_is_loaded()
        self.voice_names: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> SpeechRun:
        self.warnings = self._stack.enter_context(collected_warnings())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is None and self.printing.result:
            click.echo(self._as_json() if self.printing.json else self._as_line(), err=self.target.is_stdout)

    def deliver(self, chunks: Generator[Audio]) -> None:
        """Give every chunk to the target as it comes."""
        deliver(self._sound.levelled(self.times.measured(chunks)), self.target.sink)

    def _as_line(self) -> str:
        facts = (
            ", ".join(self.voice_names),
            f"{self.times.audio_s:.1f} s of audio",
            f"first audio {1000 * self.times.first_audio_s:.0f} ms",
            f"RTF {self.times.rtf:.2f}",
            self.tts.device,
            self.target.described,
        )
        return " · ".join(facts)

    def _as_json(self) -> str:
        facts = {
            "voice": ", ".join(self.voice_names),
            "audio_s": round(self.times.audio_s, 3),
            "first_audio_ms": round(1000 * self.times.first_audio_s, 1),
            "rtf": round(self.times.rtf, 4),
            "work_s": round(self.times.work_s, 3),
            "load_s": round(self.times.load_s, 3),
            "device": self.tts.device,
            "family": self.tts.family,
            "sample_hz": self.tts.sample_rate,
            "file": self.target.file,
            "player": self.target.player,
            "warnings": self.warnings,
        }
        return json.dumps(facts, ensure_ascii=False)


class RunTimes:
    """Times of one run, in seconds; only making speech counts as work, not playing or writing it."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self.load_s = 0.0
        self.first_audio_s = 0.0
        self.work_s = 0.0
        self.audio_s = 0.0

    def model_is_loaded(self) -> None:
        """Note how long loading the model took."""
        self.load_s = time.perf_counter() - self._begin

    def measured(self, speech: Generator[Audio]) -> Generator[Audio]:
        """Pass the chunks on and add up how long each took; closing this closes `speech`."""
        try:
            begin = time.perf_counter()
            for audio in speech:
                self.work_s += time.perf_counter() - begin
                self.first_audio_s = self.first_audio_s or self.work_s
                self.audio_s += audio.seconds
                yield audio
                begin = time.perf_counter()
            self.work_s += time.perf_counter() - begin
        finally:
            speech.close()

    @property
    def rtf(self) -> float:
        """Real-time factor: seconds of work for one second of audio."""
        return self.work_s / self.audio_s


class WarningCollector(logging.Handler):
    """Keeps the library's warnings of one run, such as speech that was cut."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(record.getMessage())


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the warnings of what runs inside, as they come."""
    library, handler = logging.getLogger("cosyrt"), WarningCollector()
    library.addHandler(handler)
    try:
        yield handler.messages
    finally:
        library.removeHandler(handler)
