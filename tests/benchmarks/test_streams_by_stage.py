"""The table of what several utterances at once gain in each stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import streams_by_stage
from benchmarks.streams_by_stage import Cell, main, table
from cosyrt.accel.contract import PARTS, Part
from cosyrt.lab.workload import Length


def test_the_gain_is_one_stream_over_several() -> None:
    """Each part has a line, and all together are the sum of the parts."""
    cells: dict[Cell, float] = {("plain", 1): 40.0, ("plain", 4): 10.0, ("plan", 1): 20.0, ("plan", 4): 10.0}
    found: dict[Part, dict[Cell, float]] = {part: dict(cells) for part in PARTS}
    head, _, llm, *_, every = table(found, ["plain", "plan"], (1, 4)).splitlines()

    assert head == "| stage | plain, 1 | plain, 4 | plan, 1 | plan, 4 | gain, plain | gain, plan |"
    assert llm == "| language model | 40.0 | 10.0 | 20.0 | 10.0 | 4.00 | 2.00 |"
    assert every == "| all | 160.0 | 40.0 | 80.0 | 40.0 | 4.00 | 2.00 |"


def test_some_stages_alone(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A large model is measured in several goes; each table is of what was asked for."""
    main([str(tiny_folder), "--streams", "2", "--passes", "1", "--parts", "encode", "vocode"])
    lines = capsys.readouterr().out.splitlines()

    assert [line.split("|")[1].strip() for line in lines[2:]] == ["encoder", "vocoder", "all"]


def test_every_stage_is_measured(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tiny model, plain and with an int8 language model, for one stream and for two."""
    monkeypatch.setattr(streams_by_stage, "SPOKEN", Length(30, 0, True))
    main([str(tiny_folder), "--streams", "2", "--passes", "1", "--plan", "llm=int8"])
    lines = capsys.readouterr().out.splitlines()

    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        *streams_by_stage.TITLES.values(),
        "all",
    ]
    assert all(float(cell) > 0 for line in lines[2:] for cell in line.split("|")[2:-1])
