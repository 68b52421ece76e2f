"""Audio files that are made while the samples come: lengths, cuts, labels, first bytes."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.encoders import Encoder, Samples, encode, pcm16, wav_header
from cosyrt.errors import AudioError
from cosyrt.formats import FORMATS
from cosyrt.labels import COMMENT, KEY, LabelSettings
from cosyrt.notice import notice

RATE = 24_000
CONTAINERS = [name for name, format in FORMATS.items() if format.has_metadata]
LABEL = LabelSettings(producer='某公司 "A"').label("request-1")
# Lossy codecs add a delay at the start and fill the last frame; players trim it where the file says so.
PADDING_S = {"mp3": 0.12, "aac": 0.14, "m4a": 0.14, "opus": 0.05, "ogg": 0.05, "webm": 0.05}


def tone(seconds: float, rate: int = RATE) -> Samples:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def streamed(name: str, samples: Samples, cuts: list[int], **options: object) -> bytes:
    """Push what lies between the cuts, one part after the other."""
    encoder = Encoder(name, RATE, **options)  # type: ignore[arg-type]
    parts = np.split(samples, sorted(cut % (len(samples) + 1) for cut in cuts))
    return b"".join([*map(encoder.push, parts), encoder.close()])


def decoded(data: bytes) -> tuple[Samples, int, dict[str, str]]:
    """Samples, rate and tags as FFmpeg reads them."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        tags = {name.upper(): value for name, value in {**container.metadata, **stream.metadata}.items()}
        resampler = av.AudioResampler(format="flt", layout="mono")
        frames = [part for frame in container.decode(stream) for part in resampler.resample(frame)]
        return np.concatenate([part.to_ndarray()[0] for part in frames]), stream.rate, tags


@pytest.mark.parametrize("name", CONTAINERS)
@settings(max_examples=8, deadline=None)
@given(seconds=st.floats(0.05, 1.5), cuts=st.lists(st.integers(0, 1 << 20), max_size=6))
def test_any_length_in_any_parts_is_heard_whole(name: str, seconds: float, cuts: list[int]) -> None:
    """However speech is cut, the file holds all of it, as loud as it was, and nothing behind it."""
    samples = tone(seconds)
    heard, rate, _ = decoded(streamed(name, samples, cuts))

    assert 0 <= len(heard) / rate - len(samples) / RATE + 0.001 <= 0.001 + PADDING_S.get(name, 0.001)
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("name", ["wav", "flac", "pcm", "mp3", "aac", "m4a", "ulaw"])
@given(cuts=st.lists(st.integers(0, 1 << 20), max_size=6))
@settings(max_examples=8, deadline=None)
def test_the_cuts_leave_no_trace(name: str, cuts: list[int]) -> None:
    """The bytes are the same whether samples come at once or in parts."""
    samples = tone(0.4)
    assert streamed(name, samples, cuts, label=LABEL) == streamed(name, samples, [], label=LABEL)


