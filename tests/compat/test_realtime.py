"""The backend's class: its methods, pieces in order, side by side for long texts alone."""

from __future__ import annotations

import inspect
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.audio import Audio
from cosyrt.compat import CosyvoiceRealTimeTTS, realtime
from cosyrt.engine.request import Request
from cosyrt.engine.ticket import Ticket, TicketState
from cosyrt.errors import AudioError, Busy, SpeechError, UsageError, VoiceError, VoiceNotFound

LONG = "".join(f"Sentence {'o' * (20 - 4 * number)} {number}。" for number in range(3, 7)) + 80 * " "


@pytest.fixture(scope="module")
def backend(spelling_folder: Path, clip: str) -> Iterator[CosyvoiceRealTimeTTS]:
    with CosyvoiceRealTimeTTS(str(spelling_folder), clip, max_queue=3) as tts:
        yield tts


def generated(made: tuple[np.ndarray, int] | None) -> np.ndarray:
    """The samples of a call that must give some."""
    assert made is not None and made[1] == 24_000
    samples = made[0]
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert np.isclose(np.abs(samples).max(), 1)
    return samples


def test_the_signatures_are_the_backends() -> None:
    """Names, order and defaults as the backend's programs call them."""
    kind = CosyvoiceRealTimeTTS
    for function, expected in (
        (
            kind.__init__,
            {"model_path": ..., "reference_audio_path": None, "max_queue": 10, "load_jit": False},
        ),
        (kind.generate_audio, {"text": ..., "use_clone": True, "max_workers": None}),
        (kind.generate_audio_with_speaker, {"text": ..., "spk_id": ..., "max_workers": None}),
        (kind.text_to_speech, {"text": ..., "use_clone": True, "output_file": None}),
        (kind.audio_to_wav_bytes, {"audio_data": ..., "sample_rate": ...}),
        (kind.audio_to_wav_file, {"audio_data": ..., "sample_rate": ..., "output_file": ...}),
    ):
        made = list(inspect.signature(function).parameters.values())[1:]
        assert {p.name: ... if p.default is p.empty else p.default for p in made} == expected


def test_it_speaks(backend: CosyvoiceRealTimeTTS) -> None:
    """Samples with a peak of 1, in the reference voice or the model's own, the same each time."""
    samples = generated(backend.generate_audio("你好。Hello!"))
    own = generated(backend.generate_audio("你好。Hello!", use_clone=False))

    assert backend.sample_rate == 24_000
    assert not np.array_equal(samples, own)
    assert np.array_equal(samples, generated(backend.generate_audio("你好。Hello!")))


@pytest.mark.parametrize("text", ["", "  ", "。！", "?"])
def test_a_text_without_a_word_is_none(backend: CosyvoiceRealTimeTTS, tmp_path: Path, text: str) -> None:
    """As the backend: no audio, no file."""
    assert backend.generate_audio(text) is None
    assert backend.generate_audio_with_speaker(text, "ann") is None
    assert backend.text_to_speech(text, output_file=str(tmp_path / "a.wav")) is False
    assert list(tmp_path.iterdir()) == []


def test_a_kept_voice_speaks(own_folder: Path, clip: str) -> None:
    """A speaker that was added to the model inside speaks by its name."""
    with CosyvoiceRealTimeTTS(own_folder, clip) as tts:
        assert tts.ref_wav is not None and tts.ref_wav.shape == (1, 32_000)
        tts.cosyvoice.add_zero_shot_spk(
            prompt_text="My words.", prompt_speech_16k=tts.ref_wav, zero_shot_spk_id="me"
        )
        samples = generated(tts.generate_audio_with_speaker("Hello you.", "me"))
        assert not np.array_equal(samples, generated(tts.generate_audio_with_speaker("Hello you.", "ann")))
        with pytest.raises(VoiceNotFound, match="no voice is called 'bob'"):
            tts.generate_audio_with_speaker("Hello.", "bob")


def test_reference_and_transcript_may_be_assigned(spelling_folder: Path, clip: str) -> None:
    """The next call speaks with them; the text that the backend comes with is not taken for a transcript."""
    with CosyvoiceRealTimeTTS(spelling_folder, clip) as tts:
        timbre = generated(tts.generate_audio("Hello you."))
        tts.sample_text = "My words."
        words = generated(tts.generate_audio("Hello you."))
        voice = tts.cosyvoice.tts.voice_from(clip, "My words.", as_recorded=True)
        expected = tts.cosyvoice.tts.say("Hello you.", voice=voice)
        assert not np.array_equal(timbre, words)
        assert np.allclose(words, expected.samples / np.abs(expected.samples).max(), atol=1e-4)
        tts.ref_wav = torch.from_numpy(np.random.default_rng(5).uniform(-0.1, 0.1, (1, 40_000)).astype("f4"))
        assert not np.array_equal(words, generated(tts.generate_audio("Hello you.")))


