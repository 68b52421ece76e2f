"""The command line with the built-in voice, end to end: a real process, real models, real audio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cosyrt
from cosyrt.audio import Audio

BUILTIN = Path(cosyrt.__file__).parent / "builtin" / "cosyvoice2.yaml"
pytestmark = pytest.mark.skipif(not BUILTIN.exists(), reason="the built-in voice is not trained yet")


@pytest.fixture
def run(tmp_path):
    """Runs `cosyrt` in an empty folder with nothing on PATH that could play."""

    def process(*arguments: str, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "cosyrt", *arguments],
            input=input,
            capture_output=True,
            cwd=tmp_path,
            env=os.environ | {"PATH": "", "PYTHONPATH": str(BUILTIN.parents[2])},
            check=False,
        )

    return process


def assert_speech(audio: Audio, least_s: float, most_s: float) -> None:
    """Sound of a plausible length and level that begins and ends quietly."""
    assert least_s < audio.seconds < most_s
    assert 0.02 < np.sqrt(np.mean(audio.samples**2)) < 0.3
    assert np.abs(audio.samples).max() <= 1
    boundary = audio.rate // 100
    assert np.abs(audio.samples[-boundary:]).max() < 0.05


def test_the_first_command_speaks(run, tmp_path):
    """`cosyrt say` alone makes an audible greeting in two languages with two voices."""
    result = run("say")
    assert result.returncode == 0, result.stderr
    assert_speech(Audio.read(tmp_path / "speech.wav"), 4, 14)
    line = result.stdout.decode()
    assert line.count("\n") == 1 and "RTF" in line
    assert "," in line.split(" · ")[0]


@pytest.mark.parametrize(
    ("text", "how"),
    [
        pytest.param("The train leaves at half past nine.", (), marks=pytest.mark.slow),
        ("火车九点半开。", ("--stream",)),
        pytest.param("The train leaves at half past nine.", ("--stream",), marks=pytest.mark.slow),
        pytest.param("火车九点半开。", (), marks=pytest.mark.slow),
    ],
)
def test_text_becomes_speech(run, tmp_path, text, how):
    """One sentence of either language, whole or streamed, in a compressed file."""
    result = run("say", text, "-o", "a.mp3", "--json", *how)
    assert result.returncode == 0, result.stderr
    assert_speech(Audio.read(tmp_path / "a.mp3"), 0.9, 5)
    facts = json.loads(result.stdout)
    assert facts["voice"] and facts["family"] == "cosyvoice2"
    assert 0 < facts["first_audio_ms"] / 1000 <= facts["work_s"] + 1e-3


@pytest.mark.slow
def test_the_same_seed_says_the_same(run):
    """A seed decides every sample; standard output carries the WAV and nothing else."""
    first, again = (run("say", "Good morning.", "-o", "-", "--seed", "3").stdout for _ in range(2))
    assert first[:4] == b"RIFF"
    assert Audio.read(first) == Audio.read(again)


def test_standard_input_is_spoken(run):
    """`-` and `--stream` turn a pipe of text into a pipe of WAV."""
    result = run("say", "-", "--stream", "-o", "-", "-q", input="你好。\n".encode())
    assert result.returncode == 0, result.stderr
    samples = np.frombuffer(result.stdout[44:], "<i2").astype(np.float32) / 32_767
    assert_speech(Audio(samples, 24_000), 0.4, 3)
    assert result.stderr == b""


@pytest.mark.slow
def test_text_without_words_is_refused(run, tmp_path):
    """Punctuation alone cannot be spoken: one line, exit code 4, no file."""
    result = run("say", "?!…", "-o", "a.wav")
    assert result.returncode == 4
    assert result.stderr.startswith(b"cosyrt: ") and result.stderr.count(b"\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_voices_are_listed(run):
    """There is at least one voice a language, and each can be asked for by its name."""
    voices = json.loads(run("voices", "list", "--json").stdout)
    assert {"en", "zh"} <= {voice["language"] for voice in voices}
    assert all(voice["source"] == "built-in" for voice in voices)
