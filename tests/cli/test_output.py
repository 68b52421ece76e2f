"""Standard streams that are closed or full, met by real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.cli.output import into_stream
from tests.cli.test_main import TONES

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="file descriptors of Unix")
FULL = Path("/dev/full")
full = pytest.mark.skipif(not FULL.exists(), reason="a device of Linux")


def cosyrt(*arguments: str, closed: int) -> subprocess.CompletedProcess[str]:
    """The command on tones, started with a standard stream closed."""
    return subprocess.run(
        [sys.executable, "-c", TONES, *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(closed),
    )


def test_without_standard_error_it_works_in_silence(tmp_path: Path) -> None:
    """Nobody is there to be shown progress; the file and the line about it are the same."""
    done = cosyrt("say", "hello", "-o", f"{tmp_path}/a.wav", closed=2)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert (tmp_path / "a.wav").is_file()


def test_without_standard_output_a_file_is_still_written(tmp_path: Path) -> None:
    """The line about it has nowhere to go, which is no reason to fail."""
    assert cosyrt("say", "hello", "-o", f"{tmp_path}/a.wav", closed=1).returncode == 0
    assert (tmp_path / "a.wav").is_file()


@pytest.mark.parametrize(
    ("arguments", "closed", "message"),
    [
        (["-", "-o", "a.wav"], 0, "- reads standard input, which is closed; give the text itself"),
        (["hi", "-o", "-"], 1, "-o - writes to standard output, which is closed; give a file's name"),
    ],
)
def test_a_stream_that_is_needed_and_closed(arguments: list[str], closed: int, message: str) -> None:
    """The error names the stream, as a mistake in how the command was called."""
    done = cosyrt("say", *arguments, closed=closed)
    assert (done.returncode, done.stderr) == (2, f"cosyrt: {message}\n")


@full
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["say", "hello", "-o", "-"], 5, "cannot write to standard output: No space left on device; "),
        (["say", "hi", "--stream", "-o", "-"], 5, "cannot write to standard output: No space left on device"),
        (["voices", "list"], 1, "cannot write the output: No space left on device; make room"),
    ],
)
def test_a_disk_that_is_full(arguments: list[str], code: int, message: str) -> None:
    """One line and an exit code of its own, not a bug, and nothing more when Python exits."""
    with FULL.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", TONES, *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == code
    assert done.stderr.startswith(f"cosyrt: {message}") and done.stderr.count("\n") == 1


def test_the_header_of_a_file_is_completed(tmp_path: Path) -> None:
    """A stream that is a file has its length at the end, from where it began, also when it is stopped."""
    audio = Audio(np.zeros(1_000, np.float32), 16_000)
    for name, end in (("whole", "close"), ("stopped", "stop")):
        with (tmp_path / name).open("wb") as file:
            file.write(b"before")
            pipe = into_stream(file, piecewise=True)
            pipe.write(audio)
            pipe.write(audio)
            getattr(pipe, end)()
            file.write(b"after")
        content = (tmp_path / name).read_bytes()
        assert content[:6] == b"before" and content[-5:] == b"after"
        assert content[6:-5] == Audio.join([audio, audio]).to_bytes("wav")


def test_a_file_that_is_added_to_keeps_an_open_header(tmp_path: Path) -> None:
    """What is written to such a file lands at its end: the length is left open."""
    audio = Audio(np.zeros(1_000, np.float32), 16_000)
    (tmp_path / "a").write_bytes(b"before")
    with (tmp_path / "a").open("ab") as file:
        pipe = into_stream(file, piecewise=True)
        pipe.write(audio)
        pipe.close()
    content = (tmp_path / "a").read_bytes()
    assert len(content) == 6 + 44 + 2_000 and content[46:50] == b"\xff" * 4


def test_nothing_written_is_no_header(tmp_path: Path) -> None:
    """A stream that is closed before its first chunk stays empty."""
    with (tmp_path / "a").open("wb") as file:
        into_stream(file, piecewise=True).close()
    assert (tmp_path / "a").read_bytes() == b""


def test_a_pipe_keeps_an_open_header() -> None:
    """A pipe cannot be moved in: its header goes for any length."""
    read, write = os.pipe()
    with open(read, "rb") as reader, open(write, "wb") as writer:
        pipe = into_stream(writer, piecewise=True)
        pipe.write(Audio(np.zeros(1_000, np.float32), 16_000))
        pipe.close()
        content = reader.read(44 + 2_000)
    assert content[4:8] == content[40:44] == b"\xff" * 4
