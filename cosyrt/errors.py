"""Every error a user can meet. The message is one line: what was wrong, the value, what to do.

CosyrtError
├── UsageError            an option or argument that cannot be used            exit 2
├── ModelError            the model folder                                     exit 3
│   ├── ModelNotFound       no folder, no model description, or a file missing
│   ├── ConfigError         the model description cannot be read
│   ├── WeightsError        a tensor is missing, left over or has the wrong shape
│   └── ArchiveError        an exported archive that is damaged or not of this model
├── TextError             text that cannot be spoken                           exit 4
├── AudioError            audio that cannot be read, written or used           exit 5
├── VoiceError            a voice that cannot be used                          exit 6
│   └── VoiceNotFound       no voice of that name
├── MissingDependency     an optional package or program is not installed      exit 7
├── SpeechError           the models failed to make speech                     exit 1
│   └── ReplicaLost         the machine that was speaking went away
├── Busy                  too many requests at once; come back later           exit 1
├── Cancelled             the request was cancelled before its end             exit 1
├── DeadlineError         the request was not over by its deadline             exit 1
└── ServiceError          the service refused (cosyrt/service/errors.py)       exit 8
"""

from __future__ import annotations

import re

INTERRUPTED = 130  # exit code: 128 + SIGINT, as a shell reports it
_LONG_WORD = r"(\S{100})\S{101,}(\S{100})"  # compiled when first needed: it takes a part of the import


def one_line(error: object, longest: int | None = None) -> str:
    """The message of a foreign error in one line, cut to at most `longest` characters."""
    return " ".join(str(error).split())[:longest]


def shortened(message: str) -> str:
    """A message in which very long words, such as a path of thousands of letters, have lost their middle."""
    return re.sub(_LONG_WORD, r"\1…\2", message)


def reason_of(error: BaseException) -> str:
    """The message of an error in one short line, or its class where it has none."""
    return one_line(error, 200) or type(error).__name__


def reason_in(report: str) -> str:
    """The error at the end of a foreign report of many lines, such as a traceback, in one short line."""
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line or "Exception: " in line]
    return one_line((errors or lines or ["no reason was given"])[-1], 300)


def kind_and_reason(error: BaseException, longest: int | None = None) -> str:
    """The class and the message of an error in one line."""
    return f"{type(error).__name__}: {one_line(error, longest)}"


class CosyrtError(Exception):
    """Base of every error that is not a bug of ours."""

    exit_code = 1

    def __str__(self) -> str:
        return shortened(super().__str__())


class UsageError(CosyrtError):
    """An option or argument that cannot be used."""

    exit_code = 2


class ModelError(CosyrtError):
    """The model folder cannot be used."""

    exit_code = 3


class ModelNotFound(ModelError):
    """No such folder, no model description in it, or one of its files is missing."""


class ConfigError(ModelError):
    """The model description cannot be read as data."""


class WeightsError(ModelError):
    """A tensor is missing, left over, or has the wrong shape or type."""


class ArchiveError(ModelError):
    """An exported archive is missing, damaged, or was not made from this model by this torch."""


class TextError(CosyrtError):
    """The text cannot be spoken."""

    exit_code = 4


class AudioError(CosyrtError):
    """The audio cannot be read, written or used."""

    exit_code = 5


class VoiceError(CosyrtError):
    """The voice cannot be used with this model."""

    exit_code = 6


class VoiceNotFound(VoiceError):
    """No voice has that name."""


class MissingDependency(CosyrtError):
    """An optional package or program is needed and not installed."""

    exit_code = 7


class SpeechError(CosyrtError):
    """The models failed to make speech."""


class ReplicaLost(SpeechError):
    """The replica of a cluster that was speaking went away: the rest of the audio is missing."""

    def __init__(self, message: str, piece: int) -> None:
        super().__init__(message)
        self.piece = piece  # of the text, in which it happened; the first is 1

    def __reduce__(self) -> tuple[type[ReplicaLost], tuple[str, int]]:
        """Let it be pickled with both of its values."""
        return type(self), (str(self), self.piece)


class Busy(CosyrtError):
    """More requests than can be kept waiting: this one was not taken, and may be asked again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s  # until there should be a place

    def __reduce__(self) -> tuple[type[Busy], tuple[str, float]]:
        """Let it be pickled with both of its values."""
        return type(self), (str(self), self.retry_after_s)


class Cancelled(CosyrtError):
    """The request was cancelled before its end: what was given out of its audio is not all of it."""


class DeadlineError(CosyrtError):
    """The request was not over by its deadline."""
