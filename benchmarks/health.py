"""What can be wrong with synthetic speech without anyone listening: clicks, level, silence, length."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosyrt.audio import Audio
from cosyrt.text.pronounce import ArpabetPinyin

Samples = NDArray[np.float32]
MARKS = (",", ".", "?", "!")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of healthy speech; both teachers stay inside on every text, by a fair margin."""

    click_ratio: float = 4.0  # a bend of the wave against the sharpest within 15 ms on either side
    click_floor: float = 0.025  # espeak-ng's own affricates begin with a step of 0.018
    quiet_dbfs: float = -36.0
    loud_dbfs: float = -12.0
    silence_dbfs: float = -45.0
    longest_pause_s: float = 1.2
    longest_edge_s: float = 0.8
    shortest: float = 0.5  # duration against what the sounds of the text take on average
    longest: float = 2.0


LIMITS = Limits()
EDGES_S = 0.35  # silence before and after
PAUSE_S = 0.2  # at a mark inside a sentence or between two
SOUND_S = {"en": 0.080, "zh": 0.134}  # a phone; an initial or a final: what both teachers take on average


def expected_s(text: str) -> float:
    """Duration that a text should have, from its sounds."""
    units = ArpabetPinyin()(text)
    marks = sum(unit in MARKS for unit in units)
    chinese = sum(unit.startswith("z:") for unit in units)
    english = sum(unit not in MARKS and unit != "|" for unit in units) - chinese
    return EDGES_S + PAUSE_S * (marks - 1) + SOUND_S["zh"] * chinese + SOUND_S["en"] * english


def complaints(audio: Audio, text: str, limits: Limits = LIMITS) -> Iterator[str]:
    """Say everything that is wrong with a recording; nothing for healthy speech."""
    samples = audio.samples
    about_s = expected_s(text)
    if not limits.shortest <= audio.seconds / about_s <= limits.longest:
        yield f"lasts {audio.seconds:.2f} s where about {about_s:.2f} s are expected"
    if (clipped := int((np.abs(samples) >= 0.999).sum())) > 2:
        yield f"{clipped} samples are clipped"
    yield from (f"click at {at / audio.rate:.3f} s" for at in clicks(audio, limits))
    levels = levels_dbfs(audio)
    spoken = np.flatnonzero(levels > limits.silence_dbfs)
    if not len(spoken):
        yield "nothing is heard"
        return
    loudness = 10 * np.log10(np.mean(10 ** (levels[spoken] / 10)))
    if not limits.quiet_dbfs <= loudness <= limits.loud_dbfs:
        yield f"level {loudness:.0f} dBFS"
    yield from _silences(spoken, len(levels), limits)


def _silences(spoken: NDArray[np.int64], count: int, limits: Limits) -> Iterator[str]:
    lead_s, tail_s = spoken[0] / 100, (count - 1 - spoken[-1]) / 100
    if tail_s < 0.02:
        yield "does not end in silence"
    if max(lead_s, tail_s) > limits.longest_edge_s:
        yield f"silent for {lead_s:.2f} s before and {tail_s:.2f} s after the speech"
    if (pause_s := np.diff(spoken).max(initial=0) / 100) > limits.longest_pause_s:
        yield f"pauses for {pause_s:.2f} s"


def levels_dbfs(audio: Audio) -> NDArray[np.float64]:
    """RMS level of each 10 ms."""
    hop = audio.rate // 100
    blocks = audio.samples[: len(audio.samples) // hop * hop].reshape(-1, hop).astype(np.float64)
    return 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-12)


def bend_ratios(audio: Audio) -> tuple[Samples, Samples]:
    """|second difference| of each sample, and how far it stands out from the 15 ms on either side of it.

    A click is a few samples. A glottal pulse bends the wave as sharply, but the pulses next to it do so too:
    hence the comparison with the sharpest bend around, within more than one period of a low voice.
    """
    bend = np.abs(np.diff(audio.samples, n=2))
    near, far = audio.rate // 2_000, audio.rate * 15 // 1_000
    padded = np.pad(bend, far)
    sharpest = np.lib.stride_tricks.sliding_window_view(padded, far - near).max(axis=1)
    around = np.maximum(sharpest[: len(bend)], sharpest[far + near + 1 :][: len(bend)])
    return bend, bend / (around + 1e-4)


def clicks(audio: Audio, limits: Limits) -> list[int]:
    """Sample numbers of clicks, one each 10 ms at most."""
    bend, ratio = bend_ratios(audio)
    found = np.flatnonzero((bend > limits.click_floor) & (ratio > limits.click_ratio))
    return [
        int(at) for index, at in enumerate(found) if not index or at - found[index - 1] > audio.rate // 100
    ]


def sentences(english: list[str], chinese: list[str], count: int) -> list[str]:
    """Texts of both languages: a third as they are, a third openings, a third two or three together."""
    choose = random.Random(0)
    kinds = (_whole, _opening, _several)
    return [kinds[index // 2 % len(kinds)](choose, (english, chinese)[index % 2]) for index in range(count)]


def _whole(choose: random.Random, lines: list[str]) -> str:
    return choose.choice(lines)


def _opening(choose: random.Random, lines: list[str]) -> str:
    line = choose.choice(lines)
    if line.isascii():
        return " ".join(line.split()[: choose.randint(1, 4)]).rstrip(".?!,") + "."
    return line[: choose.randint(1, 5)].rstrip("。？！，") + "。"


def _several(choose: random.Random, lines: list[str]) -> str:
    return (" " if lines[0].isascii() else "").join(choose.sample(lines, choose.randint(2, 3)))
