"""The schema of a database → the newest one, when the service starts: in one transaction, by one process.

The steps are Alembic's, in `migrations/versions`. A process that finds another at work waits for it. A
database of a newer program is refused: what this one would write there could be wrong.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine

from cosyrt.errors import UsageError
from cosyrt.files import locked
from cosyrt.service.engines import is_sqlite, make_engine, sqlite_path

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK = 0x636F7379  # of PostgreSQL's advisory locks, this program's
KEPT_COPY_S = 7 * 86_400


def migrate(url: URL) -> None:
    """Bring a database to the newest schema; a new one gets its tables.

    Raises:
        UsageError: a newer version of the program has made it.
    """
    engine = make_engine(url, migrating=True)
    try:
        with _alone(engine):
            _upgrade(engine)
    finally:
        engine.dispose()


def newest_revision() -> str:
    """The name of the newest schema."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def revisions() -> list[str]:
    """The names of all schemas, oldest first."""
    return [script.revision for script in reversed(list(_scripts().walk_revisions()))]


def upgrade_to(connection: Connection, revision: str) -> None:
    """Run the steps up to a revision on a connection, in its transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's schema; None: it has no tables of ours."""
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        before = revision_of(connection)
    if before == newest_revision():
        return
    if before is not None:
        _check_known(before, engine.url)
        _keep_copy(engine, before)
    with engine.begin() as connection:
        if not is_sqlite(engine):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        upgrade_to(connection, "head")
        _check_references(connection)
    log.info("the database has the schema %s now; before: %s", newest_revision(), before or "none")


def _check_known(revision: str, url: URL) -> None:
    if revision not in revisions():
        raise UsageError(
            f"the database {url.render_as_string()} has the schema {revision}, which is newer than this "
            "program's; update cosyrt, or give another database"
        )


def _check_references(connection: Connection) -> None:
    """Fail, and so undo the step, where a row refers to one that is not there."""
    if is_sqlite(connection):
        assert not connection.exec_driver_sql("PRAGMA foreign_key_check").all()


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold SQLite's folder against other processes that start; PostgreSQL has a lock of its own."""
    with locked(sqlite_path(engine.url).parent) if is_sqlite(engine) else nullcontext():
        yield


def _keep_copy(engine: Engine, revision: str) -> None:
    """Copy an SQLite file before its schema changes, and delete the copies that are a week old."""
    if not is_sqlite(engine):
        return
    path = sqlite_path(engine.url)
    for old in path.parent.glob(f"{path.name}.before-*"):
        if time.time() - old.stat().st_mtime > KEPT_COPY_S:
            old.unlink()
    copy = path.with_name(f"{path.name}.before-{revision}-{int(time.time())}")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("VACUUM INTO ?", (str(copy),))
    copy.chmod(0o600)
    log.warning("the database as it was is kept for a week in %s", copy)


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
