"""Spellings that the grammars misread, as they are spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.text.normalize import normalize
from cosyrt.text.rewrites import rewritten

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        # Minus and other signs.
        ("It fell to −5 degrees (-5).", "It fell to minus five degrees (minus five)."),
        ("3 − 2 = 1", "three minus two equals one."),
        ("3−2", "three minus two."),
        ("It is -5.", "It is negative five."),
        ("≥5 ±2", "greater than or equal to five plus or minus two."),
        ("±√2, ∞", "plus or minus square root of two , infinity."),
        ("<strong>5</strong> cats", "<strong>five</strong> cats."),
        ("5×3 and a ÷ b", "five times three and a divided by b."),
        (
            "x² is <3 or >10, < 0.3",
            "x squared is less than three or greater than ten, less than zero point three.",
        ),
        (
            "It is ~5 km away, ~$20.",
            "It is approximately five kilometers away, approximately twenty dollars.",
        ),
        ("10^6, 10^-3", "ten to the power of six, ten to the power of negative three."),
        # Names and titles.
        ("Dr Who met Prof. Lee.", "doctor Who met professor Lee."),
        ("In St. Louis, with St Paul and St John", "In Saint Louis, with Saint Paul and Saint John."),
        ("5 Main St, Boston", "five Main Street, Boston."),
        ("On Main St. The house", "On Main St. The house."),
        ("5th St. Boston", "fifth St. Boston."),
        # Abbreviations before a number.
        ("No. 5 on Fig. 3, p. 12", "Number five on figure three, page twelve."),
        ("pp. 3-5, vol. 2", "pages three to five, volume two."),
        ("He said no.", "He said no."),
        # Versions, ordinals, decades.
        ("Version 2.0.1, v1.2.3", "Version two point zero point one, v one point two point three."),
        ("192.168.1.1", "one nine two dot one six eight dot one dot one."),
        ("3rd-party 1st-class", "third party first class."),
        ("the 1990s, 1800s", "the nineteen nineties, eighteen hundreds."),
        # Measures, money and ranges.
        ("He is 5'10\" tall, it's 6' wide", "He is five foot ten tall, it's six feet wide."),
        ("3 m, 1 m, $5 m", "three meters, one meter, five million dollars."),
        ("3½ cups, ½ cup", "three and one half cups, one half cup."),
        ("50-60% for $5-10", "fifty to sixty percent for five to ten dollars."),
        ("3–5 days, $3-$5", "three to five days, three to five dollars."),
        ("9-10 a.m. or 5-6pm", "nine to ten AM or five to six PM."),
        ("24/7, 9/11, 50/50, 1/2", "twenty four seven, nine eleven, fifty fifty, one half."),
        ("Call 555-1234", "Call five five five, one two three four."),
        ("500-1000 people", "five hundred to one thousand people."),
    ],
)
def test_english(written: str, spoken: str) -> None:
    """Signs have names, abbreviations their words, and what looks like a fraction or a range may be none."""
    assert normalize(written) == spoken


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
        ("他是No.1，No.5车厢", "他是number one，第五车厢。"),
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


@pytest.mark.parametrize("language", ["en", "zh"])
def test_ordinary_sentences_are_left_alone(language: str) -> None:
    """The models were taught with what ordinary sentences give: no table touches them."""
    text = (BENCHMARKS / f"sentences_{language}.txt").read_text(encoding="utf-8")
    assert rewritten(text, language) == text
