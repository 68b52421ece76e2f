"""Mono audio in memory: read from files, resampled, joined, and written to files.

numpy only. Files are read by libsndfile, and by FFmpeg (PyAV) where libsndfile does not know the format.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cosyrt.errors import AudioError, one_line
from cosyrt.files import replace_file

Samples = NDArray[np.float32]

_SAMPLES_AT_ONCE = 1 << 18
_FULL_SCALE = 32_767
_HIGHEST_HZ = 2**31 - 1  # that a file's header can state
# Only containers that hold their own audio: a playlist (HLS, concat) makes FFmpeg open other files.
_READABLE = (
    "mov,mp4,matroska,webm,ogg,mp3,aac,flac,wav,aiff,amr,ac3,asf,avi,flv,mpegts,mpeg,caf,au,w64,ape,wv"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format to write audio in: by libsndfile when `codec` is empty, by FFmpeg otherwise.

    `rates` are what the codec can hold; other audio is resampled to the next one above.
    """

    container: str
    codec: str = ""
    rates: tuple[int, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    bit_rate: int = 0


_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
# One Ogg page per 20 ms: with FFmpeg's default a player hears nothing until two seconds are encoded.
_OPUS = Format(
    container="ogg",
    codec="libopus",
    rates=(8_000, 12_000, 16_000, 24_000, 48_000),
    options=(("page_duration", "20000"),),
    bit_rate=48_000,
)
FORMATS: dict[str, Format] = {
    "wav": Format(container="WAV"),
    "flac": Format(container="FLAC"),
    "pcm": Format(container="RAW"),
    "ogg": _OPUS,
    "opus": _OPUS,
    "mp3": Format(container="mp3", codec="libmp3lame", rates=_MPEG_RATES, bit_rate=64_000),
    "m4a": Format(container="ipod", codec="aac", rates=_MPEG_RATES, bit_rate=64_000),
    "aac": Format(container="adts", codec="aac", rates=_MPEG_RATES, bit_rate=64_000),
}


@dataclass(frozen=True)
class Audio:
    """Mono audio: samples and their rate.

    Raises:
        AudioError: samples that are not one row of finite float32, or a rate that is not a positive integer.
    """

    samples: Samples  # [N] in [-1, 1]
    rate: int  # samples a second

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise AudioError(
                f"audio is {samples.dtype} of shape {list(samples.shape)}; "
                "give mono floats in [-1, 1] of shape [N]"
            )
        _check_rate(self.rate)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
            samples = np.ascontiguousarray(samples, np.float32)
        if not np.isfinite(samples).all():
            raise AudioError("audio holds NaN or infinite samples; export it again")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", int(self.rate))

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
    def read(cls, source: str | Path | BinaryIO, *, max_s: float | None = None) -> Audio:
        """Read a file, or an open binary file, of any format libsndfile or FFmpeg knows; downmix to mono.

        Raises:
            AudioError: no such file, not bytes, not audio, no or NaN samples, more than `max_s` seconds.
        """
        name, data = _load(source)
        samples, rate = _decode(data, name, max_s)
        if not len(samples):
            raise AudioError(f"{name} holds no audio; give a recording that plays in a media player")
        if not np.isfinite(samples).all():
            raise AudioError(f"{name} holds NaN or infinite samples; export it again")
        return cls(samples, rate)

    def write(self, path: str | Path, format: str | None = None) -> None:
        """Write by suffix (or `format`); the file appears whole or not at all, a pipe stays a pipe.

        Raises:
            AudioError: unknown suffix, nothing to write, or the folder cannot be written.
        """
        path = Path(path)
        data = self.to_bytes(format or path.suffix.removeprefix(".") or "no suffix")
        try:
            replace_file(path, data)
        except (OSError, ValueError) as error:
            raise AudioError(f"cannot write {path}: {_reason(error)}") from error

    def to_bytes(self, format: str) -> bytes:
        """Encode as a whole file in memory; `pcm` is 16-bit little-endian without a header.

        Raises:
            AudioError: unknown format, one that cannot hold the rate, or nothing to write.
        """
        kind = FORMATS.get(format.lower())
        if kind is None:
            raise AudioError(f"cannot write audio as {format!r}; use one of {', '.join(FORMATS)}")
        if not len(self.samples):
            raise AudioError("there is no audio to write: it has 0 samples")
        if kind.container == "RAW":
            return _pcm16(self.samples).tobytes()
        return _encode(self, kind) if kind.codec else _write_sndfile(self, kind)

    @classmethod
    def join(cls, parts: Iterable[Audio]) -> Audio:
        """Concatenate several audios.

        Raises:
            AudioError: no parts, or parts of different rates.
        """
        parts = list(parts)
        if not parts:
            raise AudioError("cannot join no audio; give one part at least")
        rates = {part.rate for part in parts}
        if len(rates) != 1:
            raise AudioError(f"cannot join audio of rates {sorted(rates)}; resample to one rate first")
        return cls(np.concatenate([part.samples for part in parts]), rates.pop())


def _check_rate(rate: object) -> None:
    if not isinstance(rate, (int, np.integer)) or not 1 <= rate <= _HIGHEST_HZ:
        raise AudioError(f"audio has a rate of {rate!r} Hz; give a whole number, such as 24000")


def _load(source: str | Path | BinaryIO) -> tuple[str, bytes]:
    name, advice = str(source), "check the path"
    if not isinstance(source, (str, Path)):
        name, advice = getattr(source, "name", "the audio"), "give a file that is open in binary mode"
    try:
        data = Path(source).read_bytes() if isinstance(source, (str, Path)) else source.read()
    except (OSError, ValueError) as error:  # ValueError: a path that is none, a file that was closed
        raise AudioError(f"cannot read {name}: {_reason(error)}; {advice}") from error
    if not isinstance(data, (bytes, bytearray)):
        raise AudioError(f"cannot read {name}: it gives {type(data).__name__}, not bytes; {advice}")
    return str(name), data


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)


