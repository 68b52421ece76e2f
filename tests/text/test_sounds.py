"""Sounds in ARPAbet, pinyin and IPA, and the tags that they become."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypinyin import Style, lazy_pinyin

from cosyrt.text.english import PHONES
from cosyrt.text.mandarin import syllable_units
from cosyrt.text.sounds import SOUND_TAGS, Sounds, homophones, is_sound_run, sounds_of, units_of_tags

HANZI = st.sampled_from("重庆长音乐女略绿语雪军云元月我五一无二恩安昂翁问王用熊穷桩双春准水队六九")


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("chong2 qing4", "[ch][óng][q][ìng]"),
        ("chóng qìng", "[ch][óng][q][ìng]"),
        ("chóngqìng", "[ch][óng][q][ìng]"),
        ("Chong2qing4", "[ch][óng][q][ìng]"),
        ("xī'ān", "[x][ī][ān]"),
        ("nv3 er2", "[n][ǚ][ér]"),
        ("lu:e4", "[l][vè]"),
        ("ma1 ma5", "[m][ā][m][a]"),
        ("ma1 ma", "[m][ā][m][a]"),
        ("HH AH0 L OW1", "[HH][AH0][L][OW1]"),
        ("K AE T", "[K][AE1][T]"),
        ("təˈmɑːtəʊ", "[T][AH0][M][AA1][T][OW0]"),
    ],
)
def test_notations(written: str, tags: str) -> None:
    """Sounds are written in three ways, pinyin with digits or marks, with blanks or without."""
    sounds = sounds_of(written)
    assert sounds is not None and sounds.tags() == tags


@pytest.mark.parametrize(
    "written", ["jiff", "docs", "about", "web3", "OK", "I AM", "engine X", "ng4", "", "5"]
)
def test_words_are_no_sounds(written: str) -> None:
    """A spelling in letters, the end of an address and a name with a number are words."""
    assert sounds_of(written) is None


@given(st.lists(HANZI, min_size=1, max_size=5))
def test_pinyin_keeps_every_syllable(hanzi: list[str]) -> None:
    """Digits and marks are the same syllables, and the tags of both are read back into their units."""
    styles = (Style.TONE3, Style.TONE)
    digits, marks = (
        " ".join(lazy_pinyin("".join(hanzi), style=style, neutral_tone_with_five=True)) for style in styles
    )
    one, two = sounds_of(digits), sounds_of(marks)
    assert one is not None and one == two
    assert set(re.findall(r"\[[^]]+\]", one.tags())) <= SOUND_TAGS
    assert units_of_tags(one.tags()) == [unit for syllable in one.parts for unit in syllable_units(syllable)]


@given(st.lists(st.sampled_from(PHONES), max_size=9).map(lambda phones: ["AA1", *phones]))
def test_arpabet_keeps_every_phone(phones: list[str]) -> None:
    """What is written as phones is said as these phones."""
    sounds = sounds_of(" ".join(phones))
    assert sounds == Sounds("arpabet", tuple(phones))
    assert units_of_tags(sounds.tags()) == phones


@pytest.mark.parametrize(
    ("run", "is_run"),
    [
        ("[h][ǎo]", True),
        ("[HH][AH0]", True),
        ("[1]", False),
        ("[b]", False),
        ("[h][ǎo][x1]", False),
        ("[sic]", False),
    ],
)
def test_what_is_a_run_of_sounds(run: str, is_run: bool) -> None:
    """Only known tags with a vowel among them: a footnote is none."""
    assert is_sound_run(run) is is_run


@pytest.mark.parametrize("written", ["chong2 qing4", "zhang3 da4", "nv3 er2", "yin1 yue4", "ma1 ma5"])
def test_homophones_are_read_so(written: str) -> None:
    """Hanzi for a model without sound tags, each read as it is asked for."""
    sounds = sounds_of(written)
    assert sounds is not None
    hanzi = homophones(sounds)
    read = [lazy_pinyin(one, style=Style.TONE3, neutral_tone_with_five=True)[0] for one in hanzi]
    assert [syllable.replace("v", "ü") for syllable in read] == list(sounds.parts)
    assert homophones(Sounds("arpabet", ("AA1",))) == ""
