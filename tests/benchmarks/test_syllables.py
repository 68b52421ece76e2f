"""What Mandarin is scored by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.syllables import syllables
from tests.benchmarks.test_intelligibility import LINES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天下雨。", "jin1 tian1 xia4 yu3"),
        ("绿色的", "lü4 se4 de5"),
        ("我有3本书", "wo3 you3 san1 ben3 shu1"),
        ("他说 hello", "ta1 shuo1 hello"),
        ("", ""),
        ("。！", ""),
    ],
)
def test_a_character_is_a_syllable_with_its_tone(text: str, expected: str) -> None:
    """Marks have no sound, numbers are spelled out, English stays."""
    assert syllables(text) == expected.split()


def test_the_script_has_no_say() -> None:
    """Traditional characters are the same sounds, in phrases with several readings too."""
    assert syllables("我們學習銀行的發展") == syllables("我们学习银行的发展")


def test_homophones_are_one() -> None:
    """Only the sound is judged: 他 and 她 are the same."""
    assert syllables("他在做事") == syllables("她在作事")


@given(st.sampled_from(LINES["zh"]))
def test_every_held_out_character_has_a_syllable(text: str) -> None:
    """No sentence of the benchmark has a character without a reading."""
    han = [character for character in text if character not in "，。？！、"]
    assert len(syllables(text)) == len(han)
    assert "?" not in syllables(text)
