"""Formulas of chat models, in signs that can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.text.latex import plain_formulas


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"so $a_1 = b^{10}$.", "so a 1 = b^10."),
        (r"\(x \times y\) and \[z \leq 5\]", "x × y and z ≤ 5"),
        (r"$$\frac{1}{2} + \frac{\sqrt{a}}{b}$$", "1/2 + √a over b"),
        (r"速度是$\frac{s}{t}$", "速度是t分之s"),
        (r"\frac{a}{b} = c", "a over b = c"),
        (r"$\boxed{42}$ and $\text{if } x$", "42 and if x"),
        (r"$\sin\theta \approx \alpha$", "sin theta ≈ alpha"),
        ("It costs $5 and $6.", "It costs $5 and $6."),
        ("from $5-$10 to US$3", "from $5-$10 to US$3"),
        (r"a path C:\times and \new", r"a path C:\times and \new"),
    ],
)
def test_formulas(text: str, plain: str) -> None:
    """Commands become signs, fractions are said, sums of money and paths are left alone."""
    assert plain_formulas(text) == plain


@given(st.text(alphabet="$\\{}_^ab1 \n", max_size=60))
def test_any_text_comes_to_an_end(text: str) -> None:
    """Braces that do not close and signs alone are no formula, and reading twice changes no more."""
    once = plain_formulas(text)
    assert len(once) <= len(text) and once.count("a") + once.count("b") <= text.count("a") + text.count("b")
