"""cosyrt bench --streams: a table, an object, a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.cli.bench_streams import bench_streams, numbers_of
from cosyrt.engine.pipeline import Pipeline
from cosyrt.lab.streams import Listener, StreamsConfig, StreamsResult, summary

COMMAND = ["bench", "--streams", "1,2", "--seconds", "1", "--device", "cpu"]


@pytest.mark.slow
def test_json_has_both_engines(tiny_folder: Path) -> None:
    """The machine is named, and each number of streams has a line for each engine."""
    done = CliRunner().invoke(main, [*COMMAND, str(tiny_folder), "--json"])
    found = json.loads(done.stdout)

    assert {(each["streams"], each["engine"]) for each in found["results"]} == {
        (streams, engine) for streams in (1, 2) for engine in ("scheduler", "threads")
    }
    assert found["machine"]["cpu"] and set(found["carried"]) == {"scheduler", "threads"}


@pytest.mark.slow
def test_the_table_and_the_picture(tiny_folder: Path, tmp_path: Path) -> None:
    """The last line says what each engine carries; the picture is drawn where matplotlib is."""
    pytest.importorskip("matplotlib")
    picture = tmp_path / "streams.svg"
    done = CliRunner().invoke(main, [*COMMAND, str(tiny_folder), "--plot", str(picture)])

    assert done.exit_code == 0, done.output
    assert "Most streams at once without a gap and without a refusal" in done.stdout
    assert picture.read_text().count("streams at once") >= 1


@pytest.mark.parametrize("streams", ["", "0", "two", "1,,2", "100000"])
def test_numbers_that_are_none(streams: str) -> None:
    """One line, before the model is loaded."""
    done = CliRunner().invoke(main, ["bench", "--streams", streams])

    assert done.exit_code == 2 and "names no numbers of streams" in done.output


def test_the_numbers_are_measured_in_order() -> None:
    """Each once: an engine that breaks down at one is given no more listeners."""
    assert numbers_of("8,2,2, 4") == (2, 4, 8)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--streams", "2", "--texts", "short"], "--texts means nothing beside --streams; leave it out"),
        (["--streams", "2", "--concurrency", "4"], "--concurrency means nothing beside --streams"),
        (["--seconds", "60"], "--seconds needs --streams; give both, or leave it out"),
    ],
)
def test_options_of_the_other_measurement(given: list[str], words: str) -> None:
    """What would be passed over without a word is refused before the model is loaded."""
    done = CliRunner().invoke(main, ["bench", *given])

    assert done.exit_code == 2 and words in done.output


def test_an_interrupt_prints_what_was_measured(
    tiny: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An hour of measuring is not lost with the last number of streams."""

    def interrupted(*args: object) -> Iterator[StreamsResult]:
        yield summary("scheduler", 2, [Listener(audio_s=2.0, first_audio_s=0.1)], seconds=4.0)
        raise KeyboardInterrupt

    monkeypatch.setattr("cosyrt.lab.streams.streams_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench_streams(tiny, StreamsConfig(streams=(2, 4)))
    assert "scheduler: 2, threads: 0" in capsys.readouterr().out
