"""Audio of speech tokens; pieces of which nothing can be heard are said again, never taken for speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cosyrt.engine.audio_stream import AudioStream, Give, HeldBack, Steps, Taken, heard_frames
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import SpeechError
from tests.engine.pipelines import SHORT, joined, other, same

LOUD = (0.1 * np.sin(np.arange(2_400) * 0.1)).astype(np.float32)
NOISE = 1e-5 * np.random.default_rng(0).standard_normal(2_400).astype(np.float32)


@pytest.mark.parametrize("level", [0.01, 0.1, 1.0])
def test_quiet_speech_is_heard(level: float) -> None:
    """Speech at 40 dB below full scale is heard, frame by frame."""
    speech = (level / 0.1) * LOUD

    assert heard_frames(speech) == 5
    assert heard_frames(np.concatenate([NOISE, speech[:960], NOISE])) == 2


@pytest.mark.parametrize(
    "silence",
    [NOISE, 100 * NOISE, np.zeros(9_600, np.float32), np.full(960, 0.5, np.float32), np.zeros(0, np.float32)],
)
def test_silence_is_not_heard(silence: np.ndarray) -> None:
    """The noise of a vocoder, what is 60 dB below full scale, and an offset."""
    assert heard_frames(silence) == 0


def test_speech_must_be_as_long_as_its_text_needs() -> None:
    """More of a long text must be heard than a click."""
    given: list[np.ndarray] = []
    held = HeldBack(np.zeros(3, np.float32), given.append, least_frames=7)
    held.push(LOUD)
    assert not given and not held.is_heard
    held.push(LOUD)
    assert held.is_heard and len(np.concatenate(given)) == 2 * len(LOUD) + 3


def test_silence_is_held_back_until_sound_comes() -> None:
    """Nothing of a piece that is heard is lost or reordered; of one that is not, nothing is given."""
    given: list[np.ndarray] = []
    held = HeldBack(np.zeros(3, np.float32), given.append)
    held.push(NOISE)
    assert not given and not held.is_heard
    held.push(LOUD)
    held.push(NOISE)

    assert held.is_heard
    assert np.array_equal(np.concatenate(given), np.concatenate([np.zeros(3), NOISE, LOUD, NOISE]))


def test_what_is_dropped_is_not_heard() -> None:
    """A second attempt begins with the silence that leads the piece, and without the first."""
    given: list[np.ndarray] = []
    held = HeldBack(np.zeros(3, np.float32), given.append)
    held.push(NOISE)
    held.drop()
    held.push(LOUD)

    assert np.array_equal(np.concatenate(given), np.concatenate([np.zeros(3), LOUD]))


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Make so many first pieces silent; the lengths of all pieces are kept."""
    piece, lengths = AudioStream._piece, list[int]()

    def first(count: int) -> list[int]:
        left = count

        def quiet(self: AudioStream, take: Callable[[], Taken], give: Give) -> Steps:
            nonlocal left
            left -= 1
            level = 1.0 if left < 0 else 0.0

            def give_quietly(samples: np.ndarray) -> None:
                lengths.append(len(samples))
                give(samples * level)

            return piece(self, take, give_quietly)

        monkeypatch.setattr(AudioStream, "_piece", quiet)
        return lengths

    return first


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_silent_piece_is_said_again_with_another_seed(
    tiny: Pipeline,
    silent: Callable[[int], list[int]],
    streamed: bool,
    overlap: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Text of two pieces, the first silent once: all is heard, and the logger says so."""
    silent(1)
    text = [SHORT, " " + SHORT]
    tts = other(tiny, overlap=overlap)
    audio = joined(tts.stream(text)) if streamed else tts.say(text).samples

    assert heard_frames(audio)
    assert any("said again with another seed" in line for line in caplog.messages)


def test_speech_that_is_heard_is_said_once(tiny: Pipeline, silent: Callable[[int], list[int]]) -> None:
    """No second attempt is made for what can be heard."""
    lengths = silent(0)
    audio = tiny.say(SHORT)

    assert sum(lengths) == len(audio)
    assert same(tiny.say(SHORT).samples, audio.samples, 0)


def test_silence_is_no_success(tiny: Pipeline, silent: Callable[[int], list[int]]) -> None:
    """Silent twice, `say` and `stream` are a SpeechError that names the transcript."""
    for speak in (
        lambda: tiny.say(SHORT),
        lambda: list(tiny.stream(SHORT)),
        lambda: list(tiny.stream(iter([SHORT]))),
    ):
        silent(99)
        with pytest.raises(SpeechError, match="check the transcript"):
            speak()
