"""Hanzi → pinyin units."""

from __future__ import annotations

import pytest

from cosyrt.frontend.mandarin import hanzi_units, syllable_units


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("中国", "z:zh z:ong1 z:g z:uo2"),
        ("女儿", "z:n z:v3 z:er2"),
        ("月亮", "z:ve4 z:l z:iang4"),
        ("银行行长", "z:in2 z:h z:ang2 z:h z:ang2 z:zh z:ang3"),
        ("不对", "z:b z:u2 z:d z:uei4"),
        ("不好", "z:b z:u4 z:h z:ao3"),
        ("好不好", "z:h z:ao3 z:b z:u5 z:h z:ao3"),
        ("看一看", "z:k z:an4 z:i5 z:k z:an4"),
        ("第一个", "z:d z:i4 z:i1 z:g z:e4"),
        ("一个", "z:i2 z:g z:e4"),
        ("一张", "z:i4 z:zh z:ang1"),
        ("一月", "z:i1 z:ve4"),
        ("二十一", "z:er4 z:sh z:i2 z:i1"),
        ("嗯", "z:en2"),
    ],
)
def test_reading(text: str, units: str) -> None:
    """Readings follow the phrase; 一 and 不 take the tone they are spoken with."""
    assert " ".join(hanzi_units(text)) == units


@pytest.mark.parametrize(
    ("syllable", "units"),
    [
        ("jiu3", ("z:j", "z:iou3")),
        ("xun2", ("z:x", "z:vn2")),
        ("lve4", ("z:l", "z:ve4")),
        ("lüe4", ("z:l", "z:ve4")),
        ("yong5", ("z:iong5",)),
        ("zhui1", ("z:zh", "z:uei1")),
        ("hng5", ("z:h", "z:eng5")),
        ("qqq1", ()),
        ("ma", ()),
        ("", ()),
    ],
)
def test_syllable(syllable: str, units: tuple[str, ...]) -> None:
    """Shortened spellings give the full final; what is no syllable gives nothing."""
    assert syllable_units(syllable) == units
