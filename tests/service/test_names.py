"""Names are data: composed, visible, and for voices such as a file could have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.service.errors import BadRequest
from cosyrt.service.names import check_label, check_voice_name

HIDDEN = ["", "   ", "x" * 65, "a\0b", "a\nb", "a\u202eb", "a\u200bb", "\x1b[31m"]
NO_FILE = ["../../x", "a/b", "..%2f", "C:\\x", "CON", ".hidden", "-x"]


@pytest.mark.parametrize("name", HIDDEN)
def test_names_that_cannot_be_seen_are_refused(name: str) -> None:
    """What is empty, long or steers a terminal is no name of anything."""
    for check in (check_voice_name, lambda name: check_label(name, "a key")):
        with pytest.raises(BadRequest) as refused:
            check(name)
        assert refused.value.param == "name" and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NO_FILE)
def test_a_voice_is_not_named_like_a_path(name: str) -> None:
    """A voice could be exported to a file of its name, on any system."""
    assert check_label(name, "a key") == name
    with pytest.raises(BadRequest):
        check_voice_name(name)


def test_names_are_composed() -> None:
    """Blanks around a name are dropped, and letters are one with their accents."""
    assert check_label(" Andre\u0301 O'Neil (home) ", "an account") == "Andr\u00e9 O'Neil (home)"
    assert check_voice_name("林小姐 2") == "林小姐 2"


@given(st.text(max_size=70))
def test_every_text_is_a_name_or_refused(text: str) -> None:
    """No text fails in another way, and a name stays itself."""
    for check in (check_voice_name, lambda name: check_label(name, "a key")):
        try:
            name = check(text)
        except BadRequest:
            continue
        assert check(name) == name and name.isprintable()
