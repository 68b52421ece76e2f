"""Mono audio in memory: read from files, resampled, joined, and written to files.

numpy only. Files are read by libsndfile, and by FFmpeg (PyAV) where libsndfile does not know the format.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from cosyrt.arguments import check_kind, checked_items, mono_floats, path_of, shown, write_open
from cosyrt.encoders import encode
from cosyrt.errors import AudioError, UsageError, one_line
from cosyrt.files import replace_file
from cosyrt.labels import Label
from cosyrt.sound_file import read_sound
from cosyrt.sound_source import Openable

Samples = NDArray[np.float32]
Source = str | PathLike[str] | BinaryIO | bytes | bytearray | memoryview  # a file, or what is in it

_HIGHEST_HZ = 2**31 - 1  # that a file's header can state
_WHOLE_IN_NOTEBOOK_S = 60


@dataclass(frozen=True, eq=False, repr=False)
class Audio:
    """Mono audio: samples and their rate.

    The samples are copied from an array, a torch tensor or a list of floats, [N] or one row [1, N].

    Raises:
        AudioError: samples that are not one row of finite floats, or a rate that is not a positive integer.
    """

    samples: Samples  # [N] in [-1, 1]
    rate: int  # samples a second

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        object.__setattr__(self, "samples", mono_floats(self.samples))
        object.__setattr__(self, "rate", int(self.rate))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Audio):
            return NotImplemented
        return self.rate == other.rate and np.array_equal(self.samples, other.samples)

    def __hash__(self) -> int:
        return hash((self.rate, len(self.samples)))  # what writing into the samples does not change

    def __len__(self) -> int:
        return len(self.samples)

    def __add__(self, other: Audio) -> Audio:
        return Audio.join([self, other])

    def __radd__(self, other: object) -> Audio:
        if isinstance(other, int) and other == 0:  # where `sum` begins
            return self
        raise UsageError(f"cannot join {shown(other)}; give only Audio")

    def __repr__(self) -> str:
        return f"<Audio {self.seconds:.2f} s, {len(self.samples)} samples at {self.rate} Hz>"

    def _repr_html_(self) -> str:
        """A player for notebooks; long audio is compressed, because the notebook's file keeps it."""
        if not self.samples.size:
            return html.escape(repr(self))
        format, kind = ("wav", "audio/wav") if self.seconds <= _WHOLE_IN_NOTEBOOK_S else ("mp3", "audio/mpeg")
        data = base64.b64encode(self.to_bytes(format)).decode("ascii")
        return f'<audio controls src="data:{kind};base64,{data}"></audio>'

    def play(self) -> None:
        """Play on the loudspeaker and wait until it has been heard.

        Raises:
            AudioError: there is no sound device, or it failed.
        """
        from cosyrt.playback import play

        play(self)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate

    def resample(self, rate: int) -> Audio:
        """Resample to `rate` samples a second (soxr, high quality).

        Raises:
            AudioError: a rate that is not a positive integer.
        """
        _check_rate(rate)
        if rate == self.rate:
            return self
        import soxr

        return Audio(soxr.resample(self.samples, self.rate, rate, quality="HQ"), rate)

    @classmethod
    def read(cls, source: Audio | Source, *, max_s: float | None = None) -> Audio:
        """Read a file, an open binary file or its bytes, in any format libsndfile or FFmpeg knows, as mono.

        Of a file that is cut or damaged, or still being recorded, what is there is read, with a warning. No
        more is read than `max_s` seconds need; without it, than four hours do.

        Raises:
            UsageError: nothing that could be read, such as None or samples without their rate.
            AudioError: no such file, a device, not bytes, not audio, no or NaN samples, more than `max_s`
                seconds.
        """
        if isinstance(source, Audio):  # has been read
            return source
        if max_s is not None:
            check_kind(max_s, Real, "max_s", "give a number of seconds")
            if not 0 < max_s < inf:
                raise UsageError(f"max_s is {max_s}; give a number of seconds above 0, or None for no limit")
        if not isinstance(source, (bytes, bytearray, memoryview)) and not hasattr(source, "read"):
            source = path_of(
                source, "audio is read from", "; samples and their rate make an Audio(samples, rate)"
            )
        name, samples, rate = read_sound(cast("Openable", source), max_s)
        if not len(samples):
            raise AudioError(f"{name} holds no audio; give a recording that plays in a media player")
        try:
            return cls(samples, rate)
        except AudioError as error:
            raise AudioError(str(error).replace("audio", name, 1)) from error

    def write(
        self,
        target: str | PathLike[str] | BinaryIO,
        format: str | None = None,
        *,
        label: Label | None = None,
    ) -> None:
        """Write by suffix (or `format`); the file appears whole or not at all, a pipe stays a pipe.

        An open binary file is written from where it stands, and stays open; without a name it gets WAV.
        A label says in the file that the speech is synthetic, as `cosyrt.labels` describes.

        Raises:
            UsageError: a format that is no str; neither a path nor a file that is open for writing bytes.
            AudioError: unknown suffix, nothing to write, or the folder cannot be written.
        """
        check_kind(format, str | None, "the format", "give a str, such as 'wav'")
        if hasattr(target, "write"):
            write_open(target, self.to_bytes(_format_of(target, format), label=label))
            return
        path = path_of(target, "audio is written to")
        data = self.to_bytes(format or path.suffix.removeprefix(".") or "no suffix", label=label)
        try:
            replace_file(path, data)
        except (OSError, ValueError) as error:
            raise AudioError(f"cannot write {path}: {_reason(error)}") from error

    def to_bytes(self, format: str, *, label: Label | None = None) -> bytes:
        """Encode as a whole file in memory; `pcm` is 16-bit little-endian without a header.

        A label says in the file that the speech is synthetic, as `cosyrt.labels` describes.

        Raises:
            AudioError: unknown format, one that cannot hold the rate, or nothing to write.
        """
        check_kind(format, str, "the format", "give a str, such as 'wav'")
        return encode(self.samples, self.rate, format, label=label)

    @classmethod
    def join(cls, parts: Iterable[Audio]) -> Audio:
        """Concatenate several audios.

        Raises:
            AudioError: no parts, or parts of different rates. UsageError: parts that are no `Audio`.
        """
        parts = [parts] if isinstance(parts, Audio) else checked_items(parts, Audio, "cannot join")
        if not parts:
            raise AudioError("cannot join no audio; give one part at least")
        rates = {part.rate for part in parts}
        if len(rates) != 1:
            raise AudioError(f"cannot join audio of rates {sorted(rates)}; resample to one rate first")
        return cls(np.concatenate([part.samples for part in parts]), rates.pop())


def _check_rate(rate: object) -> None:
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise UsageError(f"the rate of audio is {shown(rate)}; give a whole number, such as 24000")
    if not isinstance(rate, Integral) or not 1 <= int(rate) <= _HIGHEST_HZ:
        raise AudioError(f"audio has a rate of {rate!r} Hz; give a whole number, such as 24000")


def _format_of(file: object, format: str | None) -> str:
    """The format that was asked for, else the one that the name of an open file ends in, else WAV."""
    name = getattr(file, "name", "")
    return format or (Path(name).suffix.removeprefix(".") if isinstance(name, str) else "") or "wav"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)
