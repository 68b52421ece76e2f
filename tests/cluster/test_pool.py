"""A batch on a pool of actors, of which one is killed in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from cosyrt.audio import Audio

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed: pip install 'cosyrt[cluster]'"
    ),
]
COUNT = 40


def test_an_actor_that_is_killed_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """Every text has one line and one whole recording, those that were finished before are as they were."""
    listed, out = tmp_path / "list.jsonl", tmp_path / "out"
    lines = [
        {"id": f"{number:02}", "text": f"This is number {number}, spoken once."} for number in range(COUNT)
    ]
    listed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [sys.executable, "-m", "cosyrt", "batch", str(listed), str(out), "--json", "--streams", "2"]
    command += ["--cluster", "--replicas", "2", "--replica-cpus", "0.5", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finished = wait_for_recordings(out, 8, process)
    before = {path: path.stat().st_mtime_ns for path in finished}
    actors(process)[0].kill()
    printed, _ = process.communicate(timeout=300)

    assert process.returncode == 0
    tally = json.loads(printed)
    assert (tally["made"], tally["failed"], tally["kept"]) == (COUNT, 0, 0)
    entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert sorted(entry["id"] for entry in entries) == [line["id"] for line in lines]
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    for entry in entries:
        assert Audio.read(out / entry["path"]).seconds == pytest.approx(entry["seconds"], abs=0.01)


def wait_for_recordings(out: Path, count: int, process: subprocess.Popen[str]) -> list[Path]:
    """The recordings, once there are so many."""
    until = time.monotonic() + 400
    while len(found := list(out.glob("*.wav"))) < count:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    return found


def actors(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of the actors; Ray names them so."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [each for each in children if each.cmdline() and each.cmdline()[0].startswith("ray::Replica")]
