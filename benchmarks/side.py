"""Requests and inputs for both sides of a comparison, as lines of JSON.

A side is a process with a model in it. This file needs numpy and the standard library only, so that it runs
beside upstream's requirements as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosyrt.lab.child import own_peak_bytes

PROMPT_TOKENS = 75  # 3 s of reference audio
PROMPT_TEXT_TOKENS = 20
TEXT_TOKENS = 5
MELS = 80
SPEAKER_WIDTH = 192
TOKENS_PER_S = 25
FRAMES_PER_TOKEN = 2
KINDS = 100  # of text and speech tokens: no model has fewer
END_OF_PROMPT = 151_646  # which upstream's CosyVoice 3 asks for in every text


class Given:
    """One prompt, text and list of speech tokens, given to both sides; CosyVoice 3's has a mark in it."""

    def __init__(self, *, marked: bool = False) -> None:
        random = np.random.default_rng(0)
        self.prompt_speech = random.integers(0, KINDS, PROMPT_TOKENS)
        self.prompt_mel = random.normal(-6, 2, (FRAMES_PER_TOKEN * PROMPT_TOKENS, MELS)).astype(np.float32)
        self.prompt_text = random.integers(0, KINDS, PROMPT_TEXT_TOKENS)
        if marked:
            self.prompt_text[0] = END_OF_PROMPT
        self.text = random.integers(0, KINDS, TEXT_TOKENS)
        self.speaker = random.standard_normal(SPEAKER_WIDTH).astype(np.float32)

    def speech(self, count: int) -> np.ndarray:  # int64 [count]
        """Draw speech tokens, neighbours alike as in speech."""
        kinds = np.random.default_rng(1).integers(0, KINDS, count)
        return np.repeat(kinds, 2)[:count]

    def mel(self, frames: int) -> np.ndarray:  # float32 [80, frames]
        """Draw a mel of noise at the level of speech."""
        return np.random.default_rng(2).normal(-6, 2, (MELS, frames)).astype(np.float32)


class Watch:
    """A stop watch that starts when it is made."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    @property
    def s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._begin


def memory_mb() -> float:
    """Largest memory that this process has held, in MB."""
    return own_peak_bytes() / 2**20


def serve(methods: dict[str, Callable[..., Any]]) -> None:
    """Answer requests until standard input ends; whatever else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(methods[name](*arguments)), file=answers, flush=True)


class Side:
    """A process that answers requests."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        root = Path(__file__).parent.parent
        environment = os.environ | {"PYTHONPATH": str(root)}
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=root,
                env=environment,
                text=True,
                encoding="utf-8",
            )

    def ask(self, name: str, *arguments: Any) -> Any:
        """Send one request and wait for the answer.

        Raises:
            SystemExit: the process has died; its last words are in the message.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps((name, arguments)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            words = self._log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            raise SystemExit(f"{name} failed in {' '.join(self._process.args)}:\n{words}")  # type: ignore[arg-type]
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def hops(boundaries: Iterator[int], at: int) -> tuple[int, int]:
    """Find the chunk in which a token lies: its first token, and the one after its last."""
    start = 0
    for end in boundaries:
        if end > at:
            return start, end
        start = end
    raise AssertionError("schedules are endless")
