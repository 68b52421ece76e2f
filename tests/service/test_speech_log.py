"""What stays of speech: how each request went, the label that it left under, and no text unless told."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.schema import AuditRow, RequestRow
from cosyrt.service.state import Service
from tests.service.served import serving, wait_until

TEXT = "Hi there."


def rows_of(service: Service, table: Any, count: int) -> list[Any]:
    """The rows of a table, once so many have been written."""
    query = select(table).order_by(table.at)
    found: list[Any] = []

    def all_there() -> bool:
        found[:] = service.store.read(lambda session: session.scalars(query).all())
        return len(found) >= count

    wait_until(all_there)
    assert len(found) == count
    return found


def test_a_request_and_its_label_are_written_down(tiny: Pipeline) -> None:
    """The row has the request's figures and not its text; the audit has the label's id and a digest."""
    with serving(tiny) as served:
        answer = served.speak(TEXT, voice="ann", response_format="wav")
        [row] = rows_of(served.service, RequestRow, 1)
        [label] = rows_of(served.service, AuditRow, 1)

    assert (row.account_id, row.route, row.format, row.voice, row.status) == (
        "local",
        "http",
        "wav",
        "ann",
        200,
    )
    assert (row.characters, row.text, row.error) == (len(TEXT), None, None)
    assert 0 < row.first_audio_ms <= row.total_ms and row.audio_ms > 0
    detail = json.loads(label.detail)
    assert label.action == "speech.label" and label.subject in answer.headers["x-aigc"]
    assert detail["text_sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert TEXT not in label.detail


def test_a_text_is_kept_where_the_operator_wants_it(tiny: Pipeline) -> None:
    """With the setting the row has the text."""
    with serving(tiny, log_text=True) as served:
        served.speak(TEXT)
        assert [row.text for row in rows_of(served.service, RequestRow, 1)] == [TEXT]


@pytest.mark.parametrize("log", [True, False])
def test_a_refused_request_is_written_down_without_a_label(tiny: Pipeline, log: bool) -> None:
    """A request that made no audio has its status and reason, and left under no label."""
    with serving(tiny, log_requests=log, first_audio_s=0.1, request_s=1) as served:
        served.service.scheduler.submit = _busy  # type: ignore[method-assign, assignment]
        assert served.speak(TEXT).status == 503
        served.service.journal.close()
        rows = rows_of(served.service, RequestRow, int(log))
        assert [(row.status, row.first_audio_ms) for row in rows] == [(503, None)] * log
        assert rows_of(served.service, AuditRow, 0) == []


def _busy(*_: object, **__: object) -> None:
    from cosyrt.errors import Busy

    raise Busy("too many", 1.0)
