"""The database that commands work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.cli.store import open_store


def test_a_command_opens_the_database_that_it_is_given(tmp_path: Path) -> None:
    """The file is made where it was asked for."""
    with open_store(str(tmp_path / "mine.db")):
        pass
    assert (tmp_path / "mine.db").is_file()


def test_a_command_without_one_opens_that_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default it is the one that `cosyrt serve` would use."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with open_store(None) as store:
        assert store.url.database == str(tmp_path / "cosyrt" / "service.db")
