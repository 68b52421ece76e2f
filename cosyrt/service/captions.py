"""Captions of speech: when each piece of a text is spoken, by the clock of the model.

Times are those of the samples, so that they are exact whatever the voice and the speed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.text.captions import Caption, srt, vtt


def file_of(pieces: Sequence[SpokenPiece], format: str) -> bytes:
    """The captions of the pieces that were spoken."""
    if format == "json":
        return as_json(pieces).encode()
    captions = [Caption(begin_s, end_s, text) for text, begin_s, end_s in pieces]
    return {"srt": srt, "vtt": vtt}[format](captions, shown=str.strip).encode()


def as_json(pieces: Sequence[SpokenPiece]) -> str:
    """One object, in the shape of OpenAI's transcriptions."""
    segments = [
        {"id": number, "start": round(begin_s, 3), "end": round(end_s, 3), "text": text.strip()}
        for number, (text, begin_s, end_s) in enumerate(pieces)
    ]
    duration = round(pieces[-1].end_s, 3) if pieces else 0.0
    return json.dumps({"duration": duration, "segments": segments}, ensure_ascii=False)
