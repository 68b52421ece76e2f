"""Captions of speech: when each piece of a text is spoken, by the clock of the model.

Times are those of the samples, so that they are exact whatever the voice and the speed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from cosyrt.engine.audio_stream import SpokenPiece


def file_of(pieces: Sequence[SpokenPiece], format: str) -> bytes:
    """The captions of the pieces that were spoken."""
    return {"srt": as_srt, "vtt": as_vtt, "json": as_json}[format](pieces).encode()


def as_srt(pieces: Sequence[SpokenPiece]) -> str:
    """SubRip: numbered, with a comma before the thousandths."""
    return "".join(
        f"{number}\n{_clock(begin_s, ',')} --> {_clock(end_s, ',')}\n{text.strip()}\n\n"
        for number, (text, begin_s, end_s) in enumerate(pieces, 1)
    )


def as_vtt(pieces: Sequence[SpokenPiece]) -> str:
    """WebVTT, as browsers read it."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(begin_s, '.')} --> {_clock(end_s, '.')}\n{_escaped(text.strip())}\n\n"
        for text, begin_s, end_s in pieces
    )


def as_json(pieces: Sequence[SpokenPiece]) -> str:
    """One object, in the shape of OpenAI's transcriptions."""
    segments = [
        {"id": number, "start": round(begin_s, 3), "end": round(end_s, 3), "text": text.strip()}
        for number, (text, begin_s, end_s) in enumerate(pieces)
    ]
    duration = round(pieces[-1].end_s, 3) if pieces else 0.0
    return json.dumps({"duration": duration, "segments": segments}, ensure_ascii=False)


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
