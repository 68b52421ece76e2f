"""The data set on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from recipes.builtin_voice.data import CHUNK_UTTERANCES, Chunk, Plan, Store, teacher_of
from recipes.builtin_voice.teacher import TeacherError


def _chunk(number: int, lang: str) -> Chunk:
    records = [
        {"id": number * CHUNK_UTTERANCES + index, "lang": lang, "samples": 1920, "frames": 4}
        for index in range(3)
    ]
    return Chunk(records, np.full(5760, number + 1, np.int16), np.full((12, 80), number, np.float16))


def test_chunks_follow_each_other(tmp_path: Path) -> None:
    """Positions count on over chunks and over restarts."""
    Store(tmp_path).append(_chunk(0, "en"))
    store = Store(tmp_path)
    assert store.next_chunk == 1
    store.append(_chunk(1, "zh"))
    lines = [json.loads(line) for line in (tmp_path / "utterances.jsonl").read_text().splitlines()]
    assert [line["start_sample"] for line in lines] == [0, 1920, 3840, 5760, 7680, 9600]
    assert [line["start_frame"] for line in lines] == [0, 4, 8, 12, 16, 20]
    assert (tmp_path / "mel.f16").stat().st_size == 24 * 80 * 2
    assert store.seconds == {"en": 0.24, "zh": 0.24}


def test_an_interrupted_chunk_is_written_again(tmp_path: Path) -> None:
    """What is not in the index yet, whole lines only, is cut off on the next start."""
    Store(tmp_path).append(_chunk(0, "en"))
    for name in ("audio.i16", "mel.f16", "utterances.jsonl"):
        with (tmp_path / name).open("ab") as stream:
            stream.write(b'{"id": 300')
    store = Store(tmp_path)
    assert store.next_chunk == 1
    assert (tmp_path / "audio.i16").stat().st_size == 5760 * 2
    store.append(_chunk(1, "zh"))
    assert np.fromfile(tmp_path / "audio.i16", np.int16)[5760] == 2


def test_lost_audio_is_an_error(tmp_path: Path) -> None:
    """An index of more audio than there is cannot be continued."""
    Store(tmp_path).append(_chunk(0, "en"))
    (tmp_path / "audio.i16").write_bytes(b"")
    with pytest.raises(SystemExit, match="shorter than the index"):
        Store(tmp_path)


def test_smaller_chunks_lose_less(tmp_path: Path) -> None:
    """A slow teacher's chunks may be of another size: the next one follows all the same."""
    store = Store(tmp_path, utterances=30)
    store.append(Chunk([{"id": 61, "lang": "en", "samples": 960, "frames": 2}], np.zeros(960, np.int16),
                       np.zeros((2, 80), np.float16)))  # fmt: skip
    assert store.next_chunk == Store(tmp_path, utterances=30).next_chunk == 3


def test_a_voice_has_its_language_and_its_teacher() -> None:
    """Kokoro's by the first letter of their names; without its styles it cannot speak."""
    assert Plan().languages == Plan(voices=("af_heart", "zm_yunxi")).languages == {"en", "zh"}
    with pytest.raises(TeacherError, match="--styles"):
        teacher_of("af_heart", None)
