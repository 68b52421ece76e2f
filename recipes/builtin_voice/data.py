"""Write the training data of the built-in voice: `python -m recipes.builtin_voice.data --work DIR`.

Chunks of utterances, one voice after the other, are spoken by the teachers in parallel and appended in order,
so what is there is always balanced and complete. Running it again goes on where it stopped. Chunk n is the
same whenever and wherever it is made.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.mel import log_mel
from cosyrt.text.pronounce import ArpabetPinyin
from cosyrt.units import MelSpec
from recipes.builtin_voice import texts_en, texts_zh
from recipes.builtin_voice.align import unit_ends
from recipes.builtin_voice.kokoro import LANGUAGES, Kokoro
from recipes.builtin_voice.teacher import SAMPLE_HZ, Espeak, Flite, Speech, TeacherError

CHUNK_UTTERANCES = 300
LONGEST_S = 15.0
WORST_FIT = 0.25  # cost a sound of the alignment; above it teacher and dictionary read different things
FRAME_SAMPLES, TOKEN_SAMPLES, MELS = 480, 960, 80
HELD_OUT = Path(__file__).parents[2] / "benchmarks"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive utterances of one language: their records, still without positions, samples and mel."""

    records: list[dict[str, Any]]
    audio: NDArray[np.int16]  # [N]
    mel: NDArray[np.float16]  # [M, 80]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who speaks, in turns."""

    voices: tuple[str, ...] = ("rms", "cmn")  # flite's, espeak-ng's, or any of Kokoro's
    styles: Path | None = None  # where Kokoro's voices are
    utterances: int = CHUNK_UTTERANCES  # of a chunk: what is lost when a run is stopped

    @property
    def languages(self) -> set[str]:
        """What is spoken."""
        return {language_of(voice) for voice in self.voices}


def language_of(voice: str) -> str:
    """`en` or `zh`, by the name of the voice."""
    return {Flite.name: "en", Espeak.name: "zh"}.get(voice) or LANGUAGES[voice[0]]


def teacher_of(voice: str, styles: Path | None) -> Flite | Espeak | Kokoro:
    """Who has that voice."""
    if voice in (Flite.name, Espeak.name):
        return Flite() if voice == Flite.name else Espeak()
    if styles is None:
        raise TeacherError(f"{voice} is a voice of Kokoro; give --styles, the folder of its voices")
    return Kokoro(voice, styles)


