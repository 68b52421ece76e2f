"""Control tags that a model knows, and others."""

from __future__ import annotations

import logging

import pytest

from cosyrt.text.normalize import normalize
from cosyrt.text.split import as_written
from cosyrt.text.tags import ControlTags


def test_unknown_tags_are_left_out_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of them is spoken, and the first is named."""
    with caplog.at_level(logging.WARNING):
        text = "<strong>Hello</strong> [laughter], 5 cats.<|im_end|> <|en|>Bye 3."
        assert normalize(text, tags=()) == "Hello, five cats. Bye three."
    assert [record.getMessage() for record in caplog.records] == [
        "this voice does not know the tag <strong>: it is left out, as are others like it"
    ]


def test_known_tags_stay() -> None:
    """Known tags pass the rules unchanged; those of the form `<|…|>` leave their sentence as it is."""
    assert normalize("[breath] 5 <strong>7</strong>", tags={"[breath]", "<strong>", "</strong>"}) == (
        "[breath] five <strong>seven</strong>."
    )
    assert normalize("<|en|>Take 5", tags={"<|en|>"}) == "<|en|>Take 5"


def test_what_a_chat_model_leaves_behind_is_no_control() -> None:
    """Marks of a chat never reach a model, and never switch the reading off."""
    assert normalize("<|im_start|>5 cats<|im_end|>") == "five cats."


def test_text_as_written_has_known_tags_only() -> None:
    """Without normalisation too, a tag that the model does not know is not read out."""
    text = "<strong>Good</strong> morning [laughter] 5."
    assert "".join(as_written(text, len, tags=())).split() == ["Good", "morning", "5."]
    assert list(as_written(text, len)) == [text]


def test_hidden_tags_come_back() -> None:
    """The text with its tags hidden, shown again, is the text."""
    tags = ControlTags(None)
    text = "a [breath] b [breath] c [laughter]"
    assert tags.show(tags.hide(text)) == text and "[" not in tags.hide(text)
