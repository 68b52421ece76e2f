"""Letters that a model has no sound for."""

from __future__ import annotations

import pytest

from cosyrt.errors import TextError
from cosyrt.text.unread import readable


def capitals(text: str) -> str:
    """What a model that cannot read capitals would say of a text."""
    return "".join(dict.fromkeys(filter(str.isupper, text)))


@pytest.mark.parametrize(
    ("pieces", "left", "warned"),
    [
        (["ab.", " cd."], ["ab.", " cd."], []),
        (["aX.", " bYX.", " cZ."], ["aX.", " bYX.", " cZ."], ["X"]),
        (["XY.", " b."], [" b."], ["XY"]),
        (["a.", " XY."], ["a."], ["XY"]),
        (["ABCDEFGHIJKLMNO a."], ["ABCDEFGHIJKLMNO a."], ["ABCDEFGHIJKL…"]),
        ([], [], []),
    ],
)
def test_what_is_left_is_spoken(
    pieces: list[str], left: list[str], warned: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Pieces of which something is left are given out; one warning names the letters that are lost."""
    assert list(readable(iter(pieces), capitals)) == left
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == warned


def test_a_text_of_which_nothing_is_left_is_refused() -> None:
    """The error names the letters, in one line that says what to do."""
    with pytest.raises(TextError, match="cannot read the letters XY; give it English") as caught:
        list(readable(iter(["XY!", " X."]), capitals))
    assert "\n" not in str(caught.value)
