"""How one request for speech goes, for its headers, the log and the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cosyrt.audio import Audio
from cosyrt.engine.audio_stream import SpokenPiece


class Figures:
    """Times of a request, noted as its audio comes."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        route: str = "http",
        format: str = "",
        produce_id: str = "",
    ) -> None:
        self._clock, self._began = clock, clock()
        self.route, self.format = route, format  # http or websocket, and what the audio is sent as
        self.produce_id = produce_id  # of the label
        self._played_until = 0.0
        self.first_audio_s: float | None = None
        self.audio_s = 0.0
        self.took_s = 0.0
        self.pieces: Sequence[SpokenPiece] = ()  # of the text, that were spoken so far
        self.longest_gap_s = 0.0  # that a player which began with the first audio would have been silent

    def take(self, audio: Audio) -> None:
        """Note audio that has just been made."""
        now = self._clock()
        if self.first_audio_s is None:
            self.first_audio_s, self._played_until = now - self._began, now
        self.longest_gap_s = max(self.longest_gap_s, now - self._played_until)
        self._played_until = max(self._played_until, now) + audio.seconds
        self.audio_s += audio.seconds
        self.took_s = now - self._began

    def headers(self) -> dict[str, str]:
        """What is known when the headers go out: of a body in parts the first audio, of a whole one all."""
        first_ms = round((self.first_audio_s or 0.0) * 1000)
        return {"Server-Timing": f"first_audio;dur={first_ms}, speech;dur={round(self.took_s * 1000)}"}
