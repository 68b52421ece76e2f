"""The request log and the audit of labels, written behind the back of speech.

Whoever speaks puts a row into a queue and goes on. A thread writes what has gathered, in one transaction;
while the database does not answer the rows wait, and when too many wait the newest are dropped and counted.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, field

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cosyrt.errors import CosyrtError, kind_and_reason
from cosyrt.service.errors import StoreUnavailable
from cosyrt.service.schema import AuditRow, KeyRow, RequestRow
from cosyrt.service.store import Store

log = logging.getLogger(__name__)

Row = RequestRow | AuditRow

MAX_WAITING = 10_000  # rows
AT_ONCE = 500
GATHER_S = 0.5
LONGEST_PAUSE_S = 5.0  # between attempts while the database does not answer
CLOSE_S = 5.0


@dataclass(slots=True)
class _Batch:
    """Rows that are written together, and the last use of each key among them."""

    rows: list[Row] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def take(self, row: Row) -> None:
        self.rows.append(row)
        if isinstance(row, RequestRow) and row.key_id:
            self.used[row.key_id] = row.at


class Journal:
    """Writes rows in the background; also a context manager, which at its end writes what still waits."""

    def __init__(self, store: Store, *, most: int = MAX_WAITING) -> None:
        self._store = store
        self._waiting: queue.Queue[Row] = queue.Queue(most)
        self._closing = threading.Event()
        self._gives_up_at = float("inf")
        self.dropped = 0  # rows that were never written
        self._thread = threading.Thread(target=self._run, name="cosyrt-journal", daemon=True)
        self._thread.start()

    def write(self, row: Row) -> None:
        """Put a row into the queue; this never waits and never fails."""
        try:
            self._waiting.put_nowait(row)
        except queue.Full:
            self._drop(1)

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what waits, for a few seconds at most; what cannot be written by then is dropped."""
        self._gives_up_at = time.monotonic() + CLOSE_S
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            batch = self._gathered()
            if batch.rows:
                self._write(batch)

    def _gathered(self) -> _Batch:
        """Wait for a row, and a moment longer for those that come with it."""
        batch = _Batch()
        try:
            batch.take(self._waiting.get(timeout=GATHER_S))
            self._closing.wait(GATHER_S)
            while len(batch.rows) < AT_ONCE:
                batch.take(self._waiting.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _write(self, batch: _Batch) -> None:
        """Write a batch, again and again while the database does not answer."""
        pause_s = GATHER_S
        while True:
            try:
                self._store.write(lambda session: _save(session, batch))
                return
            except StoreUnavailable:
                if time.monotonic() + pause_s > self._gives_up_at:
                    self._drop(len(batch.rows))
                    return
                self._closing.wait(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s) if not self._closing.is_set() else GATHER_S
            except (CosyrtError, SQLAlchemyError) as error:
                self._write_singly(batch, error)
                return

    def _write_singly(self, batch: _Batch, error: Exception) -> None:
        """Write the rows one by one, but for those that the database does not take or has already."""
        if len(batch.rows) == 1:
            log.error("a row cannot be kept: %s", kind_and_reason(error, 200))
            self._drop(1)
            return
        for row in batch.rows:
            single = _Batch()
            single.take(row)
            self._write(single)

    def _drop(self, count: int) -> None:
        if not self.dropped:
            log.warning("the database is too slow or gone: requests are no longer written down")
        self.dropped += count


def _save(session: Session, batch: _Batch) -> None:
    session.add_all(batch.rows)
    for key, at in batch.used.items():
        session.execute(update(KeyRow).where(KeyRow.id == key).values(last_used_at=at))
