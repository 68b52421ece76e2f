"""A batch into a store that fsspec reaches: whole recordings, nothing lost or repeated, one manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from cosyrt.batch.address import LINES, opened
from cosyrt.batch.run import BatchConfig, batch
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import MissingDependency, UsageError
from tests.batch.test_run import texts

ADDRESS = "memory://bucket/recordings"


@pytest.fixture(autouse=True)
def files() -> Iterator[MemoryFileSystem]:
    """An empty store in memory."""
    found = MemoryFileSystem()
    yield found
    found.rm("/", recursive=True)


def entry(id: str, data: bytes) -> dict[str, Any]:
    """The line about a recording."""
    return {"id": id, "path": f"{id}.wav", "digest": "d", "bytes": len(data)}


def manifest(files: MemoryFileSystem) -> list[str]:
    """The ids of the manifest."""
    lines = files.cat_file("/bucket/recordings/manifest.jsonl").splitlines()
    return sorted(json.loads(line)["id"] for line in lines)


def test_a_batch_goes_into_a_store(tiny: Pipeline, files: MemoryFileSystem) -> None:
    """Every text has a recording and a line; the second run makes nothing again."""
    made = list(batch(tiny, texts(3), ADDRESS, BatchConfig(streams=2)))
    again = list(batch(tiny, texts(3), ADDRESS, BatchConfig(streams=2)))

    assert {result.status for result in made} == {"made"} and {result.status for result in again} == {"kept"}
    assert len(manifest(files)) == 3
    assert all(files.cat_file(path)[:4] == b"RIFF" for path in files.glob("/bucket/recordings/*.wav"))
    assert not files.exists(f"/bucket/recordings/{LINES}")


def test_a_run_that_was_killed_keeps_what_it_finished(files: MemoryFileSystem) -> None:
    """Lines that no manifest has yet are found; a recording without a line was not finished."""
    killed = opened(ADDRESS)
    ledger = killed.__enter__()
    ledger.finish(entry("one", b"first"), b"first")
    files.pipe_file("/bucket/recordings/two.wav", b"sec")  # and here it ends

    with opened(ADDRESS) as again:
        assert again.has("one", "d") and not again.has("one", "other") and not again.has("two", "d")
    assert manifest(files) == ["one"]


def test_a_recording_that_was_taken_away_is_made_again(files: MemoryFileSystem) -> None:
    """A line alone is not enough, nor is one whose recording has another size."""
    with opened(ADDRESS) as ledger:
        for id in ("one", "two"):
            ledger.finish(entry(id, b"whole"), b"whole")
    files.rm("/bucket/recordings/one.wav")
    files.pipe_file("/bucket/recordings/two.wav", b"more than it was")
    with opened(ADDRESS) as again:
        assert not again.has("one", "d") and not again.has("two", "d")


def test_failures_are_listed_and_forgotten(files: MemoryFileSystem) -> None:
    """The failures in the list are those of the last run."""
    with opened(ADDRESS) as ledger:
        ledger.fail({"id": "one", "reason": "it has no text"})
    assert b"it has no text" in files.cat_file("/bucket/recordings/failed.jsonl")
    with opened(ADDRESS):
        pass
    assert not files.exists("/bucket/recordings/failed.jsonl")


def test_an_address_of_no_known_kind() -> None:
    """One line says so."""
    with pytest.raises(UsageError, match="nowhere://"), opened("nowhere://bucket"):
        pass


def test_a_package_that_is_missing() -> None:
    """The line names it."""
    with pytest.raises(MissingDependency, match="s3fs"), opened("s3://bucket/folder"):
        pass
