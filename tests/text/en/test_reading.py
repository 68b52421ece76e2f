"""English as it is spoken."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.text.en import in_words
from cosyrt.text.normalize import normalize

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        # Minus and other signs.
        ("It fell to −5 degrees (-5).", "It fell to minus five degrees (minus five)."),
        ("3 − 2 = 1", "three minus two equals one."),
        ("3−2", "three minus two."),
        ("It is -5.", "It is negative five."),
        ("≥5 ±2", "greater than or equal to five plus or minus two."),
        ("±√2, ∞", "plus or minus square root of two, infinity."),
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
        ("3½ cups, ½ cup", "three and a half cups, one half cup."),
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


def test_ordinary_sentences_are_left_alone() -> None:
    """The models were taught with what ordinary sentences give: no rule touches them."""
    text = (BENCHMARKS / "sentences_en.txt").read_text(encoding="utf-8")
    assert in_words(text) == text
