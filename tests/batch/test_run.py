"""A list spoken into a folder: by the tiny model, and by a speaker of our own where something goes wrong."""

from __future__ import annotations

import errno
import gc
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.batch.ledger import FAILURES, MANIFEST, Ledger
from cosyrt.batch.manifest import Item
from cosyrt.batch.run import BatchConfig, BatchResult, Preparing, batch, longest_first, speak_all
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.errors import AudioError, Busy, SpeechError, UsageError
from cosyrt.labels import LabelSettings
from tests.threads import Started

ITEMS = [
    Item(id="a", text="Hello there."),
    Item(id="b/c", text="Good morning to you all.", voice="ann", speed=1.5, seed=3),
    Item(id="zh", text="你好。", more={"set": "dev"}),
    Item(id="bad", wrong="it has no text"),
    Item(id="nobody", text="Hello.", voice="nobody"),
    Item(id="symbols", text="—"),
]


def made(results: Iterable[BatchResult]) -> dict[str, str]:
    return {result.item.id: result.status for result in results}


def lines(path: Path) -> dict[str, dict[str, object]]:
    return {line["id"]: line for line in map(json.loads, path.read_text().splitlines())}


def test_a_list_is_spoken_once(tiny: Pipeline, tmp_path: Path) -> None:
    """Recordings are what `say` gives; a second run makes nothing again but what has changed."""
    config = BatchConfig(streams=3, format="flac", label=LabelSettings().label())
    first = made(batch(tiny, ITEMS, tmp_path, config))

    assert first == dict.fromkeys(("a", "b/c", "zh"), "made") | dict.fromkeys(
        ("bad", "nobody", "symbols"), "failed"
    )
    entries = lines(tmp_path / MANIFEST)
    assert (
        entries["zh"]["set"] == "dev"
        and entries["b/c"]["seed"] == 3
        and entries["a"]["text"] == "Hello there."
    )
    alone = tiny.say("Good morning to you all.", voice="ann", speed=1.5, seed=3)
    found = Audio.read(tmp_path / "b" / "c.flac")
    assert len(found.samples) == len(alone.samples)
    np.testing.assert_allclose(found.samples, alone.samples, atol=2e-3)
    reasons = {id: line["reason"] for id, line in lines(tmp_path / FAILURES).items()}
    assert reasons["bad"] == "it has no text" and "no voice is called 'nobody'" in str(reasons["nobody"])

    changed = [replace(ITEMS[0], text="Hello again."), *ITEMS[1:3]]
    assert made(batch(tiny, changed, tmp_path, config)) == {"a": "made", "b/c": "kept", "zh": "kept"}
    assert made(batch(tiny, changed[:1], tmp_path, replace(config, seed=1))) == {"a": "made"}
    assert not (tmp_path / FAILURES).exists()


def test_the_rate_and_format_are_what_was_asked_for(tiny: Pipeline, tmp_path: Path) -> None:
    """A rate resamples; a format that there is none of is told before anything is spoken."""
    assert made(batch(tiny, ITEMS[:1], tmp_path, BatchConfig(sample_rate=16_000))) == {"a": "made"}
    assert Audio.read(tmp_path / "a.wav").rate == 16_000
    with pytest.raises(AudioError, match="cannot write audio as 'tape'"):
        next(batch(tiny, ITEMS[:1], tmp_path, BatchConfig(format="tape")))


def test_long_texts_come_first() -> None:
    """Texts that are spoken together are about as long; every item comes once."""
    items = [Item(id=str(number), text="x" * (number % 7)) for number in range(2_500)]
    lengths = [len(item.text) for item in longest_first(items)]

    assert lengths[:1_000] == sorted(lengths[:1_000], reverse=True)
    assert {item.id for item in longest_first(items)} == {item.id for item in items}


class Speaker:
    """Gives a tenth of a second for each request, but for those of a text that it raises on."""

    def __init__(self, raising: dict[str, Exception] | None = None) -> None:
        self.raising, self.closed, self.asked = raising or {}, False, list[str]()

    def submit(self, request: Request) -> Iterable[Audio]:
        """Answer at once."""
        text = str(request.text)
        self.asked.append(text)
        if text in self.raising:
            raise self.raising.pop(text)
        return [Audio(np.full(2_400, 0.1, np.float32), 24_000)]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def texts(count: int) -> list[Item]:
    return [Item(id=str(number), text=f"Text {number}.") for number in range(count)]


