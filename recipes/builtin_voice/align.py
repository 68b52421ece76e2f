"""When each pronunciation unit ends, from the phones that a teacher says it said and when they ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cosyrt.text.pronounce import BOUNDARY, MARKS
from recipes.builtin_voice.teacher import SILENCE, Speech

_VOWELS = frozenset("AA AE AH AO AW AX AY EH ER EY IH IY OW OY UH UW".split())
_LETTER_SOUNDS = {
    "a": "AE AH EY AA AO EH", "b": "B", "c": "K S CH SH", "d": "D", "e": "EH IY AH IH", "f": "F",
    "g": "G JH ZH", "h": "HH", "i": "IH AY IY AH", "j": "JH Y", "k": "K", "l": "L", "m": "M", "n": "N NG",
    "o": "OW AA AO AH UW OY AW",
    "p": "P F", "q": "K", "r": "R ER", "s": "S Z SH ZH", "t": "T TH DH CH SH", "u": "AH UW UH Y", "v": "V",
    "w": "W", "x": "K Z", "y": "IY AY Y IH", "z": "Z",
}  # fmt: skip
_INSERT = _DELETE = 1.0


def unit_ends(units: Sequence[str], speech: Speech) -> tuple[list[float], float]:
    """End of every unit in seconds, never falling, and how badly the phones fit (cost a sound; 0 fits).

    Sounds follow the phones by edit distance (English) or by syllable (Mandarin). A unit without a phone of
    its own ends where the one before it ends; a phone without a unit belongs to the unit before it, or to
    the first one. Marks end with the silence after the sound, boundaries with the sound.
    """
    sounds = [unit for unit in units if unit != BOUNDARY and unit not in MARKS]
    heard = [index for index, phone in enumerate(speech.phones) if phone != SILENCE]
    if sounds and sounds[0].startswith("z:"):
        owners, cost = _by_syllable(sounds, [speech.syllables[index] for index in heard])
    else:
        owners, cost = _by_distance(sounds, [speech.phones[index].upper() for index in heard])
    sound_ends = _sound_ends(len(sounds), owners, [speech.phone_end_s[index] for index in heard])
    return _with_marks(units, sound_ends, speech), cost / max(1, len(sounds))


def _by_syllable(sounds: Sequence[str], syllables: Sequence[int]) -> tuple[list[int], float]:
    """Which sound each phone belongs to: the first phone of a syllable is its initial, where there is one."""
    spans: list[tuple[int, int]] = []  # first and last sound of each syllable
    first = 0
    for index, sound in enumerate(sounds):
        if sound[-1].isdigit():
            spans.append((first, index))
            first = index + 1
    if sorted(set(syllables)) != list(range(len(spans))):
        return [0] * len(syllables), float("inf")
    starts = [n == 0 or syllables[n - 1] != syllable for n, syllable in enumerate(syllables)]
    return [spans[s][0] if start else spans[s][1] for s, start in zip(syllables, starts, strict=True)], 0.0


def _by_distance(sounds: Sequence[str], phones: Sequence[str]) -> tuple[list[int], float]:
    """Which sound each phone belongs to on the cheapest path, and the cost of that path."""
    costs = np.array([[_difference(sound, phone) for phone in phones] for sound in sounds], np.float64)
    costs = costs.reshape(len(sounds), len(phones))
    total = _totals(costs)
    owners = [0] * len(phones)
    sound, phone = len(sounds), len(phones)
    while phone:
        here = total[sound, phone]
        if sound and here == total[sound - 1, phone - 1] + costs[sound - 1, phone - 1]:
            sound, phone = sound - 1, phone - 1
            owners[phone] = sound
        elif sound and here == total[sound - 1, phone] + _DELETE:
            sound -= 1
        else:
            phone -= 1
            owners[phone] = max(sound - 1, 0)
    return owners, float(total[-1, -1])


def _totals(
    costs: NDArray[np.float64],  # [sounds, phones]
) -> NDArray[np.float64]:
    rows, columns = costs.shape
    total = np.zeros((rows + 1, columns + 1))
    total[:, 0] = np.arange(rows + 1) * _DELETE
    total[0] = np.arange(columns + 1) * _INSERT
    plain = [list(map(float, row)) for row in total]  # element access in lists is several times faster
    for row, weights in enumerate(costs.tolist(), start=1):
        above, here = plain[row - 1], plain[row]
        for column, weight in enumerate(weights, start=1):
            skip = min(above[column] + _DELETE, here[column - 1] + _INSERT)
            here[column] = min(above[column - 1] + weight, skip)
    return np.array(plain)


def _difference(sound: str, phone: str) -> float:
    """Cost of `phone` where the unit is `sound`; a vowel for a consonant costs more than skipping both."""
    if sound.startswith("L:"):
        letter = sound[2:]
        if phone in _LETTER_SOUNDS[letter].split():
            return 0.2
        return 1.2 if (letter in "aeiouy") == (phone in _VOWELS) else 2.2
    ours, theirs = sound.rstrip("012"), "AH" if phone == "AX" else phone
    if ours == theirs:
        return 0.0
    if (ours in _VOWELS) != (theirs in _VOWELS):
        return 2.5
    return 0.5 if ours in _VOWELS else 1.0


def _sound_ends(count: int, owners: Sequence[int], phone_ends: Sequence[float]) -> list[float]:
    ends = [0.0] * count
    for owner, end in zip(owners, phone_ends, strict=True):
        ends[owner] = max(ends[owner], end)
    return np.maximum.accumulate(ends).tolist() if ends else []


def _with_marks(units: Sequence[str], sound_ends: Sequence[float], speech: Speech) -> list[float]:
    """Ends of all units: sounds as given, the rest from the silences."""
    timed = zip(speech.phones, [0.0, *speech.phone_end_s], speech.phone_end_s, strict=False)
    silences = [(start, end) for phone, start, end in timed if phone == SILENCE]
    remaining, ends, now = iter(sound_ends), [], 0.0
    for unit in units:
        if unit in MARKS:
            now = max([now, *(end for start, end in silences if abs(start - now) < 1e-3)])
        elif unit != BOUNDARY:
            now = next(remaining)
        ends.append(now)
    ends[-1] = speech.phone_end_s[-1]
    return ends