def test_a_model_without_voices_clones(own_folder: Path, clip: str) -> None:
    """The published model has no voice of its own: without `use_clone` the reference speaks there too."""
    (own_folder / "spk2info.safetensors").unlink()
    with CosyvoiceRealTimeTTS(own_folder, clip) as tts:
        cloned, own = (generated(tts.generate_audio("Hello.", use_clone=use)) for use in (True, False))
        assert np.array_equal(cloned, own)
    with (
        CosyvoiceRealTimeTTS(own_folder) as tts,
        pytest.raises(VoiceError, match="comes without voices; give a reference clip"),
    ):
        tts.generate_audio("Hello.")


def test_a_missing_reference_warns(
    spelling_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The model speaks in its own voice, and says so when it is opened and when it is asked to clone."""
    with CosyvoiceRealTimeTTS(spelling_folder, tmp_path / "no.wav") as tts:
        assert tts.ref_wav is None and "no.wav" in caplog.messages[0]
        samples = generated(tts.generate_audio("Hello."))
        assert any(message.startswith("there is no reference audio:") for message in caplog.messages[1:])
        assert np.array_equal(samples, generated(tts.generate_audio("Hello.", use_clone=False)))


@pytest.mark.parametrize("shape", [(480,), (1, 480), (2, 480), (480, 2), (480, 1)])
def test_wav_is_written(backend: CosyvoiceRealTimeTTS, tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Mono of 16 bits with a peak of 1, as bytes or in a file whose folders are made."""
    audio = np.random.default_rng(0).uniform(-0.2, 0.2, shape)
    data = backend.audio_to_wav_bytes(audio, 24_000)
    backend.audio_to_wav_file(audio, 24_000, str(tmp_path / "a" / "b.wav"))

    assert (tmp_path / "a" / "b.wav").read_bytes() == data
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.channels, file.subtype, file.samplerate, file.frames) == (1, "PCM_16", 24_000, 480)
        assert np.isclose(np.abs(file.read()).max(), 1, atol=1e-3)


def test_silence_stays_silent(backend: CosyvoiceRealTimeTTS) -> None:
    """Nothing is divided by a peak of nought."""
    samples, _ = soundfile.read(io.BytesIO(backend.audio_to_wav_bytes(np.zeros(10), 24_000)))
    assert samples.tolist() == [0.0] * 10


