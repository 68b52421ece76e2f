"""The store: transactions happen whole or not at all, from threads and processes, on both databases."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from cosyrt.service import store as store_module
from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.schema import AccountRow, Topic, VersionRow
from cosyrt.service.store import Store, mark_changed
from tests.service.writers import add_account, increment, names


def test_what_was_written_is_read_and_survives_a_restart(store: Store, database: str) -> None:
    """A committed row is there in a store that is opened again."""
    store.write(lambda session: add_account(session, "ann"))
    assert names(store) == ["ann"]
    with Store(database) as again:
        assert names(again) == ["ann"]


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """All that a function wrote before it failed is undone."""

    def work(session: Session) -> None:
        add_account(session, "ann")
        session.flush()
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        store.write(work)
    assert names(store) == []


def test_writers_that_read_first_lose_nothing(store: Store) -> None:
    """Eight threads read a number and write the next one: none fails, none overwrites another."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: store.write(increment), range(80)))

    assert store.version(Topic.KEYS) == 80


def test_processes_share_a_database(database: str) -> None:
    """Three processes start on an empty database at once and write: one schema, nothing lost."""
    command = [sys.executable, "-m", "tests.service.writers", database]
    processes = [subprocess.Popen(command) for _ in range(3)]

    assert [process.wait() for process in processes] == [0, 0, 0]
    with Store(database) as store:
        assert store.version(Topic.KEYS) == 90


def test_a_killed_process_loses_no_committed_row(database: str) -> None:
    """What a process said is written is there after it was killed; at most the next row is there too."""
    with Store(database):
        pass
    for life in ("a", "b"):
        command = [sys.executable, "-m", "tests.service.writers", database, life]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(20)]
            process.kill()
            told += process.stdout.readlines()
        last = max(int(line) for line in told if line.endswith("\n"))
        with Store(database) as store:
            found = {int(name.partition("-")[2]) for name in names(store) if name.startswith(life)}
        assert found in (set(range(last + 1)), set(range(last + 2)))


def test_a_reader_sees_one_state_of_the_database(store: Store) -> None:
    """What another commits while a function reads is seen by the next one, not by this one."""

    def twice(session: Session) -> list[int]:
        query = select(VersionRow.number).where(VersionRow.topic == Topic.KEYS)
        first = session.scalars(query).one()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(store.write, increment).result()
        return [first, session.scalars(query).one()]

    assert store.read(twice) == [0, 0]
    assert store.version(Topic.KEYS) == 1


def test_a_change_is_seen_by_other_processes_through_its_number(store: Store, database: str) -> None:
    """The number of a topic grows with each change, that of another topic does not."""
    with Store(database) as other:
        store.write(lambda session: mark_changed(session, Topic.VOICES))
        assert (other.version(Topic.VOICES), other.version(Topic.KEYS)) == (1, 0)


def test_the_loop_runs_on_while_the_database_works(store: Store) -> None:
    """`run` and `change` answer in a coroutine what the functions return or raise."""

    async def main() -> list[str]:
        await store.change(store.write, lambda session: add_account(session, "ann"))
        with pytest.raises(LookupError):
            await store.change(store.write, lambda session: {}["nothing"])
        return await store.run(names, store)

    assert asyncio.run(main()) == ["ann"]


def test_calls_that_would_wait_too_long_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When many calls wait already, the next one is told to come back instead of waiting as well."""
    monkeypatch.setattr(store_module, "MAX_WAITING", 3)
    held = threading.Event()

    async def main(store: Store) -> None:
        waiting = [asyncio.create_task(store.run(held.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="busy") as refused:
            await store.run(names, store)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 1.0)
        held.set()
        await asyncio.gather(*waiting)
        assert await store.run(names, store) == []

    with Store(str(tmp_path / "service.db")) as store:
        asyncio.run(main(store))


def test_a_call_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller hears in time that the database does not answer, though the call still hangs."""
    monkeypatch.setattr(store_module, "LONGEST_S", 0.05)
    held = threading.Event()

    async def main(store: Store) -> None:
        with pytest.raises(StoreUnavailable, match="in time"):
            await store.run(held.wait)

    with Store(str(tmp_path / "service.db")) as store:
        asyncio.run(main(store))
        held.set()


def test_what_was_deleted_is_not_in_the_file_any_more(tmp_path: Path) -> None:
    """After a row is deleted and the log emptied, no file of the folder holds its bytes."""
    with Store(str(tmp_path / "service.db")) as store:
        store.write(lambda session: add_account(session, "a-very-telling-name"))
        store.write(lambda session: session.delete(session.get_one(AccountRow, "acct_a-very-telling-name")))
        store.erase_freed()
        assert [path.name for path in tmp_path.iterdir() if b"telling" in path.read_bytes()] == []
