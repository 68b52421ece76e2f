"""From settings to a service and back: what was opened is closed, in the opposite order."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import ModelNotFound, UsageError
from cosyrt.service.settings import Settings
from cosyrt.service.start import loaded, opened
from cosyrt.service.store import Store
from tests.service.served import serving
from tests.threads import Started


def test_nothing_is_left_of_a_service(tiny: Pipeline) -> None:
    """Threads of a service have ended when it has, though it spoke."""
    started = Started()
    with serving(tiny) as served:
        assert served.speak("Hi.").status == 200

    assert not started("")


def test_a_model_that_is_none(tmp_path: Path) -> None:
    """The error is that of the folder, and the database is closed."""
    settings = Settings(model=str(tmp_path / "nothing"), database=str(tmp_path / "service.db"))
    with pytest.raises(ModelNotFound), opened(settings):
        pass
    with Store(str(tmp_path / "service.db")):
        pass


def test_the_model_of_the_settings(tiny_folder: Path) -> None:
    """Folder and device are those of the settings; a device that is none is refused."""
    assert loaded(Settings(model=str(tiny_folder), device="cpu")).device == "cpu"
    with pytest.raises(UsageError):
        loaded(Settings(model=str(tiny_folder), device="quantum"))


def test_the_limits_of_the_settings(tiny: Pipeline) -> None:
    """The scheduler takes as many as the settings say."""
    with serving(tiny, max_active=2, max_queue=3) as served:
        load = served.service.scheduler.load()

    assert (load.max_active, load.max_queue) == (2, 3)
