"""`cosyrt convert` around the conversion: recordings in, files and streams out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from cosyrt import playback
from cosyrt.cli import main
from tests.cli.conftest import tone


@pytest.fixture
def run(tones, tmp_path, monkeypatch):
    """Runs the command in a folder with one recording, on a machine without sound."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(playback, "find_device", lambda: None)
    tone(10).write(Path("mine.wav"))
    return lambda *arguments: CliRunner().invoke(main, ["convert", *arguments])


@pytest.mark.parametrize("how", [(), ("--stream",)])
def test_a_recording_is_said_by_a_voice(run, tones, tmp_path, how):
    """The recording and the voice reach the pipeline, the file holds what it gave, the line tells."""
    result = run("mine.wav", "--voice", "mei", "--speed", "2", "--seed", "3", "-o", "out.wav", "--json", *how)
    asked = tones.asked[0]
    assert (asked.voice, asked.speed, asked.seed, asked.source.seconds) == ("mei", 2.0, 3, 0.1)
    assert soundfile.info(tmp_path / "out.wav").frames == 2 * 2_400
    assert json.loads(result.stdout)["voice"] == "mei"


def test_without_a_name_the_default_voice_speaks(run, tones):
    """--voice may be left out, as in `say`."""
    assert run("mine.wav", "-o", "out.wav").exit_code == 0
    assert tones.asked[0].voice == "ann"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.wav"], 5, "none.wav"),
        (["mine.wav", "--voice", "bob"], 6, "no voice is called 'bob'"),
        (["mine.wav", "-o", "a.xyz"], 5, "a.xyz names no audio format"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, code, message):
    """One line on standard error with the exit code of its kind."""
    result = run(*arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
