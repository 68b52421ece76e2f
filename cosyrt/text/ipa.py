"""English in the International Phonetic Alphabet → ARPAbet phones.

Taken in are the symbols of British and American dictionaries, of espeak, and the capitals that misaki writes
for diphthongs.
"""

from __future__ import annotations

import re
import unicodedata

_VOWELS = {
    "iː": "IY", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "eɪ": "EY", "e": "EH", "ɛ": "EH", "æ": "AE",
    "aɪ": "AY", "aʊ": "AW", "a": "AA", "ɑ": "AA", "ɒ": "AA", "ɔɪ": "OY", "ɔ": "AO", "oʊ": "OW",
    "əʊ": "OW", "o": "OW", "ʊ": "UH", "u": "UW", "ʉ": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ᵊ": "AH",
    "ɚ": "ER", "ɝ": "ER", "ɜːɹ": "ER", "ɜɹ": "ER", "ɜːr": "ER", "ɜr": "ER", "ɜ": "ER", "əɹ": "ER",
    "A": "EY", "I": "AY", "O": "OW", "Q": "OW", "W": "AW", "Y": "OY",
}  # fmt: skip
_CONSONANTS = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH",
    "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "tʃ": "CH", "ʧ": "CH", "dʒ": "JH", "ʤ": "JH",
    "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɫ": "L", "r": "R", "ɹ": "R", "ɾ": "D", "j": "Y",
    "w": "W", "ʍ": "W", "x": "K",
}  # fmt: skip
_SYLLABIC = re.compile("([lmn])\u0329")  # a consonant that is a syllable by itself: a short vowel before it
_SILENT = re.compile("[\u0361\u035c\u02b0\u0303\u0294.\\s‿-]")  # tie bars, breath, separators
_STRESS = {"ˈ": "1", "'": "1", "ˌ": "2", ",": "2"}
_SYMBOLS = sorted((*_VOWELS, *_CONSONANTS), key=len, reverse=True)
_TOKEN = re.compile(f"(?P<symbol>{'|'.join(map(re.escape, _SYMBOLS))})|(?P<stress>[ˈ'ˌ,])|ː")


def arpabet_of(ipa: str) -> tuple[str, ...]:
    """The phones of an English word, vowels with their stress; none where a symbol is no English sound."""
    ipa = _SYLLABIC.sub(r"ᵊ\1", _SILENT.sub("", unicodedata.normalize("NFD", ipa)))
    phones: list[str] = []
    stress, at = "0", 0
    while at < len(ipa):
        token = _TOKEN.match(ipa, at)
        if token is None:
            return ()
        at = token.end()
        if token["stress"]:
            stress = _STRESS[token["stress"]]
        elif vowel := _VOWELS.get(token["symbol"] or ""):
            phones.append(vowel + stress)
            stress = "0"
        elif token["symbol"]:
            phones.append(_CONSONANTS[token["symbol"]])
    return stressed(phones)


def stressed(phones: list[str]) -> tuple[str, ...]:
    """The phones of a word, with the stress on its first vowel where none has it."""
    if not any(phone.endswith("1") for phone in phones):
        first = next((at for at, phone in enumerate(phones) if phone[-1] in "02"), None)
        if first is not None:
            phones = [*phones[:first], phones[first][:-1] + "1", *phones[first + 1 :]]
    return tuple(phones)
