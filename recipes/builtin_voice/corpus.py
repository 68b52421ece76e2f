"""The training data of the built-in voice: flat tables on disk, one index line an utterance.

Everything is counted in speech tokens (25 a second): a table holds a fixed number of rows a token, so one
utterance is the same range of tokens in the audio, the mel, the whisper features, the F0 and the tokens.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

HELD_OUT_EVERY = 100
FRAMES_PER_TOKEN = 2
SAMPLES_PER_TOKEN = 960


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One array on disk: `rows_per_token` rows of `columns` numbers for every speech token."""

    file: str
    dtype: str
    rows_per_token: int
    columns: int = 1

    @property
    def row_bytes(self) -> int:
        """Bytes in one row."""
        return np.dtype(self.dtype).itemsize * self.columns


AUDIO = Table(file="audio.i16", dtype="<i2", rows_per_token=SAMPLES_PER_TOKEN)
MEL = Table(file="mel.f16", dtype="<f2", rows_per_token=FRAMES_PER_TOKEN, columns=80)
WHISPER = Table(file="whisper.f16", dtype="<f2", rows_per_token=4, columns=128)
F0 = Table(file="f0.f16", dtype="<f2", rows_per_token=FRAMES_PER_TOKEN)
PHASE = Table(file="phase.f32", dtype="<f4", rows_per_token=FRAMES_PER_TOKEN)
FLOW_MEL = Table(file="flow_mel.f16", dtype="<f2", rows_per_token=FRAMES_PER_TOKEN, columns=80)
TOKENS = Table(file="tokens.i16", dtype="<i2", rows_per_token=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One line of utterances.jsonl."""

    id: int
    lang: str
    voice: str
    text: str
    units: tuple[str, ...]
    unit_end_s: np.ndarray  # [units]
    phones: tuple[str, ...]
    phone_end_s: np.ndarray  # [phones]
    start_token: int
    tokens: int

    @property
    def held_out(self) -> bool:
        """Whether the utterance is for measuring only."""
        return self.id % HELD_OUT_EVERY == 0

    def labels(
        self,
        names: dict[str, int],
        start_frame: int,
        frames: int,
    ) -> np.ndarray:  # int64 [frames]
        """The number of the phone that sounds in the middle of every mel frame."""
        middle_s = (np.arange(start_frame, start_frame + frames) + 0.5) * 0.02
        at = np.searchsorted(self.phone_end_s, middle_s, side="right")
        numbers = np.array([names.get(phone, 0) for phone in self.phones], dtype=np.int64)
        return numbers[np.minimum(at, len(numbers) - 1)]


@dataclass(frozen=True, slots=True)
class Crop:
    """A stretch of one utterance, in tokens from the utterance's start."""

    utterance: Utterance
    start: int
    tokens: int


class Corpus:
    """The utterances that are complete on disk at the time of opening; more may be appended meanwhile."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._open: dict[str, np.ndarray] = {}
        rows = min(rows_on_disk(work, table) // table.rows_per_token for table in (AUDIO, MEL))
        self.utterances = [item for item in read_index(work) if item.start_token + item.tokens <= rows]

    @cached_property
    def train(self) -> list[Utterance]:
        """Utterances to learn from."""
        return [item for item in self.utterances if not item.held_out]

    @cached_property
    def held_out(self) -> list[Utterance]:
        """Utterances to measure on."""
        return [item for item in self.utterances if item.held_out]

    @cached_property
    def voices(self) -> list[str]:
        """Every teacher voice, sorted."""
        return sorted({item.voice for item in self.utterances})

    @cached_property
    def phones(self) -> list[str]:
        """Every phone of every language, sorted."""
        return sorted({phone for item in self.utterances for phone in item.phones})

    def having(self, *tables: Table) -> list[Utterance]:
        """The utterances that every one of these tables already covers."""
        tokens = min(rows_on_disk(self.work, table) // table.rows_per_token for table in tables)
        return [item for item in self.utterances if item.start_token + item.tokens <= tokens]

    def rows(self, table: Table, crop: Crop | Utterance) -> np.ndarray:  # [rows, columns] or [rows]
        """The rows of a crop (or a whole utterance), as stored."""
        if isinstance(crop, Utterance):
            crop = Crop(crop, 0, crop.tokens)
        first = (crop.utterance.start_token + crop.start) * table.rows_per_token
        return self._memmap(table)[first : first + crop.tokens * table.rows_per_token]

    def samples(self, crop: Crop | Utterance) -> np.ndarray:  # float32 [N]
        """24 kHz samples in [-1, 1]."""
        return self.rows(AUDIO, crop).astype(np.float32) / 32768

    def _memmap(self, table: Table) -> np.ndarray:
        if table.file not in self._open:
            shape = (rows_on_disk(self.work, table), table.columns)
            mapped = np.memmap(self.work / table.file, table.dtype, "r", shape=shape)
            self._open[table.file] = mapped[:, 0] if table.columns == 1 else mapped
        return self._open[table.file]


def rows_on_disk(work: Path, table: Table) -> int:
    """Whole rows in the table's file; 0 when there is none yet."""
    path = work / table.file
    return path.stat().st_size // table.row_bytes if path.exists() else 0


def read_index(work: Path) -> Iterator[Utterance]:
    """The complete lines of utterances.jsonl, in order."""
    with (work / "utterances.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield _utterance(json.loads(line))


def _utterance(item: dict) -> Utterance:
    start, odd_start = divmod(item["start_frame"], FRAMES_PER_TOKEN)
    tokens, odd_frames = divmod(item["frames"], FRAMES_PER_TOKEN)
    assert not odd_start and not odd_frames, f"utterance {item['id']} is not whole tokens"
    assert item["start_sample"] == start * SAMPLES_PER_TOKEN, f"utterance {item['id']}: audio and mel differ"
    return Utterance(
        id=item["id"],
        lang=item["lang"],
        voice=item["voice"],
        text=item["text"],
        units=tuple(item["units"]),
        unit_end_s=np.asarray(item["unit_end_s"], np.float32),
        phones=tuple(item["phones"]),
        phone_end_s=np.asarray(item["phone_end_s"], np.float32),
        start_token=start,
        tokens=tokens,
    )


class Crops:
    """Random stretches of a fixed length: every second is as likely as every other of its language.

    `favour` has the weight of each language whose seconds are more likely.
    """

    def __init__(
        self, utterances: list[Utterance], tokens: int, favour: Mapping[str, float] | None = None
    ) -> None:
        assert utterances, "no utterances to crop from"
        self.utterances, self.tokens = utterances, tokens
        favour = favour or {}
        weight = np.array([item.tokens * favour.get(item.lang, 1.0) for item in utterances], dtype=np.float64)
        self._upto = np.cumsum(weight) / weight.sum()

    def draw(self, random: np.random.Generator, count: int) -> list[Crop]:
        """`count` crops; an utterance shorter than the crop comes whole."""
        picks = np.searchsorted(self._upto, random.random(count), side="right")
        return [self._crop(random, self.utterances[min(pick, len(self.utterances) - 1)]) for pick in picks]

    def _crop(self, random: np.random.Generator, item: Utterance) -> Crop:
        tokens = min(self.tokens, item.tokens)
        # Edges deserve their share: a start beyond either end is pulled back to it.
        start = int(random.integers(-2, item.tokens - tokens + 3))
        return Crop(item, min(max(start, 0), item.tokens - tokens), tokens)


class Buckets:
    """Whole utterances of like length, batch by batch: a pure function of the seed and the step."""

    def __init__(self, lengths: list[int], budget: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.budget, self.seed = budget, seed
        self._starts: list[int] = [0]
        self._epochs: dict[int, list[list[int]]] = {}

    def batch(self, step: int) -> list[int]:
        """Indices of the utterances of that step; padded length x count stays within the budget."""
        epoch = int(np.searchsorted(self._starts, step, side="right")) - 1
        while step >= self._starts[epoch] + len(self._epoch(epoch)):
            if epoch + 1 == len(self._starts):
                self._starts.append(self._starts[epoch] + len(self._epoch(epoch)))
            epoch += 1
        return self._epoch(epoch)[step - self._starts[epoch]]

    def _epoch(self, epoch: int) -> list[list[int]]:
        if epoch not in self._epochs:
            self._epochs = {epoch: self._deal(np.random.default_rng((self.seed, epoch)))}
        return self._epochs[epoch]

    def _deal(self, random: np.random.Generator) -> list[list[int]]:
        blurred = self.lengths * random.uniform(0.9, 1.1, len(self.lengths))
        batches: list[list[int]] = [[]]
        longest = 0
        for index in np.argsort(blurred, kind="stable"):
            longest = max(longest, int(self.lengths[index]))
            if batches[-1] and longest * (len(batches[-1]) + 1) > self.budget:
                batches.append([])
                longest = int(self.lengths[index])
            batches[-1].append(int(index))
        return [batches[at] for at in random.permutation(len(batches))]


def derive(
    corpus: Corpus,
    table: Table,
    function: Callable[..., np.ndarray],  # float32 [N] at 24 kHz -> [rows, columns]
    processes: int,
    with_voice: bool = False,  # the function takes the name of the voice as well
) -> int:
    """Appends the rows that the table still lacks, utterance by utterance; returns how many utterances.

    The file's own length says how far an earlier call came, so a stopped pass is taken up again.
    """
    todo = missing(corpus, table)
    with (
        (corpus.work / table.file).open("ab") as file,
        ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool,
    ):
        for first in range(0, len(todo), 256):
            group = todo[first : first + 256]
            given: list[list[Any]] = [[corpus.samples(item) for item in group]]
            if with_voice:
                given.append([item.voice for item in group])
            results = pool.map(function, *given, chunksize=8)
            for item, rows in zip(group, results, strict=True):
                append(file, table, item, rows)
    return len(todo)


def missing(corpus: Corpus, table: Table) -> list[Utterance]:
    """Utterances that the table does not hold; a half-written last one is cut off first."""
    done = len(corpus.having(table))
    end = sum(item.tokens for item in corpus.utterances[:done]) * table.rows_per_token
    path = corpus.work / table.file
    if path.exists():
        os.truncate(path, min(end * table.row_bytes, path.stat().st_size))
    return corpus.utterances[done:]


def append(file: BinaryIO, table: Table, item: Utterance, rows: np.ndarray) -> None:
    """Writes the rows of one utterance at the end of its table."""
    expected = item.tokens * table.rows_per_token
    assert len(rows) == expected, f"utterance {item.id}: {len(rows)} rows, not {expected}"
    assert file.tell() == item.start_token * table.rows_per_token * table.row_bytes, f"gap before {item.id}"
    file.write(np.ascontiguousarray(rows, table.dtype).tobytes())
