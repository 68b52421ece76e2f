"""cosyrt tune: options, the table, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.lab import tune as tuning
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

    assert found["plan"]["parts"] == {}
    assert {row["candidate"] for row in found["rows"]} >= {"bf16", "int8"}
    assert Path(found["file"]).is_file()


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


@pytest.mark.parametrize(
    ("option", "value"), [("--budget", "soon"), ("--budget", "0"), ("--allow", "exact,float4")]
)
def test_options_that_cannot_be_used(option: str, value: str) -> None:
    """One line that says what is wrong, exit code 2."""
    done = CliRunner().invoke(main, ["tune", option, value])

    assert done.exit_code == 2
    assert value.rpartition(",")[2] in done.output and done.output.count("\n") == 1
