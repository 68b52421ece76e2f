"""The standard streams: each may be closed when the program starts, and is then None."""

from __future__ import annotations

import contextlib
import os
import sys
from io import BufferedReader
from typing import BinaryIO, cast

from cosyrt.errors import UsageError

STDOUT = 1


def is_watched() -> bool:
    """Whether standard error is a terminal, where progress is worth showing."""
    return sys.stderr is not None and sys.stderr.isatty()


def standard_input() -> BufferedReader:
    """Its bytes.

    Raises:
        UsageError: it is closed.
    """
    if sys.stdin is None:
        raise UsageError("- reads standard input, which is closed; give the text itself")
    return cast(BufferedReader, sys.stdin.buffer)


def standard_output() -> BinaryIO:
    """Its bytes, for a WAV file.

    Raises:
        UsageError: it is closed, or a terminal.
    """
    if sys.stdout is None:
        raise UsageError("-o - writes to standard output, which is closed; give a file's name")
    if sys.stdout.isatty():
        raise UsageError("-o - writes a WAV file to a terminal; add > speech.wav, or | a player")
    return sys.stdout.buffer


def drop_output() -> None:
    """Forget what standard output did not take, so that it does not fail once more when Python exits."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
