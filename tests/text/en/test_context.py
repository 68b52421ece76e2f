"""Forms of English whose neighbours tell what they mean."""

from __future__ import annotations

import pytest

from cosyrt.text.en import in_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Wait 30s.", "Wait thirty seconds."), ("in the 30s", "in the thirties")),
        (("a 10/10 film", "a ten out of ten film"), ("due on 10/10", "due on October tenth")),
        (("1.4m people", "one point four million people"), ("1.4m tall", "one point four meters tall")),
        (("The rate fell 25 bps.", "The rate fell twenty five basis points."),
         ("a 25 bps link", "a twenty five bit per second link")),
        (("Open Mon, Wed and Sat.", "Open Monday, Wednesday and Saturday."),
         ("He sat. Sat.", "He sat. Sat.")),
        (("0.1 M NaCl", "zero point one molar NaCl"), ("$0.1 M", "zero point one million dollars")),
        (("He ran 10k.", "He ran ten K."), ("He earns 10k.", "He earns ten thousand.")),
        (("Exit at 1430 hrs.", "Exit at fourteen thirty hours"),
         ("at 1430 Elm St.", "at one thousand four hundred and "
         "thirty Elm Street.")),
        (("in Oct. and", "in October and"), ("in Mar. The sea", "in Mar. The sea")),
        (("He is 5'9 now", "He is five foot nine now"), ("Saka (7', 54')", "Saka (seven', fifty four')")),
        (("(Saka 7', 54')", "(Saka seven, fifty four)"), ("(6' tall)", "(six feet tall)")),
        (("day 3/30", "day three of thirty"), ("3/30 of it", "three thirtieths of it")),
        (("x += 1", "x plus equals one"), ("x + 1", "x plus one")),
    ],
)  # fmt: skip
def test_neighbours_decide(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Two texts with the same form, which is read in two ways."""
    for written, spoken in (one, other):
        assert in_words(written) == spoken
