"""The text of keys: unguessable, recognised by a digest, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.service.errors import BadRequest
from cosyrt.service.keys import Scope, id_of, matches, new_key, parse_scopes


def test_a_key_is_recognised_by_its_digest() -> None:
    """A new key names its id, agrees with its digest, and shares nothing with the next one."""
    key, other = new_key(), new_key()
    assert key.text.startswith(f"cv_{key.id}_") and id_of(key.text) == key.id
    assert matches(key.text, key.sha256) and len(key.sha256) == 32
    assert not matches(other.text, key.sha256)
    assert key.id != other.id and key.text[-43:] != other.text[-43:]


@given(at=st.integers(0, 56), letter=st.characters(codec="utf-8"))
def test_a_key_with_another_letter_is_another_key(at: int, letter: str) -> None:
    """Whatever one character of a key is replaced by, it no longer agrees."""
    key = new_key()
    changed = key.text[:at] + letter + key.text[at + 1 :]
    assert matches(changed, key.sha256) is (changed == key.text)


@given(st.text(max_size=80))
def test_any_other_text_has_no_id(text: str) -> None:
    """What was not made as a key is not looked up, and comparing it never fails."""
    assert id_of(text) is None
    assert not matches(text, new_key().sha256)


def test_scopes_are_read_from_their_names() -> None:
    """Blanks and commas separate them; a word that is none is refused with the ones that are."""
    assert parse_scopes("speech, voices") == {Scope.SPEECH, Scope.VOICES}
    for wrong in ("", "root", "speech root"):
        with pytest.raises(BadRequest, match="speech, voices, admin"):
            parse_scopes(wrong)
