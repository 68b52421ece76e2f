"""Standard streams that are closed or full, met by real processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.cli.output import Written, into_file, into_stream, open_target
from cosyrt.errors import AudioError, UsageError
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


@pytest.mark.slow
def test_without_standard_error_it_works_in_silence(tmp_path: Path) -> None:
    """Nobody is there to be shown progress; the file and the line about it are the same."""
    done = cosyrt("say", "hello", "-o", f"{tmp_path}/a.wav", closed=2)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert (tmp_path / "a.wav").is_file()


@pytest.mark.slow
def test_without_standard_output_a_file_is_still_written(tmp_path: Path) -> None:
    """The line about it has nowhere to go, which is no reason to fail."""
    assert cosyrt("say", "hello", "-o", f"{tmp_path}/a.wav", closed=1).returncode == 0
    assert (tmp_path / "a.wav").is_file()


@pytest.mark.parametrize(
    ("arguments", "closed", "message"),
    [
        (["-", "-o", "a.wav"], 0, "- reads standard input, which is closed; give the text itself"),
        pytest.param(
            ["hi", "-o", "-"],
            1,
            "-o - writes to standard output, which is closed; give a file's name",
            marks=pytest.mark.slow,
        ),
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
        pytest.param(
            ["say", "hi", "--stream", "-o", "-"],
            5,
            "cannot write to standard output: No space left on device",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["voices", "list"],
            1,
            "cannot write the output: No space left on device; make room",
            marks=pytest.mark.slow,
        ),
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


@pytest.mark.parametrize("piecewise", [True, False])
@pytest.mark.parametrize(("format", "rate"), [("mp3", 24_000), ("wav", 8_000), ("webm", 24_000)])
def test_other_formats_go_into_a_stream(format: str, rate: int, piecewise: bool) -> None:
    """Whole or chunk by chunk, the format and rate that were asked for are read back, of the same length."""
    audio = Audio(np.sin(np.arange(24_000, dtype=np.float32) / 20) / 2, 24_000)
    out = io.BytesIO()
    sink = into_stream(out, Written(format=format, rate=rate), piecewise=piecewise)
    sink.write(audio)
    sink.write(audio)
    sink.close()
    found = Audio.read(out.getvalue())
    assert found.rate == (48_000 if format == "webm" else rate)
    assert found.seconds == pytest.approx(2, abs=0.1)


def test_telephone_audio_is_bare_bytes() -> None:
    """Mu-law is 8,000 bytes a second without a header."""
    out = io.BytesIO()
    sink = into_stream(out, Written(format="ulaw"), piecewise=True)
    sink.write(Audio(np.zeros(24_000, np.float32), 24_000))
    sink.close()
    assert len(out.getvalue()) == pytest.approx(8_000, abs=16)


def test_a_file_has_the_format_and_rate_that_were_asked_for(tmp_path: Path) -> None:
    """A format beside the name takes its place, and ~ is the home folder."""
    for name, written in (("a.wave", Written(rate=8_000)), ("a.bin", Written(format="flac", rate=8_000))):
        sink = into_file(tmp_path / name, written)
        sink.write(Audio(np.zeros(24_000, np.float32), 24_000))
        sink.close()
        assert Audio.read(tmp_path / name).rate == 8_000
    with pytest.raises(AudioError, match="or give --format"):
        into_file(tmp_path / "a.bin")


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path with ~ that the shell left as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    sink = into_file(Path("~/a.wav"))
    sink.write(Audio(np.zeros(2_400, np.float32), 24_000))
    sink.close()
    assert (tmp_path / "a.wav").is_file()


def test_an_empty_name_is_no_file() -> None:
    """A variable that was never set is neither a file nor a loudspeaker."""
    with pytest.raises(UsageError, match="-o is empty"):
        open_target("", piecewise=False)
