"""Every request has an id and a line in the log, for people or machines; no text and no key is in it."""

from __future__ import annotations

import json
import logging

import pytest

from cosyrt.service.request_log import JsonLines, TextLines
from tests.service.served import Served, wait_until


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The lines about requests."""
    return [record for record in caplog.records if record.name == "cosyrt.requests"]


def test_one_line_a_request(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """The line has the id that the client was told, the status and how much was sent."""
    with caplog.at_level(logging.INFO, "cosyrt.requests"):
        answer = served.ask(
            "POST",
            "/v1/audio/speech",
            {"input": "A secret."},
            Authorization="Bearer hidden",
            X_Request_Id="mine-1",
        )
        wait_until(lambda: lines(caplog))
    [record] = lines(caplog)
    line = json.loads(JsonLines().format(record))

    assert answer.headers["x-request-id"] == line["id"] == "mine-1"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/audio/speech", 200)
    assert (line["whole"], line["bytes"]) == (True, len(answer.body))
    assert "secret" not in json.dumps(line) and "hidden" not in json.dumps(line)
    assert "status=200" in TextLines().format(record)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "é"])
def test_an_id_that_is_none_is_replaced(served: Served, given: str) -> None:
    """What would break a line of a log is not taken over."""
    answer = served.ask("GET", "/health", X_Request_Id=given)

    assert answer.headers["x-request-id"] != given
    assert answer.headers["x-request-id"].isalnum()


def test_a_line_stays_one_line() -> None:
    """Line breaks in a message or a path are escaped in JSON, and an error has its traceback in a field."""
    try:
        raise ValueError("no\nway")
    except ValueError as error:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "f", 1, "it\nfailed", (), (ValueError, error, error.__traceback__)
        )
    text = JsonLines().format(record)

    assert "\n" not in text
    assert "ValueError" in json.loads(text)["error"]
    assert json.loads(text)["message"] == "it\nfailed"


def test_a_path_cannot_forge_a_line(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks and escapes that a client writes into a path are shown, not written."""
    with caplog.at_level(logging.INFO, "cosyrt.requests"):
        served.ask("GET", "/x%0a12:00:00%20request%20forged=1%1b[2J")
        wait_until(lambda: lines(caplog))
    text = TextLines().format(lines(caplog)[-1])

    assert "\n" not in text and "\x1b" not in text
    assert "\\n12:00:00" in text
