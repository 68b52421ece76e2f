"""Samples → the bytes of an audio file, all at once or while the samples are made.

An `Encoder` is given samples and gives back bytes that can be sent at once. `encode` makes a whole file,
whose header can then say how long it is. Both write the label of synthetic speech into the file.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cosyrt.errors import AudioError, one_line
from cosyrt.formats import Format, format_named
from cosyrt.labels import COMMENT, KEY, Label
from cosyrt.notice import notice

Samples = NDArray[np.float32]

UNKNOWN_LENGTH = 0xFFFF_FFFF
FULL_SCALE = 32_767


class Encoder:
    """Encodes mono audio while it is made: each push gives the bytes that are ready.

    Raises:
        AudioError: unknown format, or a rate that it cannot have.
    """

    def __init__(
        self, format: str, rate: int, *, out_rate: int | None = None, label: Label | None = None
    ) -> None:
        self.format = format_named(format)
        self.rate = self.format.rate_for(out_rate or rate)  # of what comes out
        self._resampler = _Resampler(rate, self.rate)
        self._codec = _codec(self.format, self.rate, label)
        self._to_come = notice(self.rate) if label and label.notice else _nothing()

    def push(
        self,
        samples: Samples,  # [N] in [-1, 1]
    ) -> bytes:
        """Take the next samples; give what can be sent, which may be nothing yet."""
        return self._encoded(self._resampler.push(samples))

    def close(self) -> bytes:
        """Give what was held back: no samples follow."""
        return self._encoded(self._resampler.close()) + self._codec.close()

    def _encoded(self, samples: Samples) -> bytes:
        if len(self._to_come):
            samples, self._to_come = np.concatenate([self._to_come, samples]), _nothing()
        return self._codec.push(samples) if len(samples) else b""


def encode(
    samples: Samples,  # [N] in [-1, 1]
    rate: int,
    format: str,
    *,
    out_rate: int | None = None,
    label: Label | None = None,
) -> bytes:
    """Encode a whole file, with its length in the header where the format has a place for it.

    Raises:
        AudioError: unknown format, a rate that it cannot have, or no samples.
    """
    if not len(samples):
        raise AudioError("there is no audio to write: it has 0 samples")
    kind = format_named(format)
    out_rate = kind.rate_for(out_rate or rate)
    resampler = _Resampler(rate, out_rate)
    parts = [notice(out_rate)] if label and label.notice else []
    whole = np.concatenate([*parts, resampler.push(samples), resampler.close()])
    codec = _codec(kind, out_rate, label, whole=whole)
    data = codec.push(whole) + codec.close()
    return label.signer.signed(data, kind) if label and label.signer else data


def wav_header(rate: int, data_bytes: int = UNKNOWN_LENGTH, label: Label | None = None) -> bytes:
    """Write the header of a WAV file, 16-bit mono, whose length may not be known yet."""
    chunks = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    if label is not None:
        chunks += _list_of_tags({KEY: label.text, "ICMT": COMMENT})
    behind = 4 + len(chunks) + 8
    known = data_bytes <= UNKNOWN_LENGTH - behind
    lengths = (behind + data_bytes, data_bytes) if known else (UNKNOWN_LENGTH, UNKNOWN_LENGTH)
    riff = struct.pack("<4sI4s", b"RIFF", lengths[0], b"WAVE")
    return riff + chunks + struct.pack("<4sI", b"data", lengths[1])


def pcm16(
    samples: Samples,  # [N]
) -> NDArray[np.int16]:
    """Round to 16 bits; what is beyond full scale is clipped.  → [N]"""
    return np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype("<i2")


def _nothing() -> Samples:
    return np.zeros(0, np.float32)


class _Resampler:
    """A resampler of a stream, or nothing where both rates are the same."""

    def __init__(self, rate: int, out_rate: int) -> None:
        self._stream: Any = None
        if rate != out_rate:
            import soxr

            self._stream = soxr.ResampleStream(rate, out_rate, 1, dtype="float32", quality="HQ")

    def push(self, samples: Samples) -> Samples:
        return self._resampled(samples, last=False) if self._stream else samples

    def close(self) -> Samples:
        return self._resampled(_nothing(), last=True) if self._stream else _nothing()

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        return np.asarray(self._stream.resample_chunk(samples, last=last), np.float32)


class _Codec(Protocol):
    def push(self, samples: Samples) -> bytes: ...
    def close(self) -> bytes: ...


def _codec(format: Format, rate: int, label: Label | None, *, whole: Samples | None = None) -> _Codec:
    if format.codec:
        return _FFmpegCodec(format, rate, label, is_whole=whole is not None)
    if format.has_metadata:
        return _PcmCodec(wav_header(rate, UNKNOWN_LENGTH if whole is None else 2 * len(whole), label))
    return _PcmCodec(b"")


class _PcmCodec:
    """Bare 16-bit samples behind a header, if there is one."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def push(self, samples: Samples) -> bytes:
        header, self._header = self._header, b""
        return header + pcm16(samples).tobytes()

    def close(self) -> bytes:
        return self._header  # of a file without a sample


class _FFmpegCodec:
    """A codec and container of FFmpeg (PyAV)."""

    def __init__(self, format: Format, rate: int, label: Label | None, *, is_whole: bool) -> None:
        self._format, self._rate, self._is_whole = format, rate, is_whole
        self._at = 0  # samples taken
        self._out = _Whole() if is_whole else _Pipe()
        self._container, self._stream = self._opened(label)

    def push(self, samples: Samples) -> bytes:
        for start in range(0, len(samples), self._rate):
            self._mux(self._frame(samples[start : start + self._rate]))
        return self._out.take()

    def close(self) -> bytes:
        self._mux(None)
        self._container.close()
        return self._out.taken_at_end()

    def _opened(self, label: Label | None) -> tuple[Any, Any]:
        import av

        options = self._format.options if self._is_whole else self._format.stream_options
        try:
            container: Any = av.open(self._out, "w", format=self._format.container, options=dict(options))
            stream: Any = container.add_stream(self._format.codec, rate=self._rate, layout="mono")
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"cannot write {self._format.name.upper()} at {self._rate} Hz ({one_line(error, 200)}); "
                "resample it, such as to 48000"
            ) from error
        if self._format.bit_rate:
            stream.bit_rate = self._format.bit_rate
        if label is not None and self._format.has_metadata:
            container.metadata.update({KEY: label.text, "comment": COMMENT})
        return container, stream

    def _frame(self, samples: Samples) -> Any:
        import av

        is_float = self._format.is_float
        values = np.clip(samples, -1.0, 1.0) if is_float else pcm16(samples)
        frame = av.AudioFrame.from_ndarray(values[None], format="fltp" if is_float else "s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._at
        self._at += len(samples)
        return frame

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


class _Pipe:
    """A file that can only be written to, as a socket; FFmpeg then goes back to no header."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    def taken_at_end(self) -> bytes:
        return self.take()


class _Whole(io.BytesIO):
    """A file in memory; nothing of it is taken before its header is completed."""

    def take(self) -> bytes:
        return b""

    def taken_at_end(self) -> bytes:
        return self.getvalue()


def _list_of_tags(tags: dict[str, str]) -> bytes:
    """A LIST chunk of RIFF with one INFO tag a value; names have four characters."""
    body = b"INFO"
    for name, value in tags.items():
        data = value.encode() + b"\0"
        body += struct.pack("<4sI", name.encode("ascii"), len(data)) + data + b"\0" * (len(data) % 2)
    return struct.pack("<4sI", b"LIST", len(body)) + body
