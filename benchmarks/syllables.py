"""What a recogniser of Mandarin is held to: pinyin with tones, since one sound has many characters."""

from __future__ import annotations

import re

from cosyrt.text.normalize import is_speakable, normalize
from cosyrt.text.scripts import HAN

_PART = re.compile(rf"[{HAN}]+|[a-z']+")
_LETTERED = re.compile(r"[a-zü]+[1-5]")


def syllables(text: str) -> list[str]:
    """Spell every character as pinyin with its tone (5: none), numbers too; English words stay.

    Traditional characters are read as the simplified ones, by which phrases with several readings are known.
    """
    if not is_speakable(text):
        return []
    return [unit for part in _PART.findall(normalize(text).lower()) for unit in _units(part)]


def _units(part: str) -> list[str]:
    if part[0].isascii():
        return [word for word in [part.strip("'")] if word]
    from pypinyin import Style, lazy_pinyin

    read = lazy_pinyin(part, style=Style.TONE3, neutral_tone_with_five=True, v_to_u=True)
    return [unit if _LETTERED.fullmatch(unit) else "?" for unit in read]
