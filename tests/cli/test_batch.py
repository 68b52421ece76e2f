"""cosyrt batch: lists from the command line, killed and run again."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.cli.batch import Tally, as_time


def run(*arguments: object, text: str = "") -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["batch", *map(str, arguments)], input=text)
    return done.exit_code, done.stdout, done.stderr


def test_a_list_becomes_a_folder(tiny_folder: Path, tmp_path: Path) -> None:
    """Exit code 0 where all was made; again, all was there."""
    (tmp_path / "a.csv").write_text("id,text\none,Hello.\ntwo,Good morning.\n")
    asked = (
        tmp_path / "a.csv",
        tmp_path / "out",
        "--model",
        tiny_folder,
        "--device",
        "cpu",
        "--format",
        "mp3",
    )
    code, out, _ = run(*asked)
    again = run(*asked, "--json")

    assert code == again[0] == 0
    assert out.startswith("2 made · ") and (tmp_path / "out" / "two.mp3").stat().st_size > 100
    assert json.loads(again[1])["kept"] == 2


def test_what_cannot_be_spoken_has_its_reason(tiny_folder: Path, tmp_path: Path) -> None:
    """Standard input is read as JSON lines; the rest is made, and the exit code is 1."""
    given = '{"text": "Hello."}\n{"text": ""}\n' + "{\n" * 6
    code, out, err = run("-", tmp_path / "out", "--model", tiny_folder, "--device", "cpu", text=given)

    assert code == 1 and out.startswith("1 made · 7 failed")
    assert re.search(r"standard input:[3-8]: it is no JSON", err) and "and 2 more" in err
    assert len((tmp_path / "out" / "failed.jsonl").read_text().splitlines()) == 7


def test_mistakes_are_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    """An empty list, one that is not there, a folder without texts, and no folder to write into."""
    (tmp_path / "empty.txt").write_text("\n\n")
    assert run(tmp_path / "empty.txt", tmp_path / "out")[0] == 2
    assert run(tmp_path / "none.txt", tmp_path / "out")[0] == 2
    (tmp_path / "folder").mkdir()
    assert run(tmp_path / "folder", tmp_path / "out")[0] == 2


def test_standard_input_without_a_text(tiny_folder: Path, tmp_path: Path) -> None:
    """Whoever should have written it has failed: that is no success."""
    code, _, errors = run("-", tmp_path / "out", "--model", tiny_folder, text="\n")
    assert code == 2 and "standard input has no text in it" in errors


def test_times_are_said_as_people_say_them() -> None:
    """Seconds, minutes, hours; and a share where the length of the list is known."""
    assert [as_time(seconds) for seconds in (45, 720, 12_600)] == ["45 s", "12 min", "3.5 h"]
    assert Tally(characters=0, count=None).share is None
    assert Tally(characters=10, count=1).share == 0


@pytest.mark.slow
def test_killed_and_run_again(tiny_folder: Path, tmp_path: Path) -> None:
    """The program itself, killed at chance moments: it goes on, and at the end all is there once."""
    out, chance = tmp_path / "out", random.Random(1)
    (tmp_path / "a.txt").write_text("".join(f"Sentence number {n}.\n" for n in range(60)))
    command = [sys.executable, "-m", "cosyrt", "batch", str(tmp_path / "a.txt"), str(out), "--json"]
    command += ["--model", str(tiny_folder), "--device", "cpu"]
    before = 0
    for _ in range(10):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
        while not (out / "manifest.jsonl").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        there = len(list(out.glob("*.wav")))
        assert there >= before
        before = there
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ)
    lines = [json.loads(line)["id"] for line in (out / "manifest.jsonl").read_text().splitlines()]

    assert json.loads(done.stdout)["made"] + json.loads(done.stdout)["kept"] == 60
    assert sorted(lines) == [f"{number:06d}" for number in range(1, 61)]
