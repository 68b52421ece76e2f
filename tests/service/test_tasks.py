"""The tasks of a service: consents end, gone voices are forgotten, new ones of the command line come in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.consents import NewConsent
from cosyrt.service.errors import StoreFull
from cosyrt.service.housekeeping import Housekeeper
from cosyrt.service.tasks import tasks_of
from cosyrt.voice.library import VoiceLibrary
from tests.service.served import serving
from tests.voice.test_voice import voice


def test_an_expired_voice_is_forgotten_by_the_engine(
    tiny: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute after its consent ended neither the database nor the engine holds anything of a voice."""
    monkeypatch.setattr(tiny, "registered", VoiceLibrary(tmp_path / "voices"))
    with serving(tiny) as served:
        service, now = served.service, served.service.store.now()
        consent = service.consents.add(LOCAL_CALLER, NewConsent(name="x", language="en", expires_at=now + 60))
        made = voice(name="brief")
        service.voices.add(LOCAL_CALLER, made, consent_id=consent.id)
        assert served.speak(voice="brief").status == 200
        assert made.digest in tiny.conditions._known

        monkeypatch.setattr(service.store, "now", lambda: now + 61)
        keeper = Housekeeper(tasks_of(service))
        keeper.tidy()
        assert keeper.failing == {}
        assert made.digest not in tiny.conditions._known
        assert served.speak(voice="brief").status == 404


def test_a_voice_of_the_command_line_comes_in_while_serving(
    tiny: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `cosyrt voices add` registers is spoken with a minute later, without a restart."""
    library = VoiceLibrary(tmp_path / "voices")
    monkeypatch.setattr(tiny, "registered", library)
    with serving(tiny) as served:
        assert served.speak(voice="kim").status == 404
        library.add(voice(name="kim"))
        Housekeeper(tasks_of(served.service)).tidy()
        assert served.speak(voice="kim").status == 200


def test_a_full_disk_is_told_by_ready(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches the service sees that nothing can be kept; it speaks on."""
    with serving(tiny) as served:
        keeper = Housekeeper(tasks_of(served.service))

        def full(_: object) -> None:
            raise StoreFull("the disk of the database is full")

        with monkeypatch.context() as patch:
            patch.setattr(served.service.store, "write", full)
            keeper.tidy()
            assert "full" in served.ask("GET", "/ready").json["database"]
            assert served.speak().status == 200
        keeper.tidy()
        assert served.ask("GET", "/ready").json["database"] == "ok"
