"""Hanzi → pinyin units."""

from __future__ import annotations

import pytest

from cosyrt.text.mandarin import hanzi_units, syllable_units


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
    ("text", "tones"),
    [
        ("每周一次", "2"),
        ("下周一", "1"),
        ("周一下午", "1"),
        ("规划一下", "2"),
        ("配合一下", "2"),
        ("集合一下", "2"),
        ("合同一份", "2"),
        ("同一天", "1"),
        ("合一", "1"),
        ("万一下雨", "1"),
        ("三万一千", "4"),
        ("千万一定", "2"),
        ("之一是", "1"),
        ("十分之一的", "1"),
        ("一月一日", "11"),
        ("十一月一号", "11"),
        ("一日游", "2"),
        ("星期一去", "1"),
        ("长期一直", "4"),
        ("系统一共", "2"),
        ("统一的", "1"),
        ("八点一点一", "11"),
        ("一点一滴", "44"),
        ("一点一点地", "44"),
        ("看一看", "5"),
        ("看一看第一", "51"),
    ],
)
def test_tones_of_one(text: str, tones: str) -> None:
    """一 has its first tone as a number and in words of its own, the tone of its neighbours elsewhere."""
    places = [at for at, character in enumerate(text) if character == "一"]
    finals = [unit for unit in hanzi_units(text) if unit[-1].isdecimal()]
    assert "".join(finals[at][-1] for at in places) == tones


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
