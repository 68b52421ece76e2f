"""Text → units of the built-in voice."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.text.pronounce import FINAL_MARKS, MARKS, PRONUNCIATIONS, ArpabetPinyin, vocabulary

_PRONOUNCE = ArpabetPinyin()
_KNOWN = frozenset(vocabulary())


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Hello, world!", "HH AH0 L OW1 , W ER1 L D !"),
        ("你好", "z:n z:i3 z:h z:ao3 ."),
        ("说 hello 吧？", "z:sh z:uo1 | HH AH0 L OW1 | z:b z:a5 ?"),
        ("well-known", "W EH1 L | N OW1 N ."),
        ("Café", "K AH0 F EY1 ."),
        ("4 ٢", "F AO1 R | T UW1 ."),
        ("有4个", "z:iou3 z:s z:i4 z:g z:e4 ."),
        ("Really?! Yes...", "R IH1 L IY0 ? Y EH1 S ."),
        ("„Hi“ (you) — go;", "HH AY1 , Y UW1 , G OW1 ."),
        ("Mr. Lee, Wu etc. go.", "M IH1 S T ER0 | L IY1 , W UW1 | EH2 T S EH1 T ER0 AH0 | G OW1 ."),
        ("No. Go...", "N OW1 . G OW1 ."),
        ("… , hi", "HH AY1 ."),
        ("", "."),
    ],
)
def test_spoken_example(text: str, units: str) -> None:
    """Words, hanzi, digits, accents and marks give exactly these units."""
    assert " ".join(_PRONOUNCE(text)) == units


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Hello, 你好 3 ٣ ½ É ﬁ Ⅳ ß ʼn — √ 😀!", ""),
        ("Привет, привет?", "Приветп"),
        ("안녕 नमस्ते", "안녕नमसत"),
        ("こんにちは、世界。", "こんにちは"),
    ],
)
def test_letters_without_a_sound(text: str, letters: str) -> None:
    """Letters of other scripts are named, once each; marks and symbols are no letters."""
    assert _PRONOUNCE.unread(text) == letters


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_gives_known_units_and_a_final_mark(text: str) -> None:
    """Whatever is typed, the model knows every unit, the end is marked, and marks stand alone."""
    units = _PRONOUNCE(text)
    assert set(units) <= _KNOWN
    assert units[-1] in FINAL_MARKS
    pauses = [unit in MARKS or unit == "|" for unit in units]
    assert not any(one and two for one, two in pairwise(pauses))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aeghs'.-,!? 不一是三月个天ÉßＡ7"))
def test_spelling_variants_give_known_units(text: str) -> None:
    """The characters with rules of their own never lead out of the vocabulary."""
    units = _PRONOUNCE(text)
    assert set(units) <= _KNOWN
    assert units == _PRONOUNCE(text)


def test_every_hanzi_reading_is_in_the_vocabulary() -> None:
    """Every character that pypinyin reads is said with known units."""
    units = _PRONOUNCE("".join(chr(code) for code in range(0x4E00, 0x9FA6)))
    assert set(units) <= _KNOWN
    assert len(units) > 35_000


def test_vocabulary_numbers_are_fixed() -> None:
    """The order is part of the trained model: 311 different units, marks first."""
    units = vocabulary()
    assert len(units) == len(set(units)) == 311
    assert units[:6] == [",", ".", "?", "!", "|", "B"]
    assert units[-1] == "z:vn5"


def test_pronunciation_is_found_by_its_name() -> None:
    """The name in the model description leads to this class."""
    assert PRONUNCIATIONS["arpabet-pinyin"]()("no") == ["N", "OW1", "."]


def test_english_text_does_not_load_pinyin() -> None:
    """pypinyin, which takes half a second to load, is loaded for hanzi only."""
    code = (
        "import sys; from cosyrt.text.pronounce import ArpabetPinyin; "
        "ArpabetPinyin()('hello'); sys.exit('pypinyin' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
