"""The audio formats that can be written, and what each needs of its encoder."""

from __future__ import annotations

from dataclasses import dataclass

from cosyrt.errors import AudioError

_MPEG_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_MAX_HZ = 2**31 - 1  # that a header can state

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: the container and codec of FFmpeg, or neither where no library is needed.

    `rates` are what the codec can hold; other audio is resampled to the next one above.
    """

    name: str
    media_type: str
    container: str = ""
    codec: str = ""
    rates: tuple[int, ...] = ()
    most_hz: int = _MAX_HZ
    is_float: bool = True  # the codec takes floats, else 16-bit integers
    bit_rate: int = 0
    options: Options = ()  # of a whole file
    stream_options: Options = ()  # of a file that is sent while it is made
    has_metadata: bool = True

    def rate_for(self, rate: int) -> int:
        """The lowest rate that the codec has and that keeps what audio of `rate` holds, else its highest.

        Raises:
            AudioError: no file of this format can have that rate.
        """
        if rate > self.most_hz:
            raise AudioError(
                f"cannot write {self.name.upper()} at {rate} Hz (at most {self.most_hz}); "
                "resample it, such as to 48000"
            )
        if not self.rates:
            return rate
        return next((each for each in self.rates if each >= rate), self.rates[-1])


_NO_PADDING = (("metadata_header_padding", "0"),)  # else 8 KB of nothing come before the first audio
_FRAGMENTS = "frag_every_frame+empty_moov+default_base_moof+use_metadata_tags"
_WAV = Format(name="wav", media_type="audio/wav")
# One Ogg page per 20 ms: with FFmpeg's default a player hears nothing until two seconds are encoded.
_OPUS = Format(
    name="opus",
    media_type="audio/opus",
    container="ogg",
    codec="libopus",
    rates=_OPUS_RATES,
    bit_rate=48_000,
    options=(("page_duration", "20000"),),
    stream_options=(("page_duration", "20000"),),
)
FORMATS: dict[str, Format] = {
    "wav": _WAV,
    "wave": _WAV,
    "flac": Format(
        name="flac",
        media_type="audio/flac",
        container="flac",
        codec="flac",
        most_hz=655_350,
        is_float=False,
        options=_NO_PADDING,
        stream_options=_NO_PADDING,
    ),
    "pcm": Format(name="pcm", media_type="audio/pcm", has_metadata=False),
    "ogg": _OPUS,
    "opus": _OPUS,
    # A Xing header counts the frames of one file: where clients join several, players stop after one.
    "mp3": Format(
        name="mp3",
        media_type="audio/mpeg",
        container="mp3",
        codec="libmp3lame",
        rates=_MPEG_RATES,
        bit_rate=64_000,
        options=(("id3v2_version", "4"),),
        stream_options=(("id3v2_version", "4"), ("write_xing", "0")),
    ),
    "m4a": Format(
        name="m4a",
        media_type="audio/mp4",
        container="ipod",
        codec="aac",
        rates=_MPEG_RATES,
        bit_rate=64_000,
        options=(("movflags", "use_metadata_tags"),),
        stream_options=(("movflags", _FRAGMENTS),),
    ),
    "aac": Format(
        name="aac",
        media_type="audio/aac",
        container="adts",
        codec="aac",
        rates=_MPEG_RATES,
        bit_rate=64_000,
        options=(("write_id3v2", "1"),),
        stream_options=(("write_id3v2", "1"),),
    ),
    "webm": Format(
        name="webm",
        media_type="audio/webm",
        container="webm",
        codec="libopus",
        rates=_OPUS_RATES,
        bit_rate=48_000,
        stream_options=(("cluster_time_limit", "100"), ("live", "1")),
    ),
    "ulaw": Format(
        name="ulaw",
        media_type="audio/basic",
        container="mulaw",
        codec="pcm_mulaw",
        rates=(8_000,),
        is_float=False,
        has_metadata=False,
    ),
}


def format_named(name: str) -> Format:
    """Look a format up by its name or suffix, in any case.

    Raises:
        AudioError: there is none of that name.
    """
    format = FORMATS.get(name.lower())
    if format is None:
        raise AudioError(f"cannot write audio as {name!r}; use one of {', '.join(FORMATS)}")
    return format
