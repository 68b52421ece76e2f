"""Pronunciation units → the phoneme letters that Kokoro reads, and which unit each letter belongs to.

The alphabet is that of misaki (Apache-2.0): one letter a diphthong in English, tones as arrows in Mandarin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from cosyrt.text.english import English
from cosyrt.text.pronounce import BOUNDARY, MARKS

Letters = tuple[str, int]  # some letters, and the number of their unit

CONSONANTS = {
    "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l",
    "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v",
    "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
VOWELS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A",
    "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u",
}  # fmt: skip
REDUCED = {"AH": "ə", "ER": "əɹ"}  # without stress
STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}
ARTICLE = "ɐ"
FLAP = "ɾ"  # American t between a vowel and one without stress
# Said without stress inside a sentence. Left out: those that sound like a word with stress (our, would, buy).
UNSTRESSED = """
    and of to in is was it at for from with that as are he she his her their my your but or has had have be
    its you if them him were been can will could than this these there me us the a an
""".split()

INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ",
    "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ",
    "s": "s",
}  # fmt: skip
# `0` stands where the tone goes: after the vowel that carries it.
FINALS = {
    "a": "a0", "o": "wo0", "e": "ɤ0", "ai": "ai0", "ei": "ei0", "ao": "au0", "ou": "ou0", "an": "a0n",
    "en": "ə0n", "ang": "a0ŋ", "eng": "ə0ŋ", "er": "ɚ0", "ong": "ʊ0ŋ", "i": "i0", "ia": "ja0", "ie": "je0",
    "iai": "jai0", "iao": "jau0", "iou": "jou0", "ian": "jɛ0n", "in": "i0n", "iang": "ja0ŋ", "ing": "i0ŋ",
    "io": "jɔ0", "iong": "jʊ0ŋ", "u": "u0", "ua": "wa0", "uo": "wo0", "uai": "wai0", "uei": "wei0",
    "uan": "wa0n", "uen": "wə0n", "uang": "wa0ŋ", "ueng": "wə0ŋ", "v": "y0", "ve": "ɥe0", "van": "ɥɛ0n",
    "vn": "y0n",
}  # fmt: skip
SYLLABIC = "ɨ0"  # the i of zhi, chi, shi, ri, zi, ci, si
ALONE = {"o": "ɔ0"}  # without an initial
TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}


def letters(units: Sequence[str]) -> list[Letters]:
    """Write every unit in letters, with a blank for a boundary and after a mark."""
    found: list[Letters] = []
    for first, word in _words(units):
        if word[0] == BOUNDARY:
            found.append((" ", first))
        elif word[0] in MARKS:
            found.append((word[0] + " ", first))
        elif word[0].startswith("z:"):
            found += _mandarin(word, first)
        else:
            found += _english(tuple(word), first)
    return found


def _words(units: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Group units into words with the number of their first unit; marks and boundaries stand alone."""
    word: list[str] = []
    for number, unit in enumerate(units):
        apart = unit == BOUNDARY or unit in MARKS
        if word and (apart or word[0].startswith("z:") != unit.startswith("z:")):
            yield number - len(word), word
            word = []
        if apart:
            yield number, [unit]
        else:
            word.append(unit)
    if word:
        yield len(units) - len(word), word


def _english(word: tuple[str, ...], first: int) -> list[Letters]:
    if word == ("AH0",):
        return [(ARTICLE, first)]
    stressed = word not in _unstressed()
    return [(_phone(word, at, stressed), first + at) for at in range(len(word))]


def _phone(word: tuple[str, ...], at: int, stressed: bool) -> str:
    phone = word[at]
    if phone.startswith("L:"):
        raise KeyError(f"{phone} is spelled, not pronounced")
    if phone == "T" and 0 < at < len(word) - 1 and _is_vowel(word[at - 1]) and word[at + 1][-1] == "0":
        return FLAP
    if not _is_vowel(phone):
        return CONSONANTS[phone]
    vowel, stress = phone[:-1], phone[-1]
    if stress == "0" and vowel in REDUCED:
        return REDUCED[vowel]
    return (STRESS[stress] if stressed else "") + VOWELS[vowel]


def _is_vowel(phone: str) -> bool:
    return phone[-1].isdigit()


@cache
def _unstressed() -> frozenset[tuple[str, ...]]:
    english = English()
    return frozenset(tuple(phones) for word in UNSTRESSED for phones in english.read(word))


def _mandarin(word: Sequence[str], first: int) -> list[Letters]:
    found, initial = [], ""
    for number, unit in enumerate(word, start=first):
        sound = unit.removeprefix("z:")
        if sound[-1].isdigit():
            found.append((_final(initial, sound[:-1]).replace("0", TONES[sound[-1]]), number))
            initial = ""
        else:
            found.append((INITIALS[sound], number))
            initial = sound
    return found


def _final(initial: str, final: str) -> str:
    if not initial:
        return ALONE.get(final, FINALS[final])
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return SYLLABIC
    return FINALS[final]
