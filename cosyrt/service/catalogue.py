"""The voices that a caller may speak with, by whatever name a client gives them.

Own names go first: those of the model and of registered voices. A name of OpenAI's, which clients offer
without asking, stands for a voice of the text's language, always the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cosyrt.engine.pipeline import Pipeline
from cosyrt.service.callers import Caller
from cosyrt.service.settings import Settings
from cosyrt.service.wire import OPENAI_VOICES
from cosyrt.text.normalize import spoken_language
from cosyrt.voice.voice import Voice


@dataclass(frozen=True, slots=True)
class Listed:
    """One voice of a list."""

    id: str
    name: str
    kind: str  # model, registered
    language: str | None = None

    def entry(self) -> dict[str, Any]:
        """The voice as clients read it: some want `id`, some `name`."""
        return {
            "id": self.id,
            "object": "audio.voice",
            "name": self.name,
            "kind": self.kind,
            "language": self.language,
        }


class Catalogue:
    """Voices of the model, and those registered on this machine."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.pipeline, self.settings = pipeline, settings

    def listed(self, caller: Caller) -> list[Listed]:
        """Every voice that a caller may use, the model's own first."""
        own = [Listed(name, name, "model", voice.language) for name, voice in self.pipeline.voices.items()]
        if not caller.account_id:
            return own
        registered = (name for name in self.pipeline.registered.names() if name not in self.pipeline.voices)
        return own + [Listed(name, name, "registered") for name in registered]

    def voice(self, caller: Caller, name: str, text: str, language: str | None = None) -> Voice:
        """The voice that a request asks for; where it names none, the default for its text.

        Raises:
            VoiceNotFound: there is none of that name. VoiceError: it cannot be used.
        """
        name = name or self.settings.voice
        name = self.settings.voice_aliases.get(name, name)
        if name and not self._stands_for_any(name):
            return self.pipeline.voice(name)
        fitting = list(self._speaking(language or spoken_language(text)))
        if not fitting:
            return self.pipeline.voice(self.pipeline.default_voice(text))
        at = OPENAI_VOICES.index(name) if name in OPENAI_VOICES else 0
        return fitting[at % len(fitting)]

    def _stands_for_any(self, name: str) -> bool:
        known = name in self.pipeline.voices or name in self.pipeline.registered.names()
        return name in OPENAI_VOICES and not known

    def _speaking(self, language: str | None) -> Iterator[Voice]:
        """The model's voices that speak a language."""
        base = (language or "").lower().replace("_", "-").partition("-")[0]
        return (voice for voice in self.pipeline.voices.values() if voice.language == base)
