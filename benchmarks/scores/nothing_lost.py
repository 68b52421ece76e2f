"""S5: whatever was acknowledged is there after every kill, once, and whole.

Three ways to die: the store's process, the service with its clients, and PostgreSQL under a running service.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.scores.clients import KEYS, Clients
from benchmarks.scores.ledger import Ledger, compare
from benchmarks.scores.lives import Lives
from benchmarks.scores.score import Score, Tell
from benchmarks.scores.store_writers import write
from tests.service.postgres import PostgresServer, missing

NAME, TITLE = "S5", "Nothing lost"
ROOM: dict[str, Any] = {"require_consent": False, "max_voices": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How often who is killed, on each kind of database."""

    store_kills: int
    service_kills: int
    database_kills: int
    databases: tuple[str, ...] = ("SQLite", "PostgreSQL")
    longest_s: float = 0.25  # that a store is written to; a service lives up to eight times as long
    seed: int = 0


FAST = Amount(store_kills=3, service_kills=1, database_kills=0, databases=("SQLite",))
FULL = Amount(store_kills=200, service_kills=30, database_kills=5)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Kill, look, and say what was found."""
    found = Score(NAME, TITLE)
    if "SQLite" in amount.databases:
        _Kills("SQLite", lives.sqlite, lives, amount, tell, found).processes(0.25, 0.5)
    if "PostgreSQL" not in amount.databases:
        return found
    if missing():
        found.figures.append(f"PostgreSQL left out: {missing()}")
        return found
    postgres = PostgresServer()
    try:
        kills = _Kills("PostgreSQL", postgres.url, lives, amount, tell, found)
        kills.processes(0.7, 0.9)
        kills.servers(postgres)
    finally:
        postgres.stop()
    return found


class _Kills:
    """The kills on one kind of database, and what they left."""

    def __init__(
        self, kind: str, new: Callable[[], str], lives: Lives, amount: Amount, tell: Tell, found: Score
    ) -> None:
        self.kind, self.new, self.lives = kind, new, lives
        self.amount, self.tell, self.found = amount, tell, found
        self.chance = random.Random(amount.seed)

    def processes(self, first: float, second: float) -> None:
        """Kill processes that write to a store, then services, until those shares of the time are over."""
        self._writers(first)
        self._services(second)

    def _writers(self, share: float) -> None:
        url, ledger, kills = self.new(), self._ledger("writers"), 0
        for kills in self.found.rounds(self.amount.store_kills, share):
            ours, theirs = self.lives.pipe()
            process = self.lives.run(write, url, str(ledger.path), f"life{kills}", theirs)
            theirs.close()
            ours.recv()
            time.sleep(self.chance.uniform(0, self.amount.longest_s))
            process.kill()
            process.join()
            self.tell(f"{self.kind}: {kills + 1} of {self.amount.store_kills} writers killed")
        self._report("writers", kills + 1, url, ledger)

    def _services(self, share: float) -> None:
        """Kill services; a last one lives until its clients have been told of all that they asked for."""
        url, ledger, kills = self.new(), self._ledger("services"), 0
        clients = Clients(ledger)
        for kills in self.found.rounds(self.amount.service_kills, share):
            life = self.lives.begin(database=url, **ROOM)
            if not clients.key:
                clients.start(life)
            clients.life = life
            time.sleep(self.chance.uniform(0.1, 8 * self.amount.longest_s))
            life.kill()
            clients.life = None
            self.tell(f"{self.kind}: {kills + 1} of {self.amount.service_kills} services killed")
        with self.lives.one(database=url, **ROOM) as clients.life:
            time.sleep(2 * self.amount.longest_s)
            clients.stop()
        self.found.surprises += clients.surprises[:5]
        self._report("services", kills + 1, url, ledger)

    def servers(self, postgres: PostgresServer) -> None:
        """Kill PostgreSQL under a service, which speaks on, and writes again when the server is back."""
        url, ledger, kills = self.new(), self._ledger("servers"), 0
        clients, back = Clients(ledger), [0.0]
        with self.lives.one(database=url, **ROOM) as life:
            clients.start(life)
            for kills in self.found.rounds(self.amount.database_kills):
                time.sleep(self.chance.uniform(0.1, 4 * self.amount.longest_s))
                postgres.kill()
                spoken = life.speak(key=clients.key).status  # 503 where keys were changed just before
                self.found.expect(spoken in (200, 503), f"speech while the database is gone: {spoken}")
                postgres.start()
                began = time.monotonic()
                life.wait(lambda: life.ask("POST", KEYS, {"name": "back"}, clients.key).status == 200)
                back.append(time.monotonic() - began)
                self.tell(f"{kills + 1} of {self.amount.database_kills} servers killed")
            time.sleep(2 * self.amount.longest_s)
            clients.stop()
        self.found.surprises += clients.surprises[:5]
        self._report("the server itself", kills + 1, url, ledger)
        self.found.figures.append(f"writing again {max(back):.1f} s after its start at the latest")

    def _ledger(self, what: str) -> Ledger:
        return Ledger(self.lives.folder / f"ledger-{what}-{self.kind}")

    def _report(self, what: str, kills: int, url: str, ledger: Ledger) -> None:
        where, findings = f"{self.kind}, {what}", compare(url, ledger)
        self.found.expect(findings.told, f"{where}: nothing was ever acknowledged")
        self.found.figures.append(
            f"{where}: {kills} kills, {findings.told} acknowledged, {len(findings.lost)} lost, "
            f"{len(findings.twice)} twice, {sum(findings.halves.values())} halves"
        )
        findings.into(self.found, where)