def _decode(data: bytes, name: str, max_s: float | None) -> tuple[Samples, int]:
    import soundfile

    try:
        with soundfile.SoundFile(_Data(data)) as file:
            return _collect(_blocks(file), int(file.samplerate), name, max_s)
    except soundfile.LibsndfileError:
        return _decode_ffmpeg(data, name, max_s)


def _decode_ffmpeg(data: bytes, name: str, max_s: float | None) -> tuple[Samples, int]:
    import av

    options = {"format_whitelist": _READABLE}
    try:
        with av.open(io.BytesIO(data), options=options, metadata_errors="replace") as container:
            stream = next((each for each in container.streams.audio if each.codec_context), None)
            if stream is None or not stream.rate:
                raise AudioError(f"{name} has no audio that can be decoded; convert it to WAV or FLAC")
            return _collect(_frames(container, stream), stream.rate, name, max_s)
    except (av.FFmpegError, ValueError) as error:  # ValueError: the stream changes its layout midway
        raise AudioError(
            f"cannot read {name} as audio ({_reason(error)}); convert it to WAV or FLAC"
        ) from error


class _Data(io.BytesIO):
    """Bytes in which a seek before the start goes to the start.

    A damaged file makes libsndfile do that, and Python would write a traceback.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}[whence]
        return super().seek(max(0, start + offset))


def _blocks(file: Any) -> Iterator[Samples]:
    """Read blocks until the data ends; the length in the header is not trusted."""
    while len(block := file.read(_SAMPLES_AT_ONCE, dtype="float32", always_2d=True)):
        yield block.mean(axis=1)


def _frames(container: Any, stream: Any) -> Iterator[Samples]:
    import av

    # Interleaved: PyAV reads past the end of planar frames of many channels.
    resampler = av.AudioResampler(format="flt", rate=stream.rate)
    for decoded in chain(container.decode(stream), [None]):
        for frame in resampler.resample(decoded):
            yield frame.to_ndarray().reshape(-1, frame.layout.nb_channels).mean(axis=1)


def _collect(
    parts: Iterator[Samples],
    rate: int,
    name: str,
    max_s: float | None,
) -> tuple[Samples, int]:
    kept: list[Samples] = [np.zeros(0, np.float32)]
    left = float("inf") if max_s is None else int(max_s * rate)
    for part in parts:
        kept.append(part)
        left -= len(part)
        if left < 0:
            raise AudioError(f"{name} is longer than {max_s:g} s; cut it to at most that")
    return np.concatenate(kept), rate


def _pcm16(
    samples: Samples,  # [N]
) -> NDArray[np.int16]:
    return np.rint(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype("<i2")


def _write_sndfile(audio: Audio, kind: Format) -> bytes:
    import soundfile

    out = io.BytesIO()
    try:
        soundfile.write(out, _pcm16(audio.samples), audio.rate, format=kind.container, subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        reason = one_line(error.error_string)
        raise AudioError(
            f"cannot write {kind.container} at {audio.rate} Hz ({reason}); resample it, such as to 48000"
        ) from error
    return out.getvalue()


def _encode(audio: Audio, kind: Format) -> bytes:
    import av

    rate = next((rate for rate in kind.rates if rate >= audio.rate), kind.rates[-1])
    samples = np.clip(audio.resample(rate).samples, -1.0, 1.0)
    out = io.BytesIO()
    with av.open(out, "w", format=kind.container, options=dict(kind.options)) as container:
        stream: Any = container.add_stream(kind.codec, rate=rate, layout="mono")
        stream.bit_rate = kind.bit_rate
        for start in range(0, len(samples), rate):
            frame = av.AudioFrame.from_ndarray(
                samples[None, start : start + rate], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
