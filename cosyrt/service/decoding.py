"""Uploaded recordings, decoded in a process of their own: a decoder that crashes or hangs ends alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from cosyrt.audio import Audio
from cosyrt.errors import AudioError, CosyrtError

LONGEST_S = 15.0  # to decode half a minute of sound
MEMORY_BYTES = 1_500_000_000  # of addresses; a fraction of it is used
CPU_S = 10
FILE_BYTES = 1_000_000
UNREADABLE = "the recording cannot be decoded; convert it to WAV or FLAC"


def decode(recording: bytes, max_s: float) -> Audio:
    """Decode a recording of at most so many seconds.

    Raises:
        AudioError: it cannot be decoded, or is longer.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, repr(max_s)],
            input=recording,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders write thousands of lines about a damaged file
            timeout=LONGEST_S,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AudioError(UNREADABLE) from error
    head, _, samples = child.stdout.partition(b"\n")
    answer = _answer(head) if child.returncode == 0 else {"error": UNREADABLE}
    if "error" in answer:
        raise AudioError(str(answer["error"]))
    return Audio(np.frombuffer(samples, "<f4"), int(answer["rate"]))


def _answer(head: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(head)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"error": UNREADABLE}


# In the child:


def _child(max_s: float) -> None:
    """Decode standard input; write one line of JSON, and the samples behind it."""
    _limit()
    out = sys.stdout.buffer
    try:
        audio = Audio.read(sys.stdin.buffer.read(), max_s=max_s)
    except CosyrtError as error:
        out.write(json.dumps({"error": str(error)}).encode() + b"\n")
        return
    out.write(json.dumps({"rate": audio.rate}).encode() + b"\n")
    out.write(audio.samples.astype("<f4").tobytes())


def _limit() -> None:
    """Give this process little memory and time, and no large files, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    _child(float(sys.argv[1]))
