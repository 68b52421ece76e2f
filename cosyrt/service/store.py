"""The store: everything that the service keeps, in SQLite or PostgreSQL. Read this before what stands on it.

`read` and `write` run a function in one transaction: all of it happens or nothing does. They wait, so the
event loop calls them through `run` and `change`, in a few threads; speech never waits for the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

from sqlalchemy import URL, Engine, event, select, text, update
from sqlalchemy.orm import Session

from cosyrt.service.call_watch import CallWatch, hang_up
from cosyrt.service.engines import BUSY_S, WRITES, is_sqlite, make_engine, parse_url
from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.migrate import migrate
from cosyrt.service.schema import Topic, VersionRow
from cosyrt.service.store_errors import BUSY, translated

T = TypeVar("T")
P = ParamSpec("P")

THREADS = 4  # that read, and as many that write
MAX_WAITING = 100  # calls; more are refused at once
LONGEST_S = 2 * BUSY_S  # of a call, its wait for a thread included


def wall_clock() -> int:
    """Whole seconds since 1970 UTC."""
    return int(time.time())


class Store:
    """An open database of the newest schema.

    Raises:
        UsageError: a URL that cannot be used, or a database of a newer version of the program.
        StoreUnavailable: the database does not answer.
    """

    def __init__(self, url: str, *, now: Callable[[], int] = wall_clock) -> None:
        self.url: URL = parse_url(url)
        self.now = now
        with translated():
            migrate(self.url)
        self.engine = make_engine(self.url)
        self._connections: WeakSet[Any] = WeakSet()
        event.listen(self.engine, "connect", lambda connection, _: self._note(connection))
        self._watch = CallWatch(LONGEST_S, self._hang_up)
        # SQLite's readers see one state of the database as they are
        snapshot = {} if is_sqlite(self.engine) else {"isolation_level": "REPEATABLE READ"}
        self._reading = self.engine.execution_options(**snapshot)
        self._writing = self.engine.execution_options(**{WRITES: True})
        self._readers = _Threads("cosyrt-store-read")
        self._writers = _Threads("cosyrt-store-write")

    def read(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, from one look at the database that no writer changes meanwhile.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with self._session(self._reading) as session:
            return work(session)

    def write(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, once all that it changed is safely on the disk; if it raises, nothing is.

        Raises:
            StoreUnavailable: the database does not answer, or another writer held it for too long.
            StoreFull: its disk is full.
        """
        with self._session(self._writing) as session:
            return work(session)

    def version(self, topic: Topic) -> int:
        """The number that has grown with each change of a topic, in whatever process it was made."""
        query = select(VersionRow.number).where(VersionRow.topic == topic)
        return self.read(lambda session: session.scalars(query).one())

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that reads, in a thread; the loop runs on.

        Raises:
            StoreUnavailable: too many wait already, or it takes too long. Else what the function raises.
        """
        return await self._readers.run(lambda: call(*args, **kwargs))

    async def change(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that writes, in a thread of its own kind: readers never queue behind writers."""
        return await self._writers.run(lambda: call(*args, **kwargs))

    def erase_freed(self) -> None:
        """Empty SQLite's write-ahead log, so that nothing that was deleted can be found there any more."""
        if is_sqlite(self.engine):
            with translated(), self.engine.connect() as connection:
                connection.connection.driver_connection.execute(  # type: ignore[union-attr]
                    "PRAGMA wal_checkpoint(TRUNCATE)"
                )

    def check_writable(self) -> None:
        """Write nothing, as a transaction that could.

        Raises:
            StoreUnavailable, StoreFull: it cannot.
        """
        self.write(lambda session: session.execute(text("SELECT 1")))

    def close(self) -> None:
        """Wait for what is under way, then let go of the database."""
        self._readers.close()
        self._writers.close()
        self._watch.close()
        self.engine.dispose()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        """One transaction, whose errors are ours, and which does not wait for ever."""
        with (
            translated(),
            self._watch.call(),
            Session(engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def _note(self, connection: Any) -> None:
        if not is_sqlite(self.engine):  # SQLite ends its waits itself
            self._connections.add(connection)

    def _hang_up(self) -> None:
        """Close the connections of a database that has not answered for too long; new ones are opened."""
        for connection in list(self._connections):
            hang_up(connection)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def mark_changed(session: Session, topic: Topic) -> None:
    """Tell every process, with the commit of this transaction, that what it keeps of a topic is old."""
    session.execute(update(VersionRow).where(VersionRow.topic == topic).values(number=VersionRow.number + 1))


class _Threads:
    """A few threads, a bounded number of calls that wait for them, and a limit of time for each."""

    def __init__(self, name: str) -> None:
        self._pool: Executor = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._waiting = 0

    async def run(self, call: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise StoreUnavailable("the database is busy; try again", code=BUSY)
        self._waiting += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, call)
            return await asyncio.wait_for(future, LONGEST_S)
        except TimeoutError as error:
            raise StoreUnavailable("the database does not answer in time; try again") from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
