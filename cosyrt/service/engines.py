"""A database URL → an SQLAlchemy engine: writers wait for each other, and nothing waits for ever.

SQLite: a write-ahead log, so that readers never wait; `BEGIN IMMEDIATE` for whoever writes, since a
transaction that reads first and then wants to write fails at once when another has written meanwhile; each
commit reaches the disk; what is deleted is overwritten. PostgreSQL: limits on connecting, on a statement and
on waiting for a lock, and a look at each pooled connection before it is used.
"""

from __future__ import annotations

import os
import sqlite3
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from cosyrt.errors import MissingDependency, UsageError
from cosyrt.files import data_folder

BUSY_S = 5.0  # a writer waits so long for another
POOL_WAIT_S = 2.0
CONNECTIONS = 12  # at most, of one process
RECYCLE_S = 1_800
WRITES = "cosyrt_writes"  # the execution option of an engine whose transactions write
WAL_LIMIT_BYTES = 64 << 20
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
}
# -c options of a connection, in milliseconds; TCP gives up on a peer that acknowledges nothing
POSTGRES_OPTIONS = (
    "-c statement_timeout=5000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000"
)
POSTGRES_CONNECT: dict[str, Any] = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
    "options": POSTGRES_OPTIONS,
    "application_name": "cosyrt",
}
_GIVE = "give sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"


def default_url() -> str:
    """The SQLite file in the folder where this system keeps a user's data.

    Raises:
        UsageError: this user has no home folder.
    """
    try:
        return f"sqlite:///{data_folder() / 'service.db'}"
    except RuntimeError as error:
        raise UsageError("this user has no home folder; give the database's URL with --database") from error


def parse_url(text: str) -> URL:
    """The URL of a database; a plain path is that of an SQLite file.

    Raises:
        UsageError: of another kind of database, or no URL. MissingDependency: the driver is not installed.
    """
    try:
        url = make_url(text if "://" in text else f"sqlite:///{Path(text).expanduser()}")
    except ArgumentError as error:
        raise UsageError(
            "the URL of the database cannot be read; give sqlite:///PATH or postgresql://…"
        ) from error
    name = "postgresql" if url.drivername == "postgres" else url.drivername.partition("+")[0]
    if name == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(drivername="sqlite")
    if name != "postgresql":
        raise UsageError(f"cannot use the database {shown_url(url)}; {_GIVE}")
    if find_spec("psycopg") is None:
        raise MissingDependency("PostgreSQL needs psycopg; install it: pip install 'cosyrt[postgres]'")
    return url.set(drivername="postgresql+psycopg")


def shown_url(url: URL) -> str:
    """The URL without its password."""
    return url.render_as_string(hide_password=True)


def make_engine(url: URL, *, migrating: bool = False) -> Engine:
    """An engine for that URL. One for `migrating` has no limits of time, and SQLite's foreign keys are off.

    Raises:
        UsageError: SQLite's file lies in a folder of another machine, or the folder cannot be made.
    """
    return (_sqlite if url.get_backend_name() == "sqlite" else _postgres)(url, migrating)


def is_sqlite(engine: Engine | Connection) -> bool:
    """Tell whether the database is SQLite."""
    return engine.dialect.name == "sqlite"


def _postgres(url: URL, migrating: bool) -> Engine:
    if migrating:  # whoever waits for another's migration waits as long as that takes
        settings = {**POSTGRES_CONNECT, "options": ""}
        return create_engine(url, poolclass=NullPool, connect_args=settings)
    return create_engine(
        url,
        connect_args=POSTGRES_CONNECT,
        pool_size=CONNECTIONS // 2,
        max_overflow=CONNECTIONS // 2,
        pool_timeout=POOL_WAIT_S,
        pool_pre_ping=True,
        pool_recycle=RECYCLE_S,
    )


def _sqlite(url: URL, migrating: bool) -> Engine:
    _check_folder(sqlite_path(url))
    connect = {"timeout": BUSY_S, "check_same_thread": False}
    if migrating:
        engine = create_engine(url, poolclass=NullPool, connect_args=connect)
    else:
        engine = create_engine(
            url,
            connect_args=connect,
            pool_size=CONNECTIONS // 2,
            max_overflow=CONNECTIONS // 2,
            pool_timeout=POOL_WAIT_S,
        )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        _use_wal(connection)
        for pragma in (
            "synchronous=FULL",
            f"foreign_keys={'OFF' if migrating else 'ON'}",
            "trusted_schema=OFF",
            "secure_delete=ON",
            f"journal_size_limit={WAL_LIMIT_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, migrating)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def sqlite_path(url: URL) -> Path:
    """The file of an SQLite database."""
    return Path(url.database or "").absolute()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait for another process that is just doing so."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _check_folder(path: Path) -> None:
    """Make the folder of the file, for its owner alone, and refuse one that lies on another machine."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():  # it holds what keys are recognised by, and voices
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise UsageError(f"cannot make {path}: {error.strerror or error}; give another database") from error
    kind = file_system(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        raise UsageError(
            f"{path} lies on {kind}, where SQLite's locks do not hold; use a local folder or PostgreSQL"
        )


def file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on, as the system calls it; empty where it does not say."""
    import psutil

    mounts = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    real = folder.resolve()
    return next((mounts[each] for each in (real, *real.parents) if each in mounts), "")
