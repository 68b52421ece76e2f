"""Readings of 地, 得, 了 and 儿."""

from __future__ import annotations

import pytest

from cosyrt.text.mandarin import hanzi_units
from cosyrt.text.particles import readings


@pytest.mark.parametrize(
    ("text", "at", "syllable"),
    [
        ("慢慢地走", 2, "de5"),
        ("高兴地说", 2, "de5"),
        ("仔仔细细地看", 4, "de5"),
        ("一步一步地走", 4, "de5"),
        ("猛地站起", 1, "de5"),
        ("不停地说", 2, "de5"),
        ("跑得快", 1, "de5"),
        ("高兴得跳起来", 2, "de5"),
        ("得立即去", 0, "dei3"),
        ("你得走", 1, "dei3"),
        ("必须得走", 2, "dei3"),
        ("得到", 0, "de2"),
        ("他得了奖", 1, "de2"),
        ("不得了", 2, "liao3"),
        ("受不了", 2, "liao3"),
        ("一会儿", 2, "er5"),
        ("花儿", 1, "er5"),
    ],
)
def test_particles(text: str, at: int, syllable: str) -> None:
    """Neighbours decide what the dictionary leaves open."""
    assert readings(text)[at] == syllable


@pytest.mark.parametrize(
    "text", ["土地", "地方", "草地上", "各地出现", "工地开工", "目的地到了", "儿子", "女儿", "走了"]
)
def test_words_of_their_own_are_left_to_the_dictionary(text: str) -> None:
    """A place, a child or a past action has no other reading."""
    assert readings(text) == {}


def test_tones_of_repeated_bu_and_of_floors() -> None:
    """不不不 keeps its tones, a floor its first tone."""
    assert [unit[-1] for unit in hanzi_units("不不不") if unit.startswith("z:u")] == ["2", "2", "4"]
    assert hanzi_units("一楼")[0] == "z:i1"
