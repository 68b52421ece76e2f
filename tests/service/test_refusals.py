"""Errors as clients see them: one shape for all, and nothing of our insides."""

from __future__ import annotations

import logging

import pytest

from cosyrt.engine.pipeline import Pipeline
from tests.service.served import Served, serving


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/audio/speech", 405),
        ("DELETE", "/health", 405),
        ("PATCH", "/v1/models", 405),
    ],
)
def test_addresses_that_are_none(served: Served, method: str, path: str, status: int) -> None:
    """Unknown addresses and methods have the shape of every other error."""
    answer = served.ask(method, path)

    assert answer.status == status
    assert set(answer.error) == {"message", "type", "param", "code"}


def test_a_bug_tells_its_number_and_nothing_else(
    tiny: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a number under which the log has the traceback."""
    with serving(tiny) as served:
        monkeypatch.setattr(served.service.scheduler, "submit", lambda *args, **kwargs: 1 / 0)
        with caplog.at_level(logging.ERROR):
            answer = served.speak()

    assert (answer.status, answer.error["code"]) == (500, "bug")
    assert "division" not in answer.body.decode() and "Traceback" not in answer.body.decode()
    number = answer.error["message"].split()[-1]
    assert any(number in record.getMessage() and record.exc_info for record in caplog.records)
