"""Messages of errors stay readable."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import UsageError, shortened


def test_a_long_path_loses_its_middle() -> None:
    """Beginning and end are what tells which it is."""
    path = "/home/ann/" + "x" * 5_000 + "/voices"
    message = str(UsageError(f"cannot use {path}: No such file"))
    assert message.startswith("cannot use /home/ann/xxx") and message.endswith("/voices: No such file")
    assert len(message) < 260


@given(st.text())
def test_other_messages_are_left_alone(message: str) -> None:
    """Words of up to two hundred letters, however many."""
    words = " ".join(word[:200] for word in message.split())
    assert shortened(words) == words
