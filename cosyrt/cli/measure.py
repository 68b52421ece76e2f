"""What a command measures and hears of the library while it speaks."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosyrt import Audio


class Watch:
    """Times of one run, in seconds; only making speech counts as work, not playing or writing it."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self.load_s = 0.0
        self.first_audio_s = 0.0
        self.work_s = 0.0
        self.audio_s = 0.0

    def model_is_loaded(self) -> None:
        """The model is there; from now on it is speech."""
        self.load_s = time.perf_counter() - self._begin

    def timed(self, speech: Generator[Audio]) -> Generator[Audio]:
        """The same speech, measured; closing it closes the other."""
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


class Warnings(logging.Handler):
    """The library's warnings of one run, such as speech that was cut."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(record.getMessage())


@contextmanager
def warnings() -> Iterator[list[str]]:
    """The warnings of what runs inside, as they come."""
    library, handler = logging.getLogger("cosyrt"), Warnings()
    library.addHandler(handler)
    try:
        yield handler.messages
    finally:
        library.removeHandler(handler)
