"""Clients of a service that is killed under them: they repeat whatever they were not told is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any

from benchmarks.scores.ledger import Ledger, numbered
from benchmarks.scores.lives import Life
from tests.service.forms import recording
from tests.service.served import Answer

VOICES, CONSENTS, KEYS = "/v1/audio/voices", "/v1/audio/voice_consents", "/admin/keys"


class Clients:
    """Three clients at once: of keys, of consents, and of voices, some of which they delete again."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.life: Life | None = None
        self.key = ""
        self.over = threading.Event()
        self.surprises: list[str] = []
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._keys, self._consents, self._voices)
        ]

    def start(self, life: Life) -> None:
        """Make the key that they use, which closes the service to others, and begin to send requests."""
        made = life.ask("POST", KEYS, {"name": "boss", "scopes": ["admin"]})
        self.key, self.life = str(made.json["key"]), life
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the requests that are under way."""
        self.over.set()
        for thread in self._threads:
            thread.join()

    def _keys(self) -> None:
        for name in numbered("http-key"):
            self._once("key", name, partial(self._make_key, name))
            if self.over.is_set():
                return

    def _consents(self) -> None:
        sound = recording(seconds=0.5)
        for name in numbered("http-consent"):
            fields: dict[str, Any] = {"name": name, "language": "en", "recording": sound}
            self._until_told("consent", name, CONSENTS, fields)
            if self.over.is_set():
                return

    def _voices(self) -> None:
        sound = recording(seconds=1.0)
        for name in numbered("http-voice"):
            made = self._until_told("voice", name, VOICES, {"name": name, "audio_sample": sound})
            if made and name.endswith(("2", "5", "8")):
                self.ledger.note("ended", "voice", name)
                self._once("gone", f"gone-{made}", partial(self._delete, made))
            if self.over.is_set():
                return

    def _make_key(self, name: str, life: Life) -> Answer:
        return life.ask("POST", KEYS, {"name": name}, self.key)

    def _delete(self, voice: str, life: Life) -> Answer:
        return life.ask("DELETE", f"{VOICES}/{voice}", None, self.key)

    def _until_told(self, kind: str, name: str, path: str, fields: dict[str, Any]) -> str:
        """Send a form again and again, under one Idempotency-Key; the id of what was made."""
        while not self.over.is_set():
            made = self._once(kind, name, lambda life: life.post(path, self.key, f"key of {name}", **fields))
            if made:
                return made
        return ""

    def _once(self, kind: str, name: str, send: Callable[[Life], Answer]) -> str:
        life = self.life
        if life is None:
            time.sleep(0.005)
            return ""
        self.ledger.note("meant", kind, name)
        try:
            answer = send(life)
        except (OSError, HTTPException):
            return ""
        if answer.status == 200:
            self.ledger.note("told", kind, name)
            return str(answer.json["id"])
        if answer.status not in (503, 410, 404):  # 410, 404: of a deletion that was done and not heard of
            self.surprises.append(f"{kind} {name}: {answer.status} {answer.body[:100]!r}")
        return ""