class Maker:
    """Makes chunks of one voice; one lives in each process."""

    def __init__(self, voice: str, styles: Path | None = None) -> None:
        self.language = language_of(voice)
        self.teacher = teacher_of(voice, styles)
        self.words: Any = self._words()
        self.pronounce = ArpabetPinyin()
        lines = (HELD_OUT / f"sentences_{self.language}.txt").read_text(encoding="utf-8").splitlines()
        self.held_out = {tuple(self.pronounce(line)) for line in lines}

    def _words(self) -> Any:
        """What texts are made of: words that teacher and dictionary read alike; Kokoro is told how."""
        if self.language == "zh":
            return texts_zh.load_phrases()
        return texts_en.load_words(self.teacher.reads if isinstance(self.teacher, Flite) else None)

    def chunk(self, number: int, utterances: int) -> Chunk:
        """Chunk `number`; its utterances have the ids from number · utterances on, some left out."""
        records, audio = [], []
        for identity in range(number * utterances, (number + 1) * utterances):
            spoken = self._utterance(identity)
            if spoken:
                records.append(spoken[0])
                audio.append(spoken[1])
        mel = [log_mel(samples.astype(np.float32) / np.float32(32768), MelSpec()).T for samples in audio]
        chunk = Chunk(records, np.concatenate(audio), np.concatenate(mel).astype(np.float16))
        assert chunk.mel.shape == (len(chunk.audio) // FRAME_SAMPLES, MELS), chunk.mel.shape
        return chunk

    def _utterance(self, identity: int) -> tuple[dict[str, Any], NDArray[np.int16]] | None:
        """Record and samples, or None for a text that the teacher reads differently or for too long."""
        choose = random.Random(f"{self.language} {identity}")
        source = texts_en if self.language == "en" else texts_zh
        text = source.sentence(choose, self.words, identity)
        units = self.pronounce(text)
        if tuple(units) in self.held_out:
            return None
        try:
            speech = self.teacher.say(text, units)
        except TeacherError:
            return None
        ends, cost = unit_ends(units, speech)
        spelled = any(unit.startswith("L:") for unit in units)
        if len(speech.samples) > LONGEST_S * SAMPLE_HZ or cost > WORST_FIT * (2 if spelled else 1):
            return None
        samples = _whole_tokens(speech)
        return self._record(identity, text, units, ends, speech, len(samples)), samples

    def _record(
        self, identity: int, text: str, units: list[str], ends: Sequence[float], speech: Speech, samples: int
    ) -> dict[str, Any]:
        return {
            "id": identity,
            "lang": self.language,
            "voice": self.teacher.name,
            "text": text,
            "units": units,
            "unit_end_s": [round(end, 4) for end in ends],
            "phones": [f"{self.language}:{phone}" for phone in speech.phones],
            "phone_end_s": [round(end, 4) for end in speech.phone_end_s],
            "samples": samples,
            "frames": samples // FRAME_SAMPLES,
        }


def _whole_tokens(speech: Speech) -> NDArray[np.int16]:
    """Samples as int16, with silence added up to a whole speech token."""
    padded = np.pad(speech.samples, (0, -len(speech.samples) % TOKEN_SAMPLES))
    return np.clip(np.round(padded * 32768), -32768, 32767).astype(np.int16)


@functools.cache
def _maker(voice: str, styles: Path | None) -> Maker:
    return Maker(voice, styles)


def make_chunk(number: int, plan: Plan) -> Chunk:
    """Chunk `number`: the voices take turns."""
    return _maker(plan.voices[number % len(plan.voices)], plan.styles).chunk(number, plan.utterances)


class Store:
    """The files of a data set, appended to a chunk at a time; see `corpus.py` for reading them."""

    def __init__(self, folder: Path, utterances: int = CHUNK_UTTERANCES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._utterances = utterances
        self._index = folder / "utterances.jsonl"
        self._audio, self._mel = folder / "audio.i16", folder / "mel.f16"
        self.samples, self.next_chunk = 0, 0
        self.seconds: dict[str, float] = {}
        self._resume()

    def _resume(self) -> None:
        """Cut every file after the last utterance that is in all of them."""
        for file in (self._index, self._audio, self._mel):
            file.touch()
        complete = self._index.read_bytes()
        complete = complete[: complete.rfind(b"\n") + 1]
        for line in complete.splitlines():
            self._count(json.loads(line))
        _truncate(self._index, len(complete))
        _truncate(self._audio, self.samples * 2)
        _truncate(self._mel, self.samples // FRAME_SAMPLES * MELS * 2)

    def _count(self, record: dict[str, Any]) -> None:
        self.samples = record["start_sample"] + record["samples"]
        self.next_chunk = record["id"] // self._utterances + 1
        self.seconds[record["lang"]] = self.seconds.get(record["lang"], 0.0) + record["samples"] / SAMPLE_HZ

    def append(self, chunk: Chunk) -> None:
        """Write one chunk, the index last: readers only see what is complete."""
        lines = []
        for record in chunk.records:
            placed = record | {"start_sample": self.samples, "start_frame": self.samples // FRAME_SAMPLES}
            self._count(placed)
            lines.append(json.dumps(placed, ensure_ascii=False) + "\n")
        for file, data in ((self._audio, chunk.audio.tobytes()), (self._mel, chunk.mel.tobytes())):
            with file.open("ab") as stream:
                stream.write(data)
        with self._index.open("ab") as stream:
            stream.write("".join(lines).encode("utf-8"))


def _truncate(file: Path, size_bytes: int) -> None:
    if file.stat().st_size < size_bytes:
        raise SystemExit(f"{file} is shorter than the index says; delete the folder and start again")
    with file.open("r+b") as stream:
        stream.truncate(size_bytes)


def _chunks(first: int, plan: Plan, processes: int) -> Iterator[Chunk]:
    """Chunks in order, from `first` on without end, each process one ahead."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting: list[Future[Chunk]] = []
        number = first
        try:
            while True:
                while len(waiting) <= processes:
                    waiting.append(pool.submit(make_chunk, number, plan))
                    number += 1
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def write(folder: Path, plan: Plan, hours: float, processes: int) -> None:
    """Add chunks until every language has that many hours."""
    store, started = Store(folder, plan.utterances), time.monotonic()
    before_s = sum(store.seconds.values())
    for chunk in _chunks(store.next_chunk, plan, processes):
        if all(store.seconds.get(language, 0.0) >= hours * 3600 for language in plan.languages):
            return
        store.append(chunk)
        total_s = sum(store.seconds.values())
        speed = (total_s - before_s) / (time.monotonic() - started)
        parts = ", ".join(f"{language} {seconds / 3600:.2f} h" for language, seconds in store.seconds.items())
        print(f"{parts}; {speed:.1f} times real time", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Speak and write the training data of the built-in voice.")
    parser.add_argument("--work", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--hours", type=float, default=10.0, help="hours of each language")
    parser.add_argument("--voices", default="rms,cmn", help="who speaks in turns: also Kokoro's, as af_heart")
    parser.add_argument("--styles", type=Path, help="folder of Kokoro's voices")
    parser.add_argument("--chunk", type=int, default=CHUNK_UTTERANCES, help="utterances written at once")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    plan = Plan(voices=tuple(given.voices.split(",")), styles=given.styles, utterances=given.chunk)
    write(given.work, plan, given.hours, given.processes)


if __name__ == "__main__":
    main()
