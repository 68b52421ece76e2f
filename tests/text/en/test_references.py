"""Numbers that are names in English."""

from __future__ import annotations

import pytest

from cosyrt.text.en import in_words


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2 Kings 4:2", "Second Kings four verse two"),
        ("Rom. 8:28–30", "Romans eight, verses twenty eight to thirty"),
        ("at 8:28 Mark came", "at eight twenty eight Mark came"),
        ("i5-8250U", "i five eight two five zero U"),
        ("RTX 3060, GTX 970", "RTX thirty sixty, GTX nine seventy"),
        ("RX 6000 and RX 6900XT", "RX six thousand and RX sixty nine hundred XT"),
        ("a 5V 1A plug", "a five volts, one amp plug"),
        ("see ../src/app.py or and/or 1/2", "see dot dot slash src slash app dot py or and/or one half"),
        ("1.234.567,8 and 1.234", "one million two hundred thirty four thousand five hundred and sixty seven "
         "point eight and one point two three four"),
    ],
)  # fmt: skip
def test_names_with_numbers(written: str, spoken: str) -> None:
    """Verses, processors, graphics cards, plugs, paths and European numbers."""
    assert in_words(written) == spoken
