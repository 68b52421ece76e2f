"""`cosyrt bench` on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.lab import bench as benchmark
from cosyrt.lab.child import Outcome

QUICK = ("--device", "cpu", "--texts", "short", "--passes", "1")


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is measured in tests/lab/test_bench.py."""
    monkeypatch.setattr(benchmark, "call_in_child", lambda *args, **options: Outcome(failure="not measured"))


def test_json_has_texts_ways_and_the_machine(tiny_folder: Path) -> None:
    """One object; what cannot be run is in it with its reason."""
    result = CliRunner().invoke(
        main, ["bench", str(tiny_folder), *QUICK, "--compare", "eager,torchscript", "--json"]
    )

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["machine"]["runtimes"]["torch"]
    assert found["said"][0]["text"] == {"language": "en", "length": "short", "characters": 35}
    assert set(found["said"][0]["rtf"]) == {"mean", "median", "deviation", "p50", "p95", "p99"}
    assert "torchscript" in found["absent"]
    assert [way["name"] for way in found["ways"]] == ["eager"]


@pytest.mark.slow
def test_the_tables_say_what_a_number_means(tiny_folder: Path) -> None:
    """Polarity of RTF, texts, ways, a crowd, by a voice of choice."""
    command = ["bench", str(tiny_folder), *QUICK, "--concurrency", "2", "--voice", "ann"]
    result = CliRunner().invoke(main, command)

    assert result.exit_code == 0, result.output
    assert "smaller is faster" in result.stdout
    starts = [line.split("  ")[0] for line in result.stdout.splitlines()]
    assert starts.count("en short") == starts.count("zh short") == 1
    assert any(line.startswith("way    speakers") for line in result.stdout.splitlines())


@pytest.mark.slow
def test_what_the_library_says_is_said_once(tiny_folder: Path) -> None:
    """A text whose speech is cut is cut in every pass, and told in one line."""
    result = CliRunner().invoke(main, ["bench", str(tiny_folder), *QUICK[:-1], "3"])
    told = [line for line in result.stderr.splitlines() if "speech cut" in line]

    assert result.exit_code == 0
    assert len(told) == len(set(told))


def test_mistakes_end_with_one_line() -> None:
    """An unknown way is a usage error."""
    result = CliRunner().invoke(main, ["bench", "--compare", "eager,magic"])

    assert result.exit_code == 2
    assert "magic" in result.stderr and result.stderr.count("\n") == 1
