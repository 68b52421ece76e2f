"""What a service knows of itself: whether it is warm, and what its model can do."""

from __future__ import annotations

import asyncio

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import Busy
from tests.service.served import Served, serving


def test_a_warm_up_that_fails_is_the_reason(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service stays up, is not ready, and says why."""

    def submit(*args: object, **options: object) -> None:
        raise Busy("the device is gone", 1)

    monkeypatch.setattr(served.service, "not_ready", "the model is being warmed up")
    monkeypatch.setattr(served.service.scheduler, "submit", submit)
    asyncio.run(served.service.warm_up())
    answer = served.ask("GET", "/ready")

    assert (answer.status, answer.json["reason"]) == (503, "warming up failed: the device is gone")
    assert served.ask("GET", "/health").status == 200


def test_instructions_are_followed_where_the_model_can(tiny: Pipeline, spelling: Pipeline) -> None:
    """A model without the mark of instructions ignores them, and a header says so; another follows them."""
    kinds = set()
    for pipeline in (tiny, spelling):
        with serving(pipeline) as served:
            kinds.add(served.service.follows_instructions)
            answer = served.speak("Hi.", instructions="Speak softly.", response_format="pcm")
            plain = served.speak("Hi.", response_format="pcm")

            assert answer.status == 200
            if served.service.follows_instructions:
                assert "x-ignored-fields" not in answer.headers
                assert answer.body != plain.body
            else:
                assert answer.headers["x-ignored-fields"] == "instructions"
                assert answer.body == plain.body
    assert kinds == {True, False}
