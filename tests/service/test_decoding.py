"""Uploaded recordings are decoded in a child: whatever they do to it, the service reads on."""

from __future__ import annotations

import io
import sys
import time
import zlib

import numpy as np
import pytest
import soundfile

from cosyrt.audio import Audio
from cosyrt.errors import AudioError
from cosyrt.service import decoding
from cosyrt.service.decoding import decode
from tests.service.forms import recording


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
def test_it_hears_what_the_library_hears(format: str) -> None:
    """The child gives the samples that are read without it."""
    data = recording(format)

    assert decode(data, 30.0) == Audio.read(data)


def bomb() -> bytes:
    """A small file of an hour of silence."""
    out = io.BytesIO()
    soundfile.write(out, np.zeros(3_600 * 8_000, np.int16), 8_000, format="FLAC")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot read"),
        (b"RIFF", "cannot read"),
        (zlib.compress(b"x" * 10_000), "cannot read"),
        (recording("wav", 31.0), "longer than 30 s"),
        (bomb(), "longer than 30 s"),
    ],
    ids=["empty", "cut", "no audio", "long", "bomb"],
)
def test_what_is_no_recording(data: bytes, message: str) -> None:
    """The error is one line, and comes from the child."""
    with pytest.raises(AudioError, match=message):
        decode(data, 30.0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    "crime",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "print('{')",
        "print('[]')",
        "import time; time.sleep(60)",
    ],
    ids=["crash", "cut answer", "no answer", "hang"],
)
def test_a_child_that_dies_or_hangs(monkeypatch: pytest.MonkeyPatch, crime: str) -> None:
    """A decoder that is killed, talks nonsense or does not end is one request's error."""
    real = decoding.subprocess.run
    monkeypatch.setattr(decoding, "LONGEST_S", 1.0)
    monkeypatch.setattr(
        decoding.subprocess, "run", lambda command, **options: real([sys.executable, "-c", crime], **options)
    )
    began = time.monotonic()
    with pytest.raises(AudioError, match="cannot be decoded"):
        decode(b"x" * 100, 30.0)
    assert time.monotonic() - began < 30  # it does not wait for what hangs


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_a_child_has_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory beyond the limit is refused to the child alone."""
    real = decoding.subprocess.run
    greedy = "from cosyrt.service import decoding; decoding._limit(); print(len(bytes(3_000_000_000)))"
    seen = []

    def run(command: list[str], **options: object) -> object:
        seen.append(real([sys.executable, "-c", greedy], **options))  # type: ignore[call-overload]
        return seen[-1]

    monkeypatch.setattr(decoding.subprocess, "run", run)
    with pytest.raises(AudioError):
        decode(b"", 30.0)
    assert seen[0].returncode != 0
