"""Bytes of a recording come within a limit, or are refused."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cosyrt.errors import AudioError
from cosyrt.sound_source import SoundSource, open_sound


def test_a_file_is_read_where_it_is_asked(tmp_path: Path) -> None:
    """A source reads and moves as a file does, but never to before its start."""
    (tmp_path / "x").write_bytes(bytes(range(100)))
    with open_sound(tmp_path / "x", 1_000) as source:
        assert (source.read(3), source.tell()) == (b"\0\1\2", 3)
        assert source.seek(-500, io.SEEK_CUR) == 0 and source.seek(-10, io.SEEK_END) == 90
        assert source.read() == bytes(range(90, 100)) and source.read(5) == b"" and not source.is_over
        buffer = bytearray(4)
        source.seek(50)
        assert source.readinto(buffer) == 4 and bytes(buffer) == bytes(range(50, 54))


def test_no_more_than_the_limit_is_read() -> None:
    """Behind the limit the file seems to end; a second decoder has the whole limit again."""
    source = SoundSource(io.BytesIO(bytes(100)), "x", 10)
    assert len(source.read(8)) == 8 and len(source.read(8)) == 2 and not source.is_over
    assert source.read(8) == b"" and source.is_over
    assert len(source.from_start().read()) == 10 and not source.is_over


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/random", "/dev/null", "/dev/tty0"])
def test_devices_are_refused(device: str) -> None:
    """A device may give sound for ever."""
    if not os.path.exists(device):
        pytest.skip("there is none here")
    with pytest.raises(AudioError, match="is a device"), open_sound(device, 10):
        pass


@pytest.mark.parametrize("path", ["/proc/self/mem", "/proc/kmsg", "/proc/self/pagemap", "/proc/cpuinfo"])
def test_files_of_the_kernel_are_refused(path: str) -> None:
    """A file of no size that gives bytes when it is read, some of them for ever, is no recording."""
    if not os.path.exists(path):
        pytest.skip("there is none here")
    with pytest.raises(AudioError, match="is empty; give a recording"), open_sound(path, 10):
        pass


def test_a_socket_and_a_folder_are_refused(tmp_path: Path) -> None:
    """What cannot be opened for reading is one line."""
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(AudioError, match="device"), open_sound(tmp_path / "s", 10):
            pass
    with pytest.raises(AudioError, match="directory"), open_sound(tmp_path, 10):
        pass


def test_a_pipe_without_a_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever."""
    monkeypatch.setattr("cosyrt.sound_source.PIPE_WAIT_S", 0.2)
    os.mkfifo(tmp_path / "p")
    with pytest.raises(AudioError, match=r"gave nothing for 0\.2 s"), open_sound(tmp_path / "p", 10):
        pass


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """What a program writes into a pipe is read whole, also when the program comes late."""
    os.mkfifo(tmp_path / "p")
    writer = threading.Timer(0.3, (tmp_path / "p").write_bytes, [bytes(300_000)])
    writer.start()
    with open_sound(tmp_path / "p", 1_000_000) as source:
        assert len(source.read()) == 300_000
    writer.join()


def test_an_endless_pipe_is_refused(tmp_path: Path) -> None:
    """A pipe gives no more than the limit."""
    os.mkfifo(tmp_path / "p")
    writes = "import sys; f = open(sys.argv[1], 'wb')\nwhile True: f.write(bytes(65536))"
    with subprocess.Popen(
        [sys.executable, "-c", writes, str(tmp_path / "p")], stderr=subprocess.DEVNULL
    ) as writer:
        with pytest.raises(AudioError, match="longer than any recording"), open_sound(tmp_path / "p", 10**6):
            pass
        writer.wait(60)


def test_an_endless_open_file_is_refused() -> None:
    """A file object gives no more than the limit, in blocks."""
    asked = []

    class Endless(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            asked.append(size)
            return bytes(size)

    with pytest.raises(AudioError, match="longer than any"), open_sound(Endless(), 5_000_000):  # type: ignore[arg-type]
        pass
    assert len(asked) == 5 and max(asked) < 2_000_000