@pytest.mark.parametrize("name", ["opus", "webm"])
def test_the_cuts_leave_no_trace_in_what_is_heard(name: str) -> None:
    """Files with a random id in them hold the same samples, whole or in parts."""
    samples = tone(0.4)
    parts, whole = (decoded(streamed(name, samples, cuts))[0] for cuts in ([1, 2_000, 2_001, 7_777], []))
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("name", ["wav", "flac"])
def test_lossless_formats_keep_16_bits(name: str) -> None:
    """Streamed WAV and FLAC hold exactly the samples that were rounded to 16 bits."""
    samples = np.random.default_rng(0).uniform(-1.2, 1.2, 30_000).astype(np.float32)
    heard, _, _ = decoded(streamed(name, samples, [9, 10_000]))
    np.testing.assert_array_equal(np.rint(heard * 32_768), pcm16(samples))


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_was_streamed_is_read_whole(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A streamed file, whose header does not say how long it is, is read to its end, without a warning."""
    audio = Audio.read(streamed(name, tone(1.3), []))
    assert 1.3 <= audio.seconds + 0.001 <= 1.301 + PADDING_S.get(name, 0)
    assert caplog.messages == []


@pytest.mark.parametrize("name", CONTAINERS)
def test_bytes_come_as_soon_as_there_is_audio(name: str) -> None:
    """The first 0.1 s gives the header, label included, and audio; later no more than 0.15 s is held back."""
    encoder = Encoder(name, RATE, label=LABEL)
    sent = [encoder.push(part) for part in np.split(tone(0.5), 5)]

    assert KEY.encode() in sent[0]
    assert len(sent[0]) > len(LABEL.text.encode()) + len(sent[1]) / 2
    heard, rate, _ = decoded(b"".join(sent))
    assert len(heard) / rate >= 0.35


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("is_whole", [True, False])
def test_every_file_carries_its_label(name: str, is_whole: bool) -> None:
    """The label and a comment in words come back from each container, whole or streamed."""
    samples = tone(0.2)
    data = encode(samples, RATE, name, label=LABEL) if is_whole else streamed(name, samples, [], label=LABEL)
    _, _, tags = decoded(data)

    assert (tags[KEY], tags["COMMENT"]) == (LABEL.text, COMMENT)


@pytest.mark.parametrize("name", CONTAINERS)
def test_without_a_label_nothing_is_said(name: str) -> None:
    """A file without a label has no tag of ours."""
    assert KEY not in decoded(streamed(name, tone(0.2), []))[2]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_file_is_as_long_as_its_header_says(name: str) -> None:
    """A file that is made at once sounds like the streamed one; its header tells its length."""
    samples = tone(1.0)
    data = encode(samples, RATE, name, label=LABEL)
    heard, rate, _ = decoded(data)
    beside, _, _ = decoded(streamed(name, samples, []))
    n = min(len(heard), len(beside)) - rate // 10

    assert len(heard) / rate == pytest.approx(1.0, abs=PADDING_S.get(name, 0) + 1e-3)
    spectra = [np.abs(np.fft.rfft(each[rate // 10 : n])) for each in (heard, beside)]
    assert spectra[0].argmax() == spectra[1].argmax()
    if name != "aac":  # ADTS is frames and nothing else
        with av.open(io.BytesIO(data)) as container:
            assert container.duration == pytest.approx(1_000_000, abs=60_000)


@given(
    rate=st.sampled_from([8_000, 22_050, 24_000]),
    out_rate=st.sampled_from([8_000, 16_000, 24_000, 48_000]),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=5),
)
@settings(max_examples=30, deadline=None)
def test_a_stream_is_resampled_as_a_whole_is(rate: int, out_rate: int, cuts: list[int]) -> None:
    """In parts or at once, samples at another rate are those that the resampler makes of the whole."""
    samples = tone(0.3, rate)
    encoder = Encoder("pcm", rate, out_rate=out_rate)
    parts = np.split(samples, sorted(cut % (len(samples) + 1) for cut in cuts))
    data = b"".join([*map(encoder.push, parts), encoder.close()])
    expected = pcm16(soxr.resample(samples, rate, out_rate, quality="HQ"))

    made = np.frombuffer(data, "<i2")
    assert (encoder.rate, len(made)) == (out_rate, len(expected))
    np.testing.assert_allclose(made, expected, atol=1)


def test_the_notice_is_heard_before_the_speech() -> None:
    """Where labels are to be heard, the tones come first, once, however the speech is cut."""
    label = LabelSettings(notice=True).label()
    samples, sound = tone(0.2), notice(RATE)
    expected = pcm16(np.concatenate([sound, samples])).tobytes()

    assert streamed("pcm", samples, [5, 900], label=label) == expected
    assert encode(samples, RATE, "pcm", label=label) == expected


def test_telephone_audio_is_bare_mu_law() -> None:
    """`ulaw` is 8000 bytes a second, without a header."""
    assert len(encode(tone(1.0), RATE, "ulaw")) == 8_000


def test_a_header_of_no_length_and_of_too_much() -> None:
    """A WAV header says no length while it is unknown, and beyond the four gigabytes that it can state."""
    assert wav_header(RATE)[-4:] == b"\xff" * 4
    assert wav_header(RATE, 1 << 33) == wav_header(RATE)
    assert len(wav_header(RATE)) == 44
    assert wav_header(RATE, 10)[4:8] == (46).to_bytes(4, "little")


def test_nothing_to_encode() -> None:
    """A whole file needs samples; a stream that ends before its first one is a file without sound."""
    with pytest.raises(AudioError, match="0 samples"):
        encode(np.zeros(0, np.float32), RATE, "mp3")
    assert Encoder("wav", RATE).close() == wav_header(RATE)


def test_what_cannot_be_encoded_says_so_at_once() -> None:
    """An unknown format and a rate that it cannot have are refused before any sample."""
    with pytest.raises(AudioError, match="use one of"):
        Encoder("avi", RATE)
    with pytest.raises(AudioError, match="cannot write FLAC at 700000 Hz"):
        Encoder("flac", RATE, out_rate=700_000)
