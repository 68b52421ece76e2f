"""cosyrt tune: options, the table, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.lab import tune as tuning
from cosyrt.lab.approximate import Approximations, SolverTrial
from cosyrt.lab.timing import Speedup
from cosyrt.lab.tune import Tuning
from cosyrt.models.solver import euler
from tests.lab.test_tune import acted


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plans are kept out of the user's cache."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path))


def test_the_table_has_losers_and_reasons(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    """Every candidate has its line, chosen or not, and the plan comes last."""
    acted(monkeypatch, 1.5)
    done = CliRunner().invoke(main, ["tune", str(tiny_folder), "--device", "cpu"])

    assert done.exit_code == 0, done.output
    assert "llm 57%" in done.output
    assert "chosen" in done.output and "of the work" in done.output
    assert "the plan" in done.output and "times as fast as the plain way" in done.output


def test_json_is_one_object(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    """Rows with measured figures, the plan, and where it is."""
    acted(monkeypatch, 0.9)
    done = CliRunner().invoke(main, ["tune", str(tiny_folder), "--device", "cpu", "--json"])
    found = json.loads(done.stdout)

    assert set(found["plan"]["parts"]) == {"llm"}  # together they were not faster
    assert {row["candidate"] for row in found["rows"]} >= {"bf16", "int8"}
    assert Path(found["file"]).is_file()


def test_speech_in_chunks_has_a_line_where_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    """The line says what is gained and how far it is from the whole piece; so does JSON."""
    acted(monkeypatch, 1.5)
    command = ["tune", str(tiny_folder), "--device", "cpu", "--allow", "exact,half,chunked"]
    told = " ".join(CliRunner().invoke(main, command).output.split())
    found = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)

    assert "Whole speech in chunks" in told and "2.00 dB from that of the whole piece: chosen" in told
    assert found["chunked"]["distance_db"] == 2.0 and found["plan"]["chunked"] is True


def test_streams_are_tuned_for_beside_a_single_one(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path
) -> None:
    """Two plans, each with its table or its JSON object and a file of its own."""
    acted(monkeypatch, 1.5)
    command = ["tune", str(tiny_folder), "--device", "cpu", "--streams", "4"]
    told = CliRunner().invoke(main, command)
    one, four = map(json.loads, CliRunner().invoke(main, [*command, "--json"]).stdout.splitlines())

    assert told.output.count("times as fast as the plain way") == 2 and "4 utterances at once" in told.output
    assert (one["streams"], four["streams"]) == (1, 4)
    assert four["plan"]["made_for"]["streams"] == "4" and four["file"].endswith("-4streams.json")
    assert Path(one["file"]).is_file() and Path(four["file"]).is_file()


def test_a_plan_that_cannot_be_kept_is_told_first(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, tmp_path: Path
) -> None:
    """Not after the minutes that tuning takes: a file in the place of the folder, before any trial."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "file" / "plans"))
    monkeypatch.setattr(tuning, "call_in_child", lambda *_, **__: pytest.fail("measured"))
    done = CliRunner().invoke(main, ["tune", str(tiny_folder), "--device", "cpu"])

    assert done.exit_code == 2
    assert "Not a directory; set COSYRT_PLANS" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_an_approximation_is_allowed_by_name(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, tmp_path: Path
) -> None:
    """The solvers have a table of their own; the one that won is in the plan, and pairs are written."""
    acted(monkeypatch, 0.9)
    solver = SolverTrial(
        name="4 steps",
        solver=euler(4, 0.7),
        distance_db=0.4,
        closeness="close",
        flow=Speedup(median=2.0, low=1.9, high=2.1),
    )
    found = Approximations(shipped_db=0.3, seeds_db=9.0, trials=[solver], floor=1.02)
    monkeypatch.setattr(Tuning, "approximations", lambda *_: found)
    command = ["tune", str(tiny_folder), "--device", "cpu", "--allow"]
    as_close = CliRunner().invoke(main, [*command, "exact,approximate"])
    close = CliRunner().invoke(
        main, [*command, "exact,approximate:close", "--listen", str(tmp_path / "pairs")]
    )

    assert as_close.exit_code == close.exit_code == 0, as_close.output + close.output
    assert "0.30 dB away, and another seed 9.00 dB" in as_close.output
    assert "The flow takes" not in as_close.output
    assert "The flow takes 4 steps: 2.00 times." in close.output
    assert (tmp_path / "pairs" / "key.json").is_file()


def test_there_must_be_something_to_listen_to(tmp_path: Path) -> None:
    """Pairs need an approximation, which is never allowed by itself; their folder must be new."""
    (tmp_path / "file").write_text("")
    alone = CliRunner().invoke(main, ["tune", "--listen", str(tmp_path / "new")])
    full = CliRunner().invoke(main, ["tune", "--allow", "approximate", "--listen", str(tmp_path)])

    assert alone.exit_code == full.exit_code == 2
    assert "needs an approximation" in alone.output and "is not empty" in full.output


@pytest.mark.parametrize(
    ("option", "value"),
    [("--budget", "soon"), ("--budget", "0"), ("--allow", "exact,float4"), ("--allow", "approximate:wild")],
)
def test_options_that_cannot_be_used(option: str, value: str) -> None:
    """One line that says what is wrong, exit code 2."""
    done = CliRunner().invoke(main, ["tune", option, value])

    assert done.exit_code == 2
    assert value.rpartition(",")[2] in done.output and done.output.count("\n") == 1
