"""Chinese as it is spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.text.normalize import normalize
from cosyrt.text.zh import in_words

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("−5度，－3度，温度是-5度", "负五度，负三度，温度是负五度。"),
        ("3 − 2 = 1对", "三减二等于一对。"),
        ("约±√2，x ≠ y，∞", "约正负根号二，x不等于y，无穷大。"),
        ("GPT-4很好，COVID-19", "GPT四很好，COVID十九。"),
        ("设x-1为y", "设x减一为y。"),
        ("F-16战机和歼-20，东风-41", "F十六战机和歼二十，东风四十一。"),
        ("3.5.1版本，Python 3.11.4", "三点五点一版本，Python三点十一点四。"),
        ("192.168.1.1网址", "一九二点一六八点一点一网址。"),
        ("他是No.1，No.5车厢", "他是第一，第五车厢。"),
        ("Dr.Wang说，Dr. Smith和Mr. Wang", "doctor Wang说，doctor Smith和Mr Wang。"),
        ("第2名，第1，2名，第12名，第2-3页", "第二名，第一，二名，第十二名，第二到三页。"),
        ("5月/6月，3-5年级", "五月、六月，三到五年级。"),
        ("50-60%的人，¥5-10", "百分之五十到百分之六十的人，五到十元。"),
        ("10^6个，3½杯，½杯", "十的六次方个，三又二分之一杯，二分之一杯。"),
    ],
)
def test_chinese(written: str, spoken: str) -> None:
    """A hyphen before a number is not always a minus, nor a stop always the end of a sentence."""
    assert normalize(written) == spoken


def test_ordinary_sentences_are_left_alone() -> None:
    """The models were taught with what ordinary sentences give: no rule touches them."""
    text = (BENCHMARKS / "sentences_zh.txt").read_text(encoding="utf-8")
    assert in_words(text) == text
