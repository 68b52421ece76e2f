"""Uploaded recordings, read in a process of their own: a decoder that crashes or hangs ends alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from cosyrt.audio import Audio
from cosyrt.errors import AudioError, CosyrtError
from cosyrt.label_check import check_label

LONGEST_S = 15.0  # to decode half a minute of sound
MEMORY_BYTES = 1_500_000_000  # of addresses; a fraction of it is used
CPU_S = 10
FILE_BYTES = 1_000_000
LABEL = "label"  # instead of a length: its label is wanted, not its sound
UNREADABLE = "the recording cannot be decoded; convert it to WAV or FLAC"


def decode(recording: bytes, max_s: float) -> Audio:
    """Decode a recording of at most so many seconds.

    Raises:
        AudioError: it cannot be decoded, or is longer.
    """
    answer, samples = _asked(recording, repr(max_s))
    return Audio(np.frombuffer(samples, "<f4"), int(answer["rate"]))


def label_in(recording: bytes) -> dict[str, Any]:
    """Look for the label of synthetic speech in a file.

    Raises:
        AudioError: it cannot be read.
    """
    return _asked(recording, LABEL)[0]


def _asked(recording: bytes, wanted: str) -> tuple[dict[str, Any], bytes]:
    """What the child answers about a recording, and the samples behind it."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, wanted],
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
    return answer, samples


def _answer(head: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(head)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"error": UNREADABLE}


# In the child:


def _child(wanted: str) -> None:
    """Read standard input; write one line of JSON, and the samples behind it if they are wanted."""
    _limit()
    recording, samples = sys.stdin.buffer.read(), b""
    try:
        if wanted == LABEL:
            answer = check_label(recording).as_json()
        else:
            audio = Audio.read(recording, max_s=float(wanted))
            answer, samples = {"rate": audio.rate}, audio.samples.astype("<f4").tobytes()
    except CosyrtError as error:
        answer = {"error": str(error)}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + samples)


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
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)  # none may be raised
        resource.setrlimit(kind, (allowed, allowed))


if __name__ == "__main__":
    _child(sys.argv[1])
