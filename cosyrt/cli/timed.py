"""Captions spoken on time: silence up to each, and faster speech where the next one begins too soon."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence

import numpy as np

from cosyrt.audio import Audio
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.text.captions import Caption

log = logging.getLogger(__name__)

MOST_FASTER = 1.5  # faster than that nobody follows
_SPARE = 1.03  # the length of speech does not follow its speed exactly

Say = Callable[[Caption, float], Audio]  # the words of a caption, so many times as fast as was asked


def speak_on_time(
    captions: Sequence[Caption], say: Say, rate: int
) -> Generator[tuple[Audio, SpokenPiece], None, None]:
    """Speak captions one after another: the audio of each, with the silence before it, and when it is heard.

    One that cannot be spoken before the next begins makes that one late, with a warning at the end.
    """
    done_s, late, most_late_s = 0.0, 0, 0.0
    for number, caption in enumerate(captions):
        begin_s = max(done_s, caption.begin_s)
        following = captions[number + 1].begin_s if number + 1 < len(captions) else None
        audio = _fitting(caption, say, None if following is None else following - begin_s)
        silence = np.zeros(round((begin_s - done_s) * rate), np.float32)
        done_s = begin_s + audio.seconds
        if begin_s - caption.begin_s > 1 / rate:
            late, most_late_s = late + 1, max(most_late_s, begin_s - caption.begin_s)
        yield (
            Audio(np.concatenate((silence, audio.samples)), rate),
            SpokenPiece(caption.text, begin_s, done_s),
        )
    if late:
        log.warning(
            "%d of %d captions are spoken late, by up to %.1f s: the ones before them are too long",
            late,
            len(captions),
            most_late_s,
        )


def _fitting(caption: Caption, say: Say, room_s: float | None) -> Audio:
    """Speech of a caption that ends before the next begins, if it can be spoken so fast."""
    audio = say(caption, 1.0)
    if room_s is None or audio.seconds <= room_s:
        return audio
    faster = MOST_FASTER if room_s <= 0 else min(MOST_FASTER, audio.seconds / room_s * _SPARE)
    return say(caption, faster)
