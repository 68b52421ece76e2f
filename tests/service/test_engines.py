"""Database URLs: what is understood, what is refused, and how a connection is set up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cosyrt.errors import MissingDependency, UsageError
from cosyrt.service import engines
from cosyrt.service.engines import default_url, file_system, make_engine, parse_url, shown_url, sqlite_path


def test_a_path_and_a_url_are_understood(tmp_path: Path) -> None:
    """A plain path is an SQLite file; the names that PostgreSQL's own programs take are PostgreSQL."""
    path = tmp_path / "a.db"
    assert sqlite_path(parse_url(str(path))) == sqlite_path(parse_url(f"sqlite:///{path}")) == path
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        assert parse_url(f"{scheme}://u:secret@h:5/d").drivername == "postgresql+psycopg"


@pytest.mark.parametrize("text", ["mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused_without_their_password(text: str) -> None:
    """A database that cannot be used is named in one line that says what can, and hides the password."""
    with pytest.raises(UsageError, match="give sqlite:///PATH or postgresql://") as refused:
        parse_url(text)
    assert "u:secret" not in str(refused.value)


def test_postgres_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where psycopg is not installed the line says which extra to install."""
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"cosyrt\[postgres\]"):
        parse_url("postgresql://h/d")


def test_a_password_is_not_shown() -> None:
    """What is printed at start has no secret."""
    assert shown_url(parse_url("postgresql://u:secret@h/d")) == "postgresql+psycopg://u:***@h/d"


def test_an_sqlite_file_is_its_owners_and_safe(tmp_path: Path) -> None:
    """The file is made for its owner alone, and each connection waits, syncs and erases."""
    url = parse_url(str(tmp_path / "made" / "service.db"))
    engine = make_engine(url)
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
    }
    with engine.connect() as connection:
        for pragma, value in expected.items():
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5_000
    engine.dispose()
    assert sqlite_path(url).stat().st_mode & 0o077 == 0


def test_a_network_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks do not hold there, so that the line names a local folder and PostgreSQL."""
    assert file_system(tmp_path) not in engines.NETWORK_FILE_SYSTEMS
    monkeypatch.setattr(engines, "file_system", lambda folder: "nfs4")
    with pytest.raises(UsageError, match="lies on nfs4, where SQLite's locks do not hold"):
        make_engine(parse_url(str(tmp_path / "service.db")))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file where a folder should be is one line of error."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot make .*service.db: File exists; give another"):
        make_engine(parse_url(str(tmp_path / "file" / "service.db")))


def test_by_default_the_database_is_in_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a URL it is an SQLite file where the system keeps a user's data."""
    if os.name != "posix":
        pytest.skip("XDG is POSIX's")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert sqlite_path(parse_url(default_url())) == tmp_path / "cosyrt" / "service.db"