def test_speech_goes_into_a_file(
    backend: CosyvoiceRealTimeTTS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name that is given, or a new one in the folder `audio`; one that cannot be is told."""
    monkeypatch.chdir(tmp_path)
    assert backend.text_to_speech("Hello.", output_file="here.wav") is True
    assert backend.text_to_speech("Hello.", False) is True
    (made,) = (tmp_path / "audio").iterdir()
    assert made.name.startswith("tts_output_")
    assert Audio.read("here.wav").seconds > 0 < Audio.read(made).seconds
    with pytest.raises(AudioError, match="cannot write"):
        backend.text_to_speech("Hello.", output_file="here.wav/there.wav")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("你好。再见！", ["你好。", "再见！"]),
        ("Hi! You; there?", ["Hi!", "You;", "there?"]),
        ("。。！", []),
        ("没有标点", ["没有标点"]),
        ("A。！B", ["A。", "B"]),
    ],
)
def test_text_is_cut_at_its_marks(backend: CosyvoiceRealTimeTTS, text: str, pieces: list[str]) -> None:
    """Sentences with their marks; what has no word is left out."""
    assert backend.split_text_by_punctuation(text) == pieces


@given(st.text(alphabet="ab 。！?；你", max_size=60))
def test_no_word_is_lost(text: str) -> None:
    """Joined, the pieces hold every word in order."""
    cut = CosyvoiceRealTimeTTS.split_text_by_punctuation
    pieces = cut(CosyvoiceRealTimeTTS, text)  # type: ignore[arg-type]

    assert [c for c in "".join(pieces) if c.isalpha()] == [c for c in text if c.isalpha()]


class Watched:
    """Stands before the scheduler and counts what is under way."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler, self.load = scheduler, scheduler.load
        self.texts: list[Any] = []
        self.tickets: list[Ticket] = []
        self.most_under_way = 0

    def submit(self, request: Request) -> Ticket:
        """Pass the request on."""
        ticket: Ticket = self.scheduler.submit(request)
        self.texts.append(request.text)
        self.tickets.append(ticket)
        self.most_under_way = max(self.most_under_way, sum(not each.ended for each in self.tickets))
        return ticket


@pytest.fixture
def watched(backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The scheduler of the backend, under watch."""
    watch = Watched(backend.scheduler)
    monkeypatch.setitem(vars(backend), "scheduler", watch)
    return watch


@pytest.fixture(scope="module")
def in_order(backend: CosyvoiceRealTimeTTS) -> np.ndarray:
    """The pieces of the long text, each spoken alone, one after another."""
    voice = backend._voice(True, LONG)
    said = [backend.cosyvoice.tts.say(piece + "。", voice=voice) for piece in LONG.strip("。 ").split("。")]
    samples: np.ndarray = Audio.join(said).samples
    return samples / np.abs(samples).max()


@pytest.mark.parametrize("workers", [1, 5])
def test_pieces_stay_in_order(
    backend: CosyvoiceRealTimeTTS, watched: Watched, in_order: np.ndarray, workers: int
) -> None:
    """However many pieces are spoken side by side, the text is heard from its beginning to its end."""
    samples = generated(backend.generate_audio(LONG, max_workers=workers))

    assert "".join(watched.texts) == LONG.strip()
    assert watched.most_under_way <= min(workers, backend.max_queue)
    assert np.allclose(samples, in_order, atol=1e-4)


def test_short_text_is_never_parallel(backend: CosyvoiceRealTimeTTS, watched: Watched) -> None:
    """Below a hundred characters one piece follows the other, whatever was asked."""
    backend.generate_audio("One。Two。Three。", max_workers=8)

    assert len(watched.texts) == 3 and watched.most_under_way == 1


def test_a_failure_is_told_and_ends_the_work(
    backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a piece comes out; nothing goes on behind it, and the next text is spoken."""
    submit = backend.scheduler.submit

    def failing(request: Request) -> Ticket:
        ticket = submit(request)
        if "5" in str(request.text):
            ticket.end(TicketState.FAILED, SpeechError("no speech"))
        return ticket

    with monkeypatch.context() as patched:
        patched.setattr(backend.scheduler, "submit", failing)
        with pytest.raises(SpeechError, match="no speech"):
            backend.generate_audio(LONG, max_workers=2)
    generated(backend.generate_audio("Hello."))
    assert backend.scheduler.load().active == backend.scheduler.load().queued == 0


@pytest.mark.parametrize(("share", "times"), [(0.5, 0), (0.9, 1)])
def test_memory_is_cleaned_by_threshold(
    backend: CosyvoiceRealTimeTTS, monkeypatch: pytest.MonkeyPatch, share: float, times: int
) -> None:
    """Once a text and only when memory is short, never after each piece."""
    monkeypatch.setattr(realtime, "_memory_share", lambda _: share)
    cleaned: list[int] = []
    monkeypatch.setattr(realtime.gc, "collect", lambda: cleaned.append(1) or 0)
    generated(backend.generate_audio("Hi。Ho。"))

    assert len(cleaned) == times


def test_many_callers_wait_for_each_other(spelling_folder: Path, clip: str) -> None:
    """A web server calls from many threads: all are served, more than the scheduler takes at once too."""
    with CosyvoiceRealTimeTTS(spelling_folder, clip, max_queue=1) as tts:
        made: list[np.ndarray] = []
        threads = [
            threading.Thread(target=lambda: made.append(generated(tts.generate_audio("Hi."))))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(made) == 5 and all(np.array_equal(made[0], each) for each in made)


def test_after_closing_nothing_is_taken(spelling_folder: Path) -> None:
    """Closing ends the thread; a later call is refused, not kept waiting for ever."""
    tts = CosyvoiceRealTimeTTS(spelling_folder)
    tts.close()  # before there is anything to close
    generated(tts.generate_audio("Hello."))
    tts.close()
    with pytest.raises(Busy):
        tts.generate_audio("Hello.")


def test_mistakes_are_one_line(spelling_folder: Path, clip: str, backend: CosyvoiceRealTimeTTS) -> None:
    """No text, no room in the queue, a file that is no recording."""
    with pytest.raises(UsageError, match="the text is None"):
        backend.generate_audio(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="max_queue is 0"):
        CosyvoiceRealTimeTTS(spelling_folder, clip, max_queue=0)
    with pytest.raises(AudioError, match=r"cosyvoice2\.yaml"):
        CosyvoiceRealTimeTTS(spelling_folder, spelling_folder / "cosyvoice2.yaml")
