"""Shapes of requests and errors: whatever a client sends, it is understood or refused in OpenAI's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import cosyrt.errors
from cosyrt.errors import (
    Busy,
    CosyrtError,
    DeadlineError,
    ReplicaLost,
    SpeechError,
    TextError,
    VoiceError,
    VoiceNotFound,
)
from cosyrt.service.errors import NotAuthenticated
from cosyrt.service.wire import SpeechBody, answer_to, answer_to_fields, error_body, error_headers

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(sorted(SpeechBody.model_fields)) | st.text(max_size=8), JSON, max_size=6
)


@given(FIELDS)
def test_any_object_is_a_request_or_a_refusal(fields: dict[str, Any]) -> None:
    """A refusal names a field in one short line; a request has values in their ranges."""
    try:
        body = SpeechBody.model_validate_json(json.dumps({"input": "Hi.", **fields}))
    except ValidationError as error:
        answer = answer_to_fields(error)
        assert answer.status == 400
        assert len(str(answer)) <= 300 and "\n" not in str(answer)
    else:
        assert 0.25 <= body.speed <= 4 and 0 <= body.seed < 2**64 and body.input


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Busy("full", 2.5), 503, "overloaded"),
        (DeadlineError("late"), 504, "timeout"),
        (VoiceNotFound("none"), 404, "voice_not_found"),
        (VoiceError("other"), 400, "invalid_voice"),
        (TextError("empty"), 400, "invalid_text"),
        (SpeechError("failed"), 500, "speech_failed"),
        (NotAuthenticated("who"), 401, "invalid_api_key"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_status(error: CosyrtError, status: int, code: str) -> None:
    """The body has the message, and the headers say whether it is worth coming back."""
    answer = answer_to(error)
    headers = error_headers(answer)

    assert (answer.status, answer.code) == (status, code)
    assert error_body(answer)["error"]["message"] == str(error)
    assert ("Retry-After" in headers) == (status == 503)
    assert headers.get("Retry-After", "3") == "3"  # rounded up: sooner would be too soon
    assert headers.get("retry-after-ms", "2500") == "2500"
    assert headers.get("x-should-retry") == ("false" if status in (500, 504) else None)


def test_every_error_of_ours_has_an_answer() -> None:
    """No class of errors.py is forgotten: each has a status of its own kind."""
    kinds = [
        each
        for each in vars(cosyrt.errors).values()
        if isinstance(each, type) and issubclass(each, CosyrtError)
    ]
    for kind in kinds:
        error = kind("x", 1) if kind in (Busy, ReplicaLost) else kind("x")
        assert answer_to(error).status in (400, 404, 500, 503, 504)
