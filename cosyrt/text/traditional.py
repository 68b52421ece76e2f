"""Traditional Chinese characters → simplified ones, which the dictionaries and the models know better.

The tables are OpenCC's; the particle 著 (`看著`) is told from the word 著 (`著名`) here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from cosyrt.text.scripts import HAN

if TYPE_CHECKING:
    from opencc import OpenCC

# Traditional characters that the standard of simplified ones has too.
_IN_BOTH_STANDARDS = re.compile("[夥後於菸麽]")
_HAN = re.compile(f"[{HAN}]+")
# 著 is a word of its own after and before these.
_PARTICLE = re.compile(
    r"(?<![显顯昭卓原名巨专專论論译譯编編所合土拙遗遺新旧舊力见見])著(?![名作称稱者述录錄书書于於有文论論撰译譯])"
)


def simplified(text: str) -> str:
    """The text in simplified characters; one that has no others is not looked at further."""
    if "著" in text:
        text = _PARTICLE.sub("着", text)
    return text if _is_simplified(text) else _converter().convert(text)


def _is_simplified(text: str) -> bool:
    """Whether every Chinese character is in the national standard of simplified ones."""
    if _IN_BOTH_STANDARDS.search(text):
        return False
    try:
        "".join(_HAN.findall(text)).encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _converter() -> OpenCC:
    from opencc import OpenCC

    return OpenCC("t2s")
