"""Real parts for the tests of the service: a server on a port, an SQLite file, and PostgreSQL where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.accounts import Accounts
from cosyrt.service.callers import Caller
from cosyrt.service.store import Store
from tests.service.postgres import PostgresServer, missing
from tests.service.served import Served, serving


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that all tests of a run share."""
    if reason := missing():
        pytest.skip(reason)
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url()


class Clock:
    """Wall time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the store of a test."""
    return Clock()


@pytest.fixture
def store(database: str, clock: Clock) -> Iterator[Store]:
    """An open store of either kind, empty."""
    with Store(database, now=clock) as opened:
        yield opened


@pytest.fixture(scope="package")
def served(tiny: Pipeline) -> Iterator[Served]:
    """The tiny model, served without keys and with the default settings."""
    with serving(tiny) as each:
        yield each


@pytest.fixture
def ann(store: Store) -> Caller:
    """A user."""
    return user(store, "ann")


@pytest.fixture
def bob(store: Store) -> Caller:
    """Another user."""
    return user(store, "bob")


def user(store: Store, name: str) -> Caller:
    accounts = Accounts(store)
    return asyncio.run(accounts.authenticate(accounts.add_key(name)[1]))
