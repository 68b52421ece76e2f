"""The backend's class: pieces in order, threads for long texts alone, memory cleaned rarely."""

from __future__ import annotations

import gc
import inspect
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.compat import CosyvoiceRealTimeTTS, realtime
from cosyrt.errors import SpeechError, TextError, UsageError

LONG = "".join(f"Sentence number {'x' * (number % 7)} {number}." for number in range(12)).replace(".", "。")


@pytest.fixture(scope="module")
def backend(spelling_folder: Path, clip: str) -> CosyvoiceRealTimeTTS:
    return CosyvoiceRealTimeTTS(str(spelling_folder), clip, max_queue=3)


class Spy:
    """Stands where the pipeline stands: a piece of text is as many samples as it has characters."""

    device, model = "cpu", SimpleNamespace(device=None)

    def __init__(self, fail: bool = False) -> None:
        self.threads: set[str] = set()
        self.under_way = self.most_under_way = 0
        self.fail, self.lock = fail, threading.Lock()

    def say(self, piece: str, *, voice: object) -> Audio:
        self.threads.add(threading.current_thread().name)
        with self.lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        threading.Event().wait(0.002 * (len(piece) % 3))
        with self.lock:
            self.under_way -= 1
        if self.fail and "5" in piece:
            raise SpeechError("no speech")
        return Audio(np.array([float(ord(character)) for character in piece], np.float32), 24_000)


def spied(backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch, **options: bool) -> Spy:
    spy = Spy(**options)
    monkeypatch.setattr(backend.cosyvoice, "tts", spy)
    monkeypatch.setattr(realtime, "_memory_share", lambda _: 0.0)
    return spy


def test_the_signature_is_the_backends() -> None:
    """Names, order and defaults as the backend calls them."""
    made = inspect.signature(CosyvoiceRealTimeTTS).parameters
    asked = inspect.signature(CosyvoiceRealTimeTTS.generate_audio).parameters

    assert list(made) == ["model_path", "reference_audio_path", "max_queue", "load_jit"]
    assert (made["max_queue"].default, made["load_jit"].default) == (10, False)
    assert list(asked)[1:] == ["text", "use_clone", "max_workers"]
    assert (asked["use_clone"].default, asked["max_workers"].default) == (True, None)


def test_it_speaks(backend: CosyvoiceRealTimeTTS) -> None:
    """Samples and rate, in the reference voice or the model's own; the same text gives the same audio."""
    samples, rate = backend.generate_audio("你好。Hello!")
    own, _ = backend.generate_audio("你好。Hello!", use_clone=False)

    assert (rate, backend.sample_rate) == (24_000, 24_000)
    assert samples.dtype == np.float32 and samples.ndim == 1 and len(samples) > 0
    assert not np.array_equal(samples, own)
    assert np.array_equal(samples, backend.generate_audio("你好。Hello!")[0])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("你好。再见！", ["你好。", "再见！"]),
        ("Hi! You; there?", ["Hi!", "You;", "there?"]),
        ("。。！", []),
        ("没有标点", ["没有标点"]),
        ("A。！B", ["A。", "B"]),
    ],
)
def test_text_is_cut_at_its_marks(backend: CosyvoiceRealTimeTTS, text: str, pieces: list[str]) -> None:
    """Sentences with their marks; what has no word is left out."""
    assert backend.split_text_by_punctuation(text) == pieces


@given(st.text(alphabet="ab 。！?；你", max_size=60))
def test_no_word_is_lost(text: str) -> None:
    """Joined, the pieces hold every word in order."""
    cut = CosyvoiceRealTimeTTS.split_text_by_punctuation
    pieces = cut(CosyvoiceRealTimeTTS, text)  # type: ignore[arg-type]

    assert [c for c in "".join(pieces) if c.isalpha()] == [c for c in text if c.isalpha()]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_pieces_stay_in_order(
    backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """However many threads speak, the text is heard from its beginning to its end."""
    spy = spied(backend, monkeypatch)
    samples, _ = backend.generate_audio(LONG, max_workers=workers)

    assert "".join(map(chr, samples.astype(int))) == LONG
    assert spy.most_under_way <= min(workers, backend.max_queue)
    assert (threading.current_thread().name in spy.threads) is (workers == 1)


def test_short_text_is_never_parallel(backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a hundred characters there are no threads, whatever was asked."""
    spy = spied(backend, monkeypatch)
    backend.generate_audio(LONG[:99], max_workers=8)

    assert spy.threads == {threading.current_thread().name}


def test_a_failure_is_told_and_ends_the_work(
    backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a piece comes out; no thread is left behind."""
    spied(backend, monkeypatch, fail=True)
    with pytest.raises(SpeechError, match="no speech"):
        backend.generate_audio(LONG, max_workers=2)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("cosyrt-piece")] == []


@pytest.mark.parametrize(("share", "times"), [(0.5, 0), (0.9, 1)])
def test_memory_is_cleaned_by_threshold(
    backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch, share: float, times: int
) -> None:
    """Once a text and only when memory is short, never after each piece."""
    spied(backend, monkeypatch)
    monkeypatch.setattr(realtime, "_memory_share", lambda _: share)
    cleaned: list[Any] = []
    monkeypatch.setattr(gc, "collect", lambda: cleaned.append(1) or 0)
    backend.generate_audio(LONG)

    assert len(cleaned) == times


def test_mistakes_are_one_line(spelling_folder: Path, clip: str, backend: CosyvoiceRealTimeTTS) -> None:
    """Nothing to say, no reference to clone, no room in the queue."""
    with pytest.raises(TextError, match="can be spoken"):
        backend.generate_audio("。！")
    with pytest.raises(UsageError, match="max_queue is 0"):
        CosyvoiceRealTimeTTS(spelling_folder, clip, max_queue=0)
    without = CosyvoiceRealTimeTTS(spelling_folder)
    with pytest.raises(UsageError, match="use_clone needs reference_audio_path"):
        without.generate_audio("Hello.")
    assert len(without.generate_audio("Hello.", use_clone=False)[0]) > 0
