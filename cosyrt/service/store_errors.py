"""What a database's errors mean to a caller: it is busy, its disk is full, or it does not answer."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cosyrt.errors import one_line
from cosyrt.service.errors import BadRequest, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

BUSY = "database_busy"
_PRIMARY = 0xFF  # the lower byte of SQLite's codes is the kind, the rest its details
_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
}  # a write that a quota or a limit forbids is the second
# PostgreSQL: lock not available, statement cancelled by its limit, deadlock, serialization
_POSTGRES_BUSY = {"55P03", "57014", "40P01", "40001"}
_POSTGRES_FULL = {"53100"}


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of a database that cannot serve now into ours; a violated constraint stays what it is.

    Raises:
        StoreUnavailable, StoreFull: as said. BadRequest: a text that no database can hold.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("the database is busy; try again", code=BUSY) from error
    except (IntegrityError, ProgrammingError):
        raise
    except (DataError, UnicodeEncodeError) as error:  # NUL, half a character, too many of them
        raise BadRequest("a text has characters that cannot be kept; leave them out") from error
    except DBAPIError as error:
        raise _meaning(error) from error


def _meaning(error: DBAPIError) -> StoreUnavailable:
    cause = error.orig
    log.warning("the database failed: %s", one_line(cause, 200))
    sqlite_kind = getattr(cause, "sqlite_errorcode", 0) & _PRIMARY
    state = getattr(cause, "sqlstate", None)
    if sqlite_kind in _SQLITE_BUSY or state in _POSTGRES_BUSY:
        return StoreUnavailable("the database is busy; try again", code=BUSY)
    if sqlite_kind in _SQLITE_FULL or state in _POSTGRES_FULL:
        return StoreFull("the disk of the database is full; nothing can be kept until there is room")
    return StoreUnavailable("the database does not answer; try again")
