"""The judges from packages: skipped where they are not installed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judges import JUDGE_HZ, DistillMos, DnsMos, JudgeError, Whisper, _check, at_level, missing
from benchmarks.recogniser import mistakes, words
from cosyrt import Audio
from recipes.builtin_voice.teacher import SAMPLE_HZ, Flite


def tone(level: float, silent_s: float = 0.0) -> Audio:
    """A second of 200 Hz, after silence."""
    time = np.arange(24_000) / 24_000
    samples = np.pad(level * np.sin(2 * np.pi * 200 * time), (int(silent_s * 24_000), 0))
    return Audio(samples.astype(np.float32), 24_000)


def rms_dbfs(samples: np.ndarray) -> float:
    """Level of the last half second."""
    return float(10 * np.log10(np.mean(samples[-JUDGE_HZ // 2 :].astype(np.float64) ** 2)))


@pytest.mark.parametrize("audio", [tone(0.01), tone(0.9), tone(0.1, silent_s=3.0)])
def test_loudness_and_silence_have_no_say(audio: Audio) -> None:
    """Whatever the level and however long the silence around it, speech is judged at -23 dBFS."""
    assert rms_dbfs(at_level(audio)) == pytest.approx(-23, abs=0.3)


def test_silence_stays_silence() -> None:
    """There is no level to set, of nothing and of silence."""
    assert not at_level(Audio(np.zeros(9_600, np.float32), 24_000)).any()
    assert at_level(Audio(np.zeros(10, np.float32), 24_000)).size


def test_other_weights_are_another_judge() -> None:
    """Weights with another sum are refused: their figures could not be compared."""
    with pytest.raises(JudgeError, match="Whisper"):
        _check(b"other weights", "0" * 64, "Whisper")


def test_what_is_not_installed_is_named() -> None:
    """The answer names the packages to install."""
    assert missing("numpy", "no_such_judge") == ["no_such_judge"]


@pytest.fixture
def speech() -> Audio:
    """An ordinary sentence of the teacher."""
    try:
        teacher = Flite()
    except OSError:
        pytest.skip("flite is not installed")
    return Audio(teacher.say("She put the kettle on and opened the window.", []).samples, SAMPLE_HZ)


def installed(kind: type[Whisper] | type[DistillMos] | type[DnsMos]) -> None:
    """Skips the test where the judge is not there."""
    if absent := missing(*kind.packages):
        pytest.skip(f"{kind.name} needs {', '.join(absent)}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the judges' own dependencies
def test_whisper_hears_words(speech: Audio) -> None:
    """The sentence is understood, and what was heard before changes nothing."""
    installed(Whisper)
    whisper = Whisper()
    first = whisper.text(speech, "en")
    assert mistakes(words("she put the kettle on and opened the window"), words(first)) <= 1
    whisper.text(tone(0.3), "en")
    assert whisper.text(speech, "en") == first


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the judges' own dependencies
@pytest.mark.parametrize("kind", [DistillMos, DnsMos])
def test_noise_sounds_worse_than_speech(kind: type[DistillMos] | type[DnsMos], speech: Audio) -> None:
    """Every score falls by a point when the speech is drowned in noise, and loudness does not count."""
    installed(kind)
    judge = kind()
    noise = np.random.default_rng(0).normal(0, 0.1, len(speech.samples)).astype(np.float32)
    good, noisy = judge.scores(speech), judge.scores(Audio(speech.samples + noise, speech.rate))
    quiet = judge.scores(Audio(speech.samples / 20, speech.rate))
    for name, score in good.items():
        assert 1 <= noisy[name] < score - 0.8 <= 4.2
        assert quiet[name] == pytest.approx(score, abs=0.05)
