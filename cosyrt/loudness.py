"""How loud audio is, and audio made louder or softer: by decibels, or to a loudness (EBU R 128)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from cosyrt.audio import Audio
from cosyrt.errors import AudioError, UsageError

log = logging.getLogger(__name__)

GAIN_DB = (-60.0, 60.0)
LOUDNESS_LUFS = (-60.0, 0.0)
_PEAK = 10 ** (-1 / 20)  # 1 dB is left for codecs, which overshoot
_SHORTEST_S = 0.4  # one block of the measurement
_GATE_LUFS = -70.0  # nothing louder was found


def amplified(audio: Audio, gain_db: float) -> Audio:
    """The audio with another level; what goes beyond full scale is clipped when it is written.

    Raises:
        UsageError: a gain out of range.
    """
    if not GAIN_DB[0] <= gain_db <= GAIN_DB[1]:
        raise UsageError(f"a gain of {gain_db:g} dB is out of range; choose {GAIN_DB[0]:g} to {GAIN_DB[1]:g}")
    return Audio(audio.samples * np.float32(10 ** (gain_db / 20)), audio.rate)


def amplified_stream(chunks: Iterable[Audio], gain_db: float) -> Iterator[Audio]:
    """Chunks with another level; warns once of what will be clipped.

    Raises:
        UsageError: a gain out of range.
    """
    warned = False
    for chunk in chunks:
        louder = amplified(chunk, gain_db)
        if not warned and louder.samples.size and float(np.abs(louder.samples).max()) > 1:
            warned = True
            log.warning("a gain of %g dB is too much for this audio: its peaks are clipped", gain_db)
        yield louder


def at_loudness(audio: Audio, lufs: float) -> Audio:
    """The audio at an integrated loudness, or as near to it as its peaks allow, with a warning.

    Raises:
        UsageError: a loudness out of range.
        AudioError: it is too short or too quiet to be measured.
    """
    if not LOUDNESS_LUFS[0] <= lufs <= LOUDNESS_LUFS[1]:
        raise UsageError(
            f"a loudness of {lufs:g} LUFS is out of range; "
            f"choose {LOUDNESS_LUFS[0]:g} to {LOUDNESS_LUFS[1]:g}"
        )
    factor = 10 ** ((lufs - loudness_of(audio)) / 20)
    most = _PEAK / float(np.abs(audio.samples).max())
    if factor > most:
        reached = lufs - 20 * np.log10(factor / most)
        log.warning("the audio is made %.1f LUFS loud, not %g: louder it would be clipped", reached, lufs)
    return Audio(audio.samples * np.float32(min(factor, most)), audio.rate)


def loudness_of(audio: Audio) -> float:
    """Integrated loudness in LUFS, as EBU R 128 and ITU-R BS.1770 measure it.

    Raises:
        AudioError: the audio is too short or too quiet to be measured.
    """
    found = _measured(audio) if audio.seconds >= _SHORTEST_S else _GATE_LUFS
    if found <= _GATE_LUFS:
        raise AudioError(
            f"the loudness of {audio.seconds:.1f} s of audio at this level cannot be measured; use a gain"
        )
    return found


def _measured(audio: Audio) -> float:
    import av

    graph = av.filter.Graph()
    source = graph.add_abuffer(format="flt", sample_rate=audio.rate, layout="mono")
    meter = graph.add("ebur128", "metadata=1:dualmono=0")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    for start in range(0, len(audio.samples), audio.rate):
        frame = av.AudioFrame.from_ndarray(
            audio.samples[None, start : start + audio.rate], format="flt", layout="mono"
        )
        frame.sample_rate, frame.pts = audio.rate, start
        source.push(frame)
    source.push(None)
    return _last_loudness(sink)


def _last_loudness(sink: Any) -> float:
    """The loudness after the last block: the figure of each covers all before it."""
    import av

    found = _GATE_LUFS
    while True:
        try:
            frame = sink.pull()
        except (av.BlockingIOError, av.EOFError):
            return found
        found = float(frame.metadata.get("lavfi.r128.I", found))
