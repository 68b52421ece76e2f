"""Sounds that a text gives for a word, in ARPAbet, pinyin or IPA → sound tags: `[HH][AH0]`, `[h][ǎo]`.

The tags are those that CosyVoice 3 was taught; the built-in voice reads them too.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cosyrt.text import mandarin
from cosyrt.text.english import PHONES
from cosyrt.text.ipa import arpabet_of, stressed
from cosyrt.text.special_tokens import SPECIAL_TOKENS, special_tokens

SOUND_TAGS = frozenset(special_tokens(sound_tags=True)) - set(SPECIAL_TOKENS)
A_SOUND_TAG = "[ǎo]"  # a model that knows this one knows them all
_VOWEL_TAG = re.compile("\\[(?:[A-Z]{2}[012]|[a-z]*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][a-z]*)\\]")
TAG_RUN = re.compile(r"(?:\[/?[A-Za-zÀ-ǜ]{1,5}[012]?\])+")
_TAG = re.compile(r"\[([^\[\]]+)\]")

_VOWELS = frozenset(phone[:-1] for phone in PHONES if phone[-1].isdecimal())
_CONSONANTS = frozenset(phone for phone in PHONES if phone not in _VOWELS and not phone[-1].isdecimal())
_TONE_MARKS = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_TONE_OF = {tone: mark for mark, tone in _TONE_MARKS.items()}
_MARKED = re.compile("[\u0304\u0301\u030c\u0300]")
_INITIAL = re.compile("(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?")
_HAS_VOWEL = re.compile("[aeiouü]")
_WITH_DIGIT = re.compile("[a-zü]+[0-5]")
_WITH_DIGITS = re.compile("(?:[a-zü]+[0-5])+")
_LONGEST_SYLLABLE = len("zhuang1")
# Symbols of the phonetic alphabet that stand in no address; a link may end in `/about/`.
_IPA_SIGN = re.compile("[ˈˌːɪɛæɑɒɔʊʌəɚɝɜɐᵊᵻɨʉθðʃʒʧʤŋɫɹɾʍɡ]")


@dataclass(frozen=True, slots=True)
class Sounds:
    """How a word is said: English phones with stress, or Mandarin syllables with tone digits."""

    kind: Literal["arpabet", "pinyin"]
    parts: tuple[str, ...]

    def tags(self) -> str:
        """The sounds as tags that stand in a text."""
        if self.kind == "arpabet":
            return "".join(f"[{phone}]" for phone in self.parts)
        return "".join(map(_syllable_tags, self.parts))


def sounds_of(written: str) -> Sounds | None:
    """Read sounds in ARPAbet (`HH AH0 L OW1`), pinyin (`chong2 qing4`, `chóngqìng`) or IPA (`həˈloʊ`).

    None where it is none of them.
    """
    written = written.strip()
    if phones := _arpabet(written):
        return Sounds("arpabet", phones)
    if syllables := _pinyin(written):
        return Sounds("pinyin", syllables)
    if _IPA_SIGN.search(written) and (phones := arpabet_of(written)):
        return Sounds("arpabet", phones)
    return None


def is_sound_run(run: str) -> bool:
    """Whether a run of tags is of sounds, with a vowel among them: `[1]` and `[b]` may mean other things."""
    return _VOWEL_TAG.search(run) is not None and all(f"[{tag}]" in SOUND_TAGS for tag in _TAG.findall(run))


def units_of_tags(run: str) -> list[str]:
    """Pronunciation units of a run of sound tags, as the built-in voice reads them."""
    units: list[str] = []
    initial = ""
    for tag in _TAG.findall(run):
        if tag[0].isupper():
            units.append(tag + "0" if tag in _VOWELS else tag)
        elif _INITIAL.fullmatch(tag):
            initial = tag
        else:
            units += mandarin.syllable_units(initial + _with_digit(tag))
            initial = ""
    return units


def homophones(sounds: Sounds) -> str:
    """Hanzi that are read so, for a model without sound tags; "" where there are none."""
    if sounds.kind != "pinyin":
        return ""
    hanzi = [_homophones().get(syllable, "") for syllable in sounds.parts]
    return "".join(hanzi) if all(hanzi) else ""


def _arpabet(written: str) -> tuple[str, ...]:
    phones = written.split()
    if len(phones) < 2 and not written[-1:].isdecimal():
        return ()
    if any(phone.isupper() for phone in phones):
        known = all(phone in PHONES or phone in _VOWELS for phone in phones)
        has_vowel = any(phone.rstrip("012") in _VOWELS for phone in phones)
        if known and has_vowel:
            return stressed([phone + "0" if phone in _VOWELS else phone for phone in phones])
    return ()


def _pinyin(written: str) -> tuple[str, ...]:
    """Syllables with tone digits; at least one must have a tone, or it is no pinyin."""
    words = re.split(r"[\s'’-]+", written.lower().replace("u:", "ü"))
    found = [syllables for word in words if word and (syllables := _split_pinyin(word))]
    flat = tuple(syllable for syllables in found for syllable in syllables)
    toned = any(syllable[-1] != "5" for syllable in flat) or "5" in written
    return flat if toned and len(found) == len([word for word in words if word]) else ()


def _split_pinyin(word: str) -> tuple[str, ...]:
    """The syllables of a word that may be written without blanks; () where it cannot be split."""
    if _WITH_DIGITS.fullmatch(word):
        syllables = tuple(map(_with_digit, _WITH_DIGIT.findall(word)))
        return syllables if all(map(_is_syllable, syllables)) else ()
    for end in range(min(len(word), _LONGEST_SYLLABLE + 1), 0, -1):
        syllable = _with_digit(word[:end])
        if not _is_syllable(syllable):
            continue
        if end == len(word):
            return (syllable,)
        if rest := _split_pinyin(word[end:]):
            return (syllable, *rest)
    return ()


def _is_syllable(syllable: str) -> bool:
    return bool(_HAS_VOWEL.search(syllable) and mandarin.syllable_units(syllable))


def _with_digit(syllable: str) -> str:
    """A syllable with its tone as a digit: `chóng` and `chong2` are `chong2`, one without a tone is `ma5`."""
    if syllable[-1:].isdecimal():
        return syllable.replace("v", "ü").replace("0", "5")
    apart = unicodedata.normalize("NFD", syllable)
    tone = _MARKED.search(apart)
    bare = unicodedata.normalize("NFC", _MARKED.sub("", apart)).replace("v", "ü")
    return bare + (_TONE_MARKS[tone[0]] if tone else "5")


def _syllable_tags(syllable: str) -> str:
    """Tags of a syllable: the initial as it is spelled, then the final with the mark of its tone."""
    bare, tone = syllable[:-1], syllable[-1]
    initial = _INITIAL.match(bare)
    assert initial is not None
    final = bare[initial.end() :]
    lead = f"[{initial[0]}]" if initial[0] else ""
    # The tokens spell lüe and nüe with v.
    return lead + f"[{_with_mark(final.replace('üe', 've') if lead else final, tone)}]"


def _with_mark(final: str, tone: str) -> str:
    """A final with its tone above the vowel that carries it: a or e, the o of ou, else the last one."""
    if tone == "5":
        return final
    at = next((final.index(vowel) for vowel in ("a", "e", "ou") if vowel in final), -1)
    if at < 0:
        at = max(final.rfind(vowel) for vowel in "iouü")
    return unicodedata.normalize("NFC", final[: at + 1] + _TONE_OF[tone] + final[at + 1 :])


@cache
def _homophones() -> dict[str, str]:
    """A common hanzi for each syllable, one with a single reading if there is any.

    The first level of GB 2312 holds the common ones.
    """
    from pypinyin import Style, pinyin

    single: dict[str, str] = {}
    among_others: dict[str, str] = {}
    for code in range(0xB0A1, 0xD7FA):
        with suppress(UnicodeDecodeError):  # between the rows of the table
            character = code.to_bytes(2, "big").decode("gb2312")
            read = pinyin(character, style=Style.TONE3, heteronym=True, neutral_tone_with_five=True)[0]
            (single if len(read) == 1 else among_others).setdefault(read[0].replace("v", "ü"), character)
    return among_others | single