def test_what_fails_stops_nothing(tiny: Pipeline, tmp_path: Path) -> None:
    """A text that the models fail on is listed; one that is refused for the moment is asked for again."""
    speaker = Speaker({"Text 1.": SpeechError("no sound"), "Text 2.": Busy("full", 0.01)})
    found = made(speak_all(Preparing(tiny, BatchConfig()), speaker, texts(4), tmp_path, at_once=2))

    assert found == {"0": "made", "1": "failed", "2": "made", "3": "made"}
    assert speaker.closed and speaker.asked.count("Text 2.") == 2


def test_a_full_disk_stops_cleanly(tiny: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so; what was finished is there, and the next run makes the rest."""
    finish, left = Ledger.finish, [2]

    def until_full(ledger: Ledger, entry: dict[str, object], data: bytes) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        finish(ledger, entry, data)

    monkeypatch.setattr(Ledger, "finish", until_full)
    speaker, preparing = Speaker(), Preparing(tiny, BatchConfig())
    with pytest.raises(AudioError, match="no space is left"):
        list(speak_all(preparing, speaker, texts(6), tmp_path, at_once=2))
    assert speaker.closed and len(lines(tmp_path / MANIFEST)) == 2

    monkeypatch.undo()
    again = made(speak_all(preparing, Speaker(), texts(6), tmp_path, at_once=2))
    assert sorted(again.values()) == ["kept"] * 2 + ["made"] * 4


def test_closing_stops_the_work(tiny: Pipeline, tmp_path: Path) -> None:
    """What was given out is kept, and the speaker is closed."""
    speaker = Speaker()
    results = speak_all(Preparing(tiny, BatchConfig()), speaker, texts(50), tmp_path, at_once=2)
    assert next(results).status == "made"
    results.close()

    assert speaker.closed and 1 <= len(lines(tmp_path / MANIFEST)) < 50
    assert len(speaker.asked) < 50


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no folder in which none can be made")
def test_a_folder_that_cannot_be_made(tiny: Pipeline) -> None:
    """One line says so, and nothing goes on that would speak."""
    speaker = Speaker()
    with pytest.raises(AudioError, match=r"cannot write into /proc/x/y: .*; give another folder"):
        list(speak_all(Preparing(tiny, BatchConfig()), speaker, texts(2), "/proc/x/y", at_once=2))
    assert speaker.closed and not speaker.asked


class Collecting(Speaker):
    """Collects garbage while it speaks the second text, once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.ended = Event(), Event()

    def submit(self, request: Request) -> Iterable[Audio]:
        """Answer, the second text late."""
        if request.text == "Text 1.":
            assert self.go.wait(60)
            gc.collect()
        return super().submit(request)

    def close(self) -> None:
        """Note that it was closed."""
        super().close()
        self.ended.set()


def test_a_thread_of_its_own_may_collect_it(tiny: Pipeline, tmp_path: Path) -> None:
    """A run that was left behind as garbage ends behind whoever collects it, and frees its folder."""
    started, speaker, preparing = Started(), Collecting(), Preparing(tiny, BatchConfig())

    def leave_behind() -> None:
        results = speak_all(preparing, speaker, texts(5), tmp_path, at_once=2)
        assert next(results).item.id == "0"
        itself: list[object] = [results]
        itself.append(itself)

    leave_behind()
    speaker.go.set()
    assert speaker.ended.wait(60)
    for thread in started("cosyrt-batch"):
        thread.join(60)
    again = made(speak_all(preparing, Speaker(), texts(5), tmp_path, at_once=2))
    assert [again[str(number)] for number in range(5)] == ["kept"] * 2 + ["made"] * 3


def test_a_folder_that_is_taken(tiny: Pipeline, tmp_path: Path) -> None:
    """Two runs never write into one folder at once."""
    first = speak_all(Preparing(tiny, BatchConfig()), Speaker(), texts(3), tmp_path, at_once=1)
    next(first)
    with pytest.raises(UsageError, match="another program"):
        next(speak_all(Preparing(tiny, BatchConfig()), Speaker(), texts(3), tmp_path, at_once=1))
    first.close()
