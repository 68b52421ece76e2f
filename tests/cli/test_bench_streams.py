"""cosyrt bench --streams: a table, an object, a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main

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
