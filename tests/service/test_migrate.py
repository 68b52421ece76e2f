"""Schemas: every one that was ever released becomes the newest, on both databases, with its rows."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from cosyrt.errors import UsageError
from cosyrt.service.engines import make_engine, parse_url
from cosyrt.service.migrate import migrate, newest_revision, revision_of, revisions, upgrade_to
from cosyrt.service.schema import Base
from cosyrt.service.store import Store
from tests.service.postgres import PostgresServer
from tests.service.writers import names

RELEASED = sorted((Path(__file__).parent / "schemas").glob("*.sql"))


def at_revision(database: str, revision: str) -> None:
    """Make a database of an older schema with one account in it."""
    engine = make_engine(parse_url(database), migrating=True)
    with engine.begin() as connection:
        upgrade_to(connection, revision)
        connection.execute(text("INSERT INTO accounts (id, name, created_at) VALUES ('acct_1', 'ann', 1)"))
    engine.dispose()


@pytest.mark.parametrize("revision", revisions())
def test_every_schema_becomes_the_newest(database: str, revision: str) -> None:
    """From each revision the newest one is reached, and the rows are still there."""
    at_revision(database, revision)
    with Store(database) as store:
        assert names(store) == ["ann"]
        with store.engine.connect() as connection:
            assert revision_of(connection) == newest_revision()


def test_the_migrated_schema_is_that_of_the_tables(store: Store) -> None:
    """What the steps make is what `schema.py` says: columns, types, indexes and constraints."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        checks = {
            table.name: [check["name"] for check in inspect(connection).get_check_constraints(table.name)]
            for table in Base.metadata.tables.values()
        }
    assert checks["current_voices"] == ["ck_current_voices_one"]


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_step_that_was_released_is_not_changed(path: Path, tmp_path: Path) -> None:
    """Each schema is, statement by statement, the one that was kept when it was made."""
    database = tmp_path / "service.db"
    at_revision(str(database), path.stem)
    with sqlite3.connect(database) as connection:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        made = "\n".join(f"{statement};" for (statement,) in connection.execute(query))
    connection.close()
    assert made == path.read_text(encoding="utf-8").strip()


def test_every_schema_is_kept() -> None:
    """Each revision has its file of statements, so that none can be changed unseen."""
    assert [path.stem for path in RELEASED] == revisions()


def test_a_database_of_a_newer_program_is_refused(database: str) -> None:
    """A revision that this program does not know is left as it is, with one line that says what to do."""
    migrate(parse_url(database))
    engine = make_engine(parse_url(database), migrating=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UsageError, match=r"schema 9999, which is newer .*; update cosyrt"):
        Store(database)
    with engine.connect() as connection:
        assert revision_of(connection) == "9999"
    engine.dispose()


def test_programs_that_start_at_once_make_one_schema(database: str) -> None:
    """Four processes on an empty database all start; none meets a table that another is making."""
    code = "import sys; from cosyrt.service.store import Store; Store(sys.argv[1]).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code, database]) for _ in range(4)]

    assert [process.wait() for process in processes] == [0, 0, 0, 0]


def test_a_step_that_fails_changes_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a step breaks off, the database is as it was: no table of it is there."""
    from cosyrt.service import migrate as module

    def broken(connection: object, revision: str) -> None:
        upgrade_to(connection, revision)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "upgrade_to", broken)
    with pytest.raises(KeyboardInterrupt):
        migrate(parse_url(database))
    engine = make_engine(parse_url(database), migrating=True)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


KILLED = """
import os, signal, sys
from cosyrt.service import migrate
from cosyrt.service.engines import parse_url
real = migrate.upgrade_to
def killed(connection, revision):
    real(connection, revision)
    os.kill(os.getpid(), signal.SIGKILL)
migrate.upgrade_to = killed
migrate.migrate(parse_url(sys.argv[1]))
"""


def test_a_process_that_is_killed_in_a_step_leaves_the_old_schema(database: str) -> None:
    """After kill -9 before the commit nothing of the step is there, and the next start does it whole."""
    process = subprocess.run([sys.executable, "-c", KILLED, database], check=False)
    assert process.returncode == -9
    engine = make_engine(parse_url(database), migrating=True)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    with Store(database) as store:
        assert names(store) == []


def test_an_sqlite_file_is_copied_before_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as it was is beside the new one, whole, and for its owner alone."""
    from cosyrt.service import migrate as module

    database = tmp_path / "service.db"
    at_revision(str(database), newest_revision())
    monkeypatch.setattr(module, "newest_revision", lambda: "a later one")
    migrate(parse_url(str(database)))
    [copy] = tmp_path.glob("service.db.before-*")
    assert copy.stat().st_mode & 0o077 == 0
    with sqlite3.connect(copy) as connection:
        found = connection.execute("SELECT name FROM accounts ORDER BY name").fetchall()
    connection.close()
    assert found == [("ann",), ("local",)]


@pytest.mark.slow
def test_a_process_waits_for_one_that_migrates(postgres: PostgresServer) -> None:
    """Who finds PostgreSQL's lock taken waits until it is free, longer than an ordinary call may."""
    url = postgres.url()
    code = "import sys; from cosyrt.service.store import Store; Store(sys.argv[1]).close(); print('done')"
    with psycopg.connect(url) as holder:
        holder.execute(f"SELECT pg_advisory_xact_lock({0x636F7379})")
        process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True)
        while not holder.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert process.poll() is None
        holder.rollback()
    assert process.communicate()[0] == "done\n"
