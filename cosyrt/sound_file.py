"""The bytes of a recording → mono samples, by libsndfile, or by FFmpeg (PyAV) where libsndfile finds none.

Nothing that a file says about its length is trusted: reading ends with what is allowed. What is cut or
damaged is read up to there, with a warning.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.errors import AudioError
from cosyrt.sound_source import Openable, SoundSource, open_sound, reason

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]

# Of all channels. Small, because a block in which a damage lies is lost as a whole.
_NUMBERS_AT_ONCE = 1 << 13
_HIGHEST_RECORDED_HZ = 384_000
LONGEST_S = 4 * 3_600.0  # of a file that is read without a limit
BYTES_PER_SECOND = 2_000_000  # of stereo in 32 bits at 192 kHz, and a little
SPARE_BYTES = 32_000_000  # for a picture, a title, a film around a short sound
UNKNOWN_LENGTH = 2**63 - 1  # of FLAC that was streamed; libsndfile loses the end of it
# libsndfile notes so that a chunk is longer in its header than in the file. A recorder that cannot go back to
# its header leaves a length there that no recording has; some count a few bytes of header as sound.
SHORTER = re.compile(r"(\d+) \(should be (\d+)\)")
NO_LENGTH, FEW_BYTES = 0x7FFF_0000, 1_024
# Ogg (RFC 3533): a page has at most 65,307 bytes; the last of a stream has this flag.
LAST_PAGE_BYTES, OGG_FLAGS_AT, OGG_LAST = 65_307, 5, 4
MIN_FOUND_S = 0.1  # less than that behind an empty header is its next chunk
# Only containers that hold their own audio: a playlist (HLS, concat) makes FFmpeg open other files.
READABLE = "mov,mp4,matroska,webm,ogg,mp3,aac,flac,wav,aiff,amr,ac3,asf,avi,flv,mpegts,mpeg,caf,au,w64,ape,wv"


def read_sound(source: Openable, max_s: float | None) -> tuple[str, Floats, int]:
    """The name of a recording, its samples [N] and their rate.

    Raises:
        AudioError: it cannot be opened or decoded, or is longer than `max_s` seconds, four hours if None.
    """
    longest = LONGEST_S if max_s is None else max_s
    with open_sound(source, int(longest * BYTES_PER_SECOND) + SPARE_BYTES) as opened:
        samples, rate = _decode(opened, longest)
        return opened.name, samples, rate


def _decode(source: SoundSource, max_s: float) -> tuple[Floats, int]:
    """Floats by libsndfile, or by FFmpeg where libsndfile finds none.

    MP3 is left to FFmpeg: libsndfile's decoder writes to the terminal about every damage.
    """
    import soundfile

    if _is_mp3(source):
        return _decode_ffmpeg(source, max_s)
    try:
        with soundfile.SoundFile(source.from_start()) as file:
            if file.frames == UNKNOWN_LENGTH:
                return _decode_ffmpeg(source, max_s)
            samples, rate = _collect(_blocks(file, source), int(file.samplerate), source, max_s)
    except soundfile.LibsndfileError:
        return _decode_ffmpeg(source, max_s)
    if len(samples):
        return samples, rate
    # The header of a file that is still being recorded says that it holds nothing.
    with suppress(AudioError):
        found, found_hz = _decode_ffmpeg(source, max_s)
        if len(found) >= found_hz * MIN_FOUND_S:
            log.warning(
                "%s says that it holds no audio, but %.1f s are there; is it still being recorded?",
                source.name,
                len(found) / found_hz,
            )
            return found, found_hz
    return samples, rate


def _is_mp3(source: SoundSource) -> bool:
    """Whether it begins like MPEG audio: with a title (ID3), or with a frame of its third layer."""
    head = source.from_start().read(3)
    return head == b"ID3" or (len(head) == 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)


def _decode_ffmpeg(source: SoundSource, max_s: float) -> tuple[Floats, int]:
    import av

    options = {"format_whitelist": READABLE}
    try:
        with av.open(source.from_start(), options=options, metadata_errors="replace") as container:
            stream = next((each for each in container.streams.audio if each.codec_context), None)
            if stream is None or not stream.rate:
                raise AudioError(f"{source.name} has no audio that can be decoded; convert it to WAV or FLAC")
            return _collect(_decoded(container, stream, source), stream.rate, source, max_s)
    except (av.FFmpegError, ValueError) as error:  # ValueError: the stream changes its layout midway
        raise AudioError(
            f"cannot read {source.name} as audio ({reason(error)}); convert it to WAV or FLAC"
        ) from error


def _blocks(file: Any, source: SoundSource) -> Iterator[Floats]:
    """Read blocks until the data or its sense ends; the length in the header is not trusted."""
    import soundfile

    count, found = max(1, _NUMBERS_AT_ONCE // file.channels), False
    while True:
        try:
            block = file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            if not found:
                raise
            _warn_of_damage(source)
            return
        if not len(block):
            if _ends_early(file, source):
                _warn_of_damage(source)
            return
        found = True
        yield block.mean(axis=1)


def _ends_early(file: Any, source: SoundSource) -> bool:
    """Tell whether a file, read to its end, is shorter than its header says or lacks its last page."""
    if file.format != "OGG":
        lengths = [(int(said), int(found)) for said, found in SHORTER.findall(file.extra_info)]
        return any(said - found > FEW_BYTES and said < NO_LENGTH for said, found in lengths)
    source.seek(-LAST_PAGE_BYTES, io.SEEK_END)
    end = source.read(LAST_PAGE_BYTES)
    flags = end.rfind(b"OggS") + OGG_FLAGS_AT
    return not (flags < len(end) and end[flags] & OGG_LAST)


def _decoded(container: Any, stream: Any, source: SoundSource) -> Iterator[Floats]:
    import av

    # Interleaved: PyAV reads past the end of planar frames of many channels.
    resampler = av.AudioResampler(format="flt", rate=stream.rate)
    found = False
    damage: Exception | None = None
    packets = chain(container.demux(stream), [None])
    while True:
        try:
            packet = next(packets)
            decoded = [None] if packet is None else packet.decode()
            frames = [each for frame in decoded for each in resampler.resample(frame)]
        except StopIteration:
            break
        except av.FFmpegError as error:  # of one packet; the next may be whole
            damage = damage or error
            continue
        except ValueError as error:  # the stream changes its layout midway
            damage = damage or error
            break
        for frame in frames:
            found = True
            yield frame.to_ndarray().reshape(-1, frame.layout.nb_channels).mean(axis=1)
    if damage is not None:
        if not found:
            raise damage
        _warn_of_damage(source)


def _warn_of_damage(source: SoundSource) -> None:
    log.warning("%s is damaged or cut: what can be read of it is used", source.name)


def _collect(
    parts: Iterator[Floats],
    rate: int,
    source: SoundSource,
    max_s: float,
) -> tuple[Floats, int]:
    """Join parts until they are longer than allowed, by the clock or by what any recording has."""
    kept: list[Floats] = [np.zeros(0, np.float32)]
    left = int(max_s * min(rate, _HIGHEST_RECORDED_HZ))
    for part in parts:
        kept.append(part)
        left -= len(part)
        if left < 0 or source.is_over:
            raise AudioError(f"{source.name} is longer than {max_s:g} s; cut it to at most that")
    if source.is_over:
        raise AudioError(
            f"{source.name} holds more than {source.most} bytes around its audio; convert it to WAV or FLAC"
        )
    return np.concatenate(kept), rate
