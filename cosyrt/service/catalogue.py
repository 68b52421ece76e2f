"""The voices that a caller may speak with, by whatever name a client gives them.

The model's own names go first, then stored voices: the caller's own, then the shared ones. A name of
OpenAI's, which clients offer without asking, stands for a voice of the text's language, always the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cosyrt.engine.frontend import Frontend
from cosyrt.errors import VoiceNotFound
from cosyrt.service.callers import Caller
from cosyrt.service.settings import Settings
from cosyrt.service.voice_rows import VoiceFacts
from cosyrt.service.voices import StoredVoices
from cosyrt.service.wire import OPENAI_VOICES
from cosyrt.text.normalize import spoken_language
from cosyrt.voice.voice import Voice


@dataclass(frozen=True, slots=True)
class Listed:
    """One voice of a list."""

    id: str
    name: str
    kind: str  # model, own, shared
    language: str | None
    facts: VoiceFacts | None = None  # of a stored voice

    def entry(self) -> dict[str, Any]:
        """The voice as clients read it: some want `id`, some `name`."""
        entry = {
            "id": self.id,
            "object": "audio.voice",
            "name": self.name,
            "kind": self.kind,
            "language": self.language,
        }
        return entry if self.facts is None else entry | stored_fields(self.facts)


def stored_fields(facts: VoiceFacts) -> dict[str, Any]:
    """What is shown of a stored voice beside its name."""
    return {
        "created_at": facts.created_at,
        "type": "audio_sample",
        "description": facts.description,
        "consent": facts.consent_id,
        "expires_at": facts.expires_at,
    }


class Catalogue:
    """Voices of the model, and those in the store."""

    def __init__(self, frontend: Frontend, settings: Settings, stored: StoredVoices) -> None:
        self.frontend, self.settings, self.stored = frontend, settings, stored

    async def listed(self, caller: Caller) -> list[Listed]:
        """Every voice that a caller may use, the model's own first."""
        models = self.frontend.voices
        own = [Listed(name, name, "model", voice.language) for name, voice in models.items()]
        return own + [_listed(caller, each) for each in await self.stored.listed(caller)]

    async def voice(self, caller: Caller, name: str, text: str, language: str | None = None) -> Voice:
        """The voice that a request asks for; else the current one of the account, else one for its text.

        Raises:
            VoiceNotFound: there is none of that name. VoiceError: it cannot be used. Gone: it was deleted.
            StoreUnavailable: the database does not answer, and the voice is not known.
        """
        name = name or await self.stored.current(caller) or self.settings.voice
        name = self.settings.voice_aliases.get(name, name)
        if name in self.frontend.voices:
            return self.frontend.voices[name]
        if name and (found := await self.stored.find(caller, name)) is not None:
            return self.frontend.fitting(found)
        if name and name not in OPENAI_VOICES:
            raise VoiceNotFound(f"there is no voice {name[:80]!r}; list them: GET /v1/audio/voices")
        fitting = list(self._speaking(language or spoken_language(text)))
        if not fitting:
            return self.frontend.voice(self.frontend.default_voice(text))
        at = OPENAI_VOICES.index(name) if name else 0
        return fitting[at % len(fitting)]

    def _speaking(self, language: str | None) -> Iterator[Voice]:
        """The model's voices that speak a language."""
        base = (language or "").lower().replace("_", "-").partition("-")[0]
        return (voice for voice in self.frontend.voices.values() if voice.language == base)


def _listed(caller: Caller, facts: VoiceFacts) -> Listed:
    kind = "own" if facts.account_id == caller.account_id else "shared"
    return Listed(facts.id, facts.name, kind, facts.language, facts)
