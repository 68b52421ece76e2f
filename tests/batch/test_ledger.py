"""The ledger: what is finished stays finished, whatever happens and whenever."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from cosyrt.batch.ledger import FAILURES, MANIFEST, PARTS, opened
from cosyrt.errors import UsageError

COUNT = 30


def entry(number: int, data: bytes = b"") -> dict[str, object]:
    return {"id": f"{number}", "path": f"sub/{number}.wav", "digest": f"d{number}", "bytes": len(data)}


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def test_what_is_finished_is_known_again(tmp_path: Path) -> None:
    """A recording has its place and its line; with another digest, or gone, it is not finished."""
    with opened(tmp_path) as ledger:
        ledger.finish(entry(1, b"one"), b"one")
        ledger.finish(entry(2, b"two"), b"two")

    assert (tmp_path / "sub" / "1.wav").read_bytes() == b"one" and len(lines(tmp_path)) == 2
    assert not (tmp_path / PARTS).exists() and not (tmp_path / FAILURES).exists()
    (tmp_path / "sub" / "2.wav").write_bytes(b"cut")  # as long, but then it is not ours to know
    (tmp_path / "sub" / "1.wav").write_bytes(b"o")
    with opened(tmp_path) as ledger:
        assert not ledger.has("1", "d1"), "it is shorter than it was"
        assert ledger.has("2", "d2") and not ledger.has("2", "other") and not ledger.has("3", "d3")
    assert [line["id"] for line in lines(tmp_path)] == ["2"]


def test_a_recording_that_is_made_again_has_one_line(tmp_path: Path) -> None:
    """The manifest lists each id once: the last one made."""
    with opened(tmp_path) as ledger:
        ledger.finish(entry(1, b"one"), b"one")
        ledger.finish({**entry(1, b"more"), "digest": "other"}, b"more")

    assert [(line["id"], line["digest"]) for line in lines(tmp_path)] == [("1", "other")]
    assert (tmp_path / "sub" / "1.wav").read_bytes() == b"more"


def test_a_cut_line_is_dropped_and_a_damaged_one_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What a kill left of the last line is nothing; a line in the middle that cannot be read is a warning."""
    with opened(tmp_path) as ledger:
        ledger.finish(entry(1, b"one"), b"one")
    good = (tmp_path / MANIFEST).read_text()
    evil = json.dumps({**entry(1), "path": "../out.wav"})
    (tmp_path / MANIFEST).write_text(f'nonsense\n{evil}\n{good}{{"id": "2", "pa')
    with opened(tmp_path) as ledger:
        assert list(ledger.entries) == ["1"]

    assert [record.getMessage().split(" of")[0] for record in caplog.records] == ["line 1", "line 2"]


def test_failures_are_listed(tmp_path: Path) -> None:
    """The list is that of the last run."""
    for reasons in ["one", "two"], ["three"]:
        with opened(tmp_path) as ledger:
            for reason in reasons:
                ledger.fail({"id": "1", "reason": reason})
    assert json.loads((tmp_path / FAILURES).read_text())["reason"] == "three"


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    """A second program is refused at once; a file in the place of the folder, too."""
    with (
        opened(tmp_path / "out"),
        pytest.raises(UsageError, match="another program"),
        opened(tmp_path / "out"),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write into"), opened(tmp_path / "file"):
        pass


def finish_all(folder: Path, log: Path) -> None:
    """Finish what is not finished yet; note each begun in a log that is only appended to."""
    with opened(folder) as ledger, log.open("a") as begun:
        for number in range(COUNT):
            if not ledger.has(str(number), f"d{number}"):
                print(number, file=begun, flush=True)
                data = f"recording {number}".encode() * 200
                ledger.finish(entry(number, data), data)


@pytest.mark.parametrize("most", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_many_times_nothing_is_lost_or_made_twice(tmp_path: Path, most: int) -> None:
    """Kill -9 at any moment: each run goes on, and at the end all is there, each line once."""
    chance, folder, log = random.Random(0), tmp_path / "out", tmp_path / "begun"
    kills, known = 0, set[str]()
    for _ in range(400):
        if kills == most:
            break
        child = os.fork()
        if not child:
            finish_all(folder, log)
            os._exit(0)
        time.sleep(chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        with opened(folder) as ledger:
            there = set(ledger.entries)
            assert known <= there, "a finished recording is lost"
            known = there
        if len(known) == COUNT:  # begin anew: there must be something to interrupt
            for path in folder.rglob("*.wav"):
                path.unlink()
            known = set()
            log.write_text("")
    finish_all(folder, log)

    assert kills == most
    assert sorted(int(str(line["id"])) for line in lines(folder)) == list(range(COUNT))
    assert all(len((folder / str(line["path"])).read_bytes()) == line["bytes"] for line in lines(folder))
    assert not (folder / PARTS).exists()
