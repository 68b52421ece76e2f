"""One definition of a Chinese character, which every module of text shares."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest

from cosyrt.text.arriving import whole_words
from cosyrt.text.normalize import language_of, normalize
from cosyrt.text.pronounce import ArpabetPinyin
from cosyrt.text.scripts import HAN, HANGUL, KANA, LATIN, has_han
from cosyrt.text.split import split

# How Unicode names the characters of the script Han; no other character is named so.
NAMES = re.compile(
    r"CJK (UNIFIED|COMPATIBILITY) IDEOGRAPH-[0-9A-F]+|(CJK|KANGXI) RADICAL .+|IDEOGRAPHIC NUMBER ZERO"
    r"|HANGZHOU NUMERAL \w+|(VERTICAL )?IDEOGRAPHIC ITERATION MARK|OLD CHINESE (HOOK|ITERATION) MARK"
    r"|VIETNAMESE ALTERNATE READING MARK (CA|NHAY)"
)


def test_han_is_what_unicode_calls_so() -> None:
    """The characters that Unicode names as Han are Han, and no others."""
    named = {c for c in map(chr, range(sys.maxunicode + 1)) if NAMES.fullmatch(unicodedata.name(c, ""))}
    matched = {c for c in map(chr, range(sys.maxunicode + 1)) if has_han(c) and unicodedata.name(c, "")}

    assert len(named) > 90_000
    assert matched == named


@pytest.mark.slow
def test_the_scripts_have_no_character_in_common() -> None:
    """A character is of one script at most."""
    scripts = [re.compile(f"[{script}]") for script in (HAN, KANA, HANGUL, LATIN)]

    assert all(sum(bool(one.match(chr(c))) for one in scripts) <= 1 for c in range(sys.maxunicode + 1))


@pytest.mark.parametrize("character", ["中", "〇", "㐀", "𠀀", "𰻝"])
def test_every_module_means_the_same(character: str) -> None:
    """A character of any block is Chinese: to be read, counted, waited for and pronounced as such."""
    assert language_of(character) == "zh"
    assert normalize(character) == f"{character}。"
    assert len(split(f"{character * 70}。{character * 70}。", lambda _: 1)) == 2  # counted in characters
    assert list(whole_words([character, "a"])) == [character, "a"]
    assert ArpabetPinyin()(f"A{character}")[0] == "EY1"  # a letter name, as in A股
