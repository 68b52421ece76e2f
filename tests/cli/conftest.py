"""A pipeline without models: tones instead of speech, for what the command line does around the speaking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

import cosyrt
from cosyrt.audio import Audio
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.errors import VoiceNotFound
from cosyrt.units import Rates


def voice(name: str, language: str | None) -> SimpleNamespace:
    return SimpleNamespace(name=name, language=language, mel=np.zeros((100, 80), np.float32))


class TonePipeline:
    """Says each character as 10 ms of tone, in pieces of five characters; remembers what it was asked."""

    sample_rate, family, device = 24_000, "cosyvoice2", "cpu"
    description = SimpleNamespace(rates=Rates())
    tokenizer = SimpleNamespace(tags=frozenset())

    def __init__(self) -> None:
        self.voices = {"ann": voice("ann", "en"), "mei": voice("mei", "zh")}
        self.asked: list[SimpleNamespace] = []
        self.closed = 0
        self.fail_after: tuple[int, BaseException] | None = None

    def default_voice(self, text: str) -> str:
        return "ann" if text.isascii() else "mei"

    def voice(self, name: str) -> SimpleNamespace:
        if name not in self.voices:
            raise VoiceNotFound(f"no voice is called {name!r}; this model has {', '.join(self.voices)}")
        return self.voices[name]

    def voice_from(
        self, audio: object, text: str, name: str = "reference", **options: object
    ) -> SimpleNamespace:
        return voice(name, None)

    def say(self, text, *, chunked=False, progress=None, **options) -> Audio:
        parts = []
        for part in self.stream(text, **options):
            parts.append(part)
            if progress:
                progress(cosyrt_progress(len(parts), text))
        return Audio.join(parts)

    def stream(self, text: str | Iterable[str], *, voice=None, on_piece=None, **options) -> Iterator[Audio]:
        text = "".join(text)
        self.asked.append(SimpleNamespace(text=text, voice=voice.name, **options))
        length_s = len(text) * 0.01 / options.get("speed", 1.0)
        try:
            for index, start in enumerate(range(0, len(text), 5)):
                if self.fail_after and index == self.fail_after[0]:
                    raise self.fail_after[1]
                time.sleep(0.001)  # as if it were work
                yield tone(len(text[start : start + 5]) / options.get("speed", 1.0))
            if on_piece:
                on_piece(SpokenPiece(text, 0, length_s))
        finally:
            self.closed += 1

    def convert(self, source: Audio, *, voice=None, **options) -> Audio:
        return Audio.join(self.stream_conversion(source, voice=voice, **options))

    def stream_conversion(self, source: Audio, *, voice=None, **options) -> Iterator[Audio]:
        self.asked.append(SimpleNamespace(source=source, voice=voice.name, **options))
        yield from [source, source]


def tone(characters: float) -> Audio:
    return Audio(np.sin(np.arange(round(characters * 240), dtype=np.float32) / 20) / 2, 24_000)


def cosyrt_progress(done: int, text: str) -> SimpleNamespace:
    return SimpleNamespace(pieces_done=done, pieces=-(-len(text) // 5), seconds=done * 0.05)


@pytest.fixture
def tones(monkeypatch) -> TonePipeline:
    """`cosyrt.load` gives this pipeline, whatever it is asked for; `tones.loaded` says what that was."""
    pipeline = TonePipeline()

    def load(folder=None, *, device=None, weights=None):
        pipeline.loaded = (folder, device)
        return pipeline

    monkeypatch.setitem(vars(cosyrt), "load", load)  # setattr would import the real one to keep it
    return pipeline
