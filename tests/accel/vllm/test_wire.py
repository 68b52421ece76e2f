"""Messages: what was sent is read again, and a stream that is cut ends."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.accel.vllm.wire import messages, send

HEADERS = st.dictionaries(
    st.text(max_size=5), st.integers() | st.text() | st.lists(st.integers()), max_size=4
)


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=50)), max_size=4), st.data())
def test_what_is_sent_is_read_again(sent: list[tuple[dict[str, object], bytes]], data: st.DataObject) -> None:
    """Every message arrives as it was; of a stream that is cut only whole ones do."""
    sent = [({key: value for key, value in header.items() if key != "bytes"}, body) for header, body in sent]
    stream = BytesIO()
    for header, body in sent:
        send(stream, header, body)
    whole = stream.getvalue()
    cut = whole[: data.draw(st.integers(0, len(whole)))]

    assert list(messages(BytesIO(whole))) == sent
    found = list(messages(BytesIO(cut)))
    assert found == sent[: len(found)]
    assert len(found) == len(sent) or len(cut) < len(whole)


@pytest.mark.parametrize("line", [b"no json\n", b'{"bytes": -1}\n', b'{"bytes": 99999999999}\n'])
def test_what_is_no_message_is_an_error(line: bytes) -> None:
    """Neither side reads on where the other has written something else."""
    with pytest.raises(ValueError):
        list(messages(BytesIO(line)))
