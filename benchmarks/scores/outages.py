"""Faults of the database, of its disk, and of what a service finds when it starts."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.scores.disturbances import VOICES, why
from benchmarks.scores.lives import Lives, Nature
from tests.service.forms import recording
from tests.service.postgres import PostgresServer, missing

KEYS = "/admin/keys"


def locked(lives: Lives, number: int) -> str:
    """Another program holds SQLite's lock: speech and lists go on, writers wait and then are told."""
    database = lives.sqlite()
    with lives.one(database=database) as life, closing(_connection(database)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        spoken, listed = life.speak().status, life.ask("GET", VOICES).status
        began = time.monotonic()
        busy = life.ask("PUT", "/api/speaker", {"speaker": "tom"})
        waited = time.monotonic() - began
        holder.execute("ROLLBACK")
        after = life.ask("PUT", "/api/speaker", {"speaker": "tom"}).status
    return why(
        (spoken == listed == 200, f"speech {spoken}, lists {listed}"),
        (busy.status == 503 and "retry-after" in busy.headers, f"a writer was told {busy.status}"),
        (4 < waited < 12, f"a writer waited {waited:.1f} s"),
        (after == 200, f"afterwards {after}"),
    )


def _connection(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def full(lives: Lives, number: int) -> str:
    """No file may grow: speech and reading go on, writing is refused, and nothing is half there."""
    database = lives.sqlite()
    with lives.one(database=database, require_consent=False) as life:
        life.ask("PUT", "/api/speaker", {"speaker": "tom"})
    most = max(path.stat().st_size for path in Path(database).parent.iterdir()) + 8_192
    sound, small = recording(seconds=8.0), Nature(limits={resource.RLIMIT_FSIZE: most})
    with lives.one(small, database=database, require_consent=False) as life:
        made = [life.post(VOICES, name=f"voice {at}", audio_sample=sound).status for at in range(2)]
        spoken, listed = life.speak().status, life.ask("GET", VOICES)
    with lives.one(database=database, require_consent=False) as life:
        after = life.post(VOICES, name="voice 9", audio_sample=recording(seconds=2.0)).status
    with closing(_connection(database)) as connection:
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return why(
        (507 in made, f"writing was answered {made}"),
        (spoken == listed.status == 200, f"speech {spoken}, lists {listed.status}"),
        (after == 200, f"with room again: {after}"),
        (integrity == "ok", f"the database says {integrity}"),
    )


def started_together(lives: Lives, number: int) -> str:
    """Four services start on one empty database at once: one schema, all of them serve."""
    database = lives.sqlite()
    with ThreadPoolExecutor(4) as threads:
        begun = list(threads.map(lambda _: lives.begin(database=database), range(4)))
    statuses = [life.ask("PUT", "/api/speaker", {"speaker": "tom"}).status for life in begun]
    for life in begun:
        life.kill()
    return why((statuses == [200] * 4, f"they answer {statuses}"))


def killed_while_migrating(lives: Lives, number: int) -> str:
    """Kill a process while it changes the schema: the next one finds the old or the new one, and all rows."""
    database = lives.sqlite()
    lives.call(_old_schema, database)
    ours, theirs = lives.pipe()
    process = lives.run(_migrate, database, theirs)
    theirs.close()
    ours.recv()
    time.sleep(0.004 * number)
    process.kill()
    process.join()
    found = lives.call(_names, database)
    return why((found == ["ann"], f"the accounts are {found}"))


def _old_schema(database: str) -> None:
    from sqlalchemy import text

    from cosyrt.service.engines import make_engine, parse_url
    from cosyrt.service.migrate import revisions, upgrade_to

    engine = make_engine(parse_url(database), migrating=True)
    with engine.begin() as connection:
        upgrade_to(connection, revisions()[0])
        connection.execute(text("INSERT INTO accounts (id, name, created_at) VALUES ('acct_1', 'ann', 1)"))
    engine.dispose()


def _migrate(database: str, begun: Connection) -> None:
    from cosyrt.service.engines import parse_url
    from cosyrt.service.migrate import migrate

    begun.send(True)
    migrate(parse_url(database))


def _names(database: str) -> list[str]:
    from cosyrt.service.account_list import list_accounts
    from cosyrt.service.store import Store

    with Store(database) as store:
        return [each.name for each in list_accounts(store) if each.name != "local"]


def gone(lives: Lives, number: int) -> str:
    """PostgreSQL is killed: known keys go on, new work is told to come back, all is well after its start."""
    if missing():
        return f"it could not be tried: {missing()}"
    postgres = PostgresServer()
    try:
        with lives.one(database=postgres.url()) as life:
            key = life.ask("POST", KEYS, {"name": "boss", "scopes": ["admin"]}).json["key"]
            life.speak(key=key)
            postgres.kill()
            spoken, refused = life.speak(key=key).status, life.ask("POST", KEYS, {"name": "x"}, key)
            postgres.start()
            back = life.wait(lambda: life.ask("POST", KEYS, {"name": "y"}, key).status == 200, 10)
    finally:
        postgres.stop()
    return why(
        (spoken == 200, f"a known key got {spoken}"),
        (refused.status == 503 and "retry-after" in refused.headers, f"new work got {refused.status}"),
        (back, "it does not write again"),
    )


def nothing_to_load(lives: Lives, number: int) -> str:
    """A model folder that is damaged: the program ends at once, with one line that says why."""
    folder = lives.folder / f"damaged-{number}"
    folder.mkdir()
    if number % 2:
        (folder / "cosyvoice2.yaml").write_text("a: !!python/object/apply:os.system ['true']")
    command = [sys.executable, "-m", "cosyrt", "serve", "--port", "0", "--model", str(folder)]
    environment = os.environ | {"COSYRT_SERVE_DATABASE": lives.sqlite()}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    said = ended.stderr.strip()
    return why(
        (ended.returncode == 3, f"the exit code is {ended.returncode}"),
        (str(folder) in said.splitlines()[-1], f"it says {said[-300:]!r}"),
        ("Traceback" not in said, f"a traceback: {said[-300:]!r}"),
    )


ALL: dict[str, Callable[[Lives, int], str]] = {
    "a database that is locked": locked,
    "a disk that is full": full,
    "four starts at once": started_together,
    "killed while the schema changes": killed_while_migrating,
    "PostgreSQL gone": gone,
    "a model that is damaged": nothing_to_load,
}
