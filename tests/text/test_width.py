"""Full-width and look-alike signs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.text.width import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("５０％", "50%"),
        ("３．１４", "3.14"),
        ("你好．", "你好。"),
        ("１：２", "1:2"),
        ("他说：好，对！", "他说：好，对！"),
        ("Ａ－Ｂ＋＝＄＜＞／＆＠", "A-B+=$<>/&@"),
        ("1～2〜3", "1~2~3"),
        ("a\u2011b", "a-b"),
        ("㎡㎏㎝℃", "m²kgcm°C"),
        ("H₂O x² ½", "H2O x² ½"),
        ("3\u00a0km", "3 km"),
        ("①", ", 1, "),
        ("№", "No."),
    ],
)
def test_fold(text: str, folded: str) -> None:
    """Signs are folded, Chinese punctuation and powers are not."""
    assert fold(text) == folded


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    """What is folded stays as it is."""
    assert fold(fold(text)) == fold(text)
