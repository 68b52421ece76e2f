"""Labels of synthetic speech."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import UsageError
from cosyrt.labels import FIELDS, LabelSettings, fields_of

LINES = st.text(st.characters(exclude_categories=("C", "Z")), max_size=200)


@given(LINES, LINES, LINES)
def test_a_label_says_what_the_settings_say(producer: str, propagator: str, produce_id: str) -> None:
    """All fields of the standard are there, in its order, in the file and in the header."""
    label = LabelSettings(producer=producer, propagator=propagator).label(produce_id)
    fields = fields_of(label.text)

    assert tuple(fields) == FIELDS
    assert (fields["Label"], fields["ContentProducer"]) == ("1", producer)
    assert fields["ContentPropagator"] == propagator
    assert fields["ProduceID"] == produce_id or (not produce_id and len(fields["ProduceID"]) == 24)
    assert label.produce_id == fields["ProduceID"]
    [header] = label.headers.values()
    assert header.isascii() and header.isprintable()
    assert unquote(header) == label.text


def test_two_pieces_of_speech_have_two_ids() -> None:
    """Without an id of the operator's, each label has its own."""
    settings = LabelSettings()
    assert settings.label().text != settings.label().text


def test_fields_can_be_spelt_otherwise() -> None:
    """A reader that wants other names of fields gets them; the others keep theirs."""
    label = LabelSettings(names={"ProduceID": "ProduceId", "Label": "label"}).label("a1")

    assert fields_of(label.text)["ProduceId"] == "a1"
    assert list(fields_of(label.text))[:2] == ["label", "ContentProducer"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"producer": "two\nlines"}, "'producer' of labels .*one line"),
        ({"propagator": "x" * 201}, "at most 200"),
        ({"names": {"Producer": "x"}}, "no field 'Producer'; rename one of Label,"),
        ({"names": {"Label": "x\0"}}, "one line"),
    ],
)
def test_settings_that_no_label_can_have(settings: dict[str, object], words: str) -> None:
    """What would break a header or a tag is refused in one line."""
    with pytest.raises(UsageError, match=words):
        LabelSettings(**settings)  # type: ignore[arg-type]


@given(st.text() | st.sampled_from(["[]", "3", "null", "[" * 9_999, '{"a":[1,{}],"b":null}']))
def test_what_others_wrote_is_read_as_far_as_it_goes(text: str) -> None:
    """A label that is no JSON object is shown as text, and never an error."""
    assert all(isinstance(value, str) and len(value) <= 200 for value in fields_of(text).values())
