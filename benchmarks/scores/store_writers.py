"""Four writers on a store, in a process that will be killed: keys, consents, voices, and their end."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.scores.ledger import Ledger, numbered
from cosyrt.errors import CosyrtError
from cosyrt.service.accounts import Accounts
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.consents import Consents, NewConsent
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices
from cosyrt.voice.voice import Voice

RECORDING = os.urandom(60_000)  # a second of speech
ROOM = 1_000_000  # voices


class Writers:
    """The deeds of one process, each noted before and after."""

    def __init__(self, store: Store, ledger: Ledger, life: str, voice: Voice) -> None:
        self.store, self.ledger, self.life, self.voice = store, ledger, life, voice
        self.accounts, self.consents = Accounts(store), Consents(store)
        self.voices = StoredVoices(store, None, most=ROOM)

    def key(self, name: str) -> None:
        """Make a key, of a new account."""
        self.ledger.note("meant", "key", name)
        self.accounts.add_key(name)
        self.ledger.note("told", "key", name)

    def consent(self, name: str) -> str:
        """Keep a consent with its recording."""
        self.ledger.note("meant", "consent", name)
        given = NewConsent(name=name, language="en", recording=RECORDING, media_type="audio/wav")
        made = self.consents.add(LOCAL_CALLER, given)
        self.ledger.note("told", "consent", name)
        return made.id

    def kept_voice(self, name: str) -> str:
        """Make a voice that stays."""
        self.ledger.note("meant", "voice", name)
        made = self.voices.add(LOCAL_CALLER, replace(self.voice, name=name))
        self.ledger.note("told", "voice", name)
        return made.id

    def ended_voice(self, name: str) -> None:
        """Make a voice and delete it."""
        made = self.voices.add(LOCAL_CALLER, replace(self.voice, name=name))
        gone = f"gone-{made.id}"
        self.ledger.note("meant", "gone", gone)
        self.voices.remove(LOCAL_CALLER, made.id)
        self.ledger.note("told", "gone", gone)

    def run(self) -> None:
        """Write until the process is killed."""
        deeds = self.key, self.consent, self.kept_voice, self.ended_voice
        for deed in deeds:
            threading.Thread(target=self._repeat, args=(deed,), daemon=True).start()
        threading.Event().wait()

    def _repeat(self, deed: Any) -> None:
        for name in numbered(f"{self.life}-{deed.__name__}"):
            try:
                deed(name)
            except CosyrtError:  # busy, or gone: not done, or not told
                continue


def write(url: str, ledger: str, life: str, ready: Connection) -> None:
    """Write to a store until killed; `ready` is told once it is open."""
    from benchmarks.scores.loaded import pipeline  # in memory already, in the process that was forked

    voice = next(iter(pipeline().voices.values()))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with Store(url) as store:
        ready.send(True)
        ready.close()
        Writers(store, Ledger(Path(ledger)), life, voice).run()
