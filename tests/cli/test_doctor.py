"""`cosyrt doctor`: shares, causes, what is ruled out; with --torchscript the ways and the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.lab.doctor import executor
from cosyrt.lab.doctor.executor import ExecutorReport, WorkShare
from cosyrt.lab.timing import Speedup

RESULT = ExecutorReport(
    share=WorkShare(encoder_s=0.15, velocity_s=6, language_model_s=8),
    aa=Speedup(median=1, low=0.97, high=1.03),
    upstream=Speedup(median=1 / 14, low=0.05, high=0.1),
    cosyrt=Speedup(median=1.01, low=0.98, high=1.04),
    upstream_plans=82,
    cosyrt_plans=0,
    slowest_s=31,
    limit_s=30,
    finished=False,
)


@pytest.fixture(autouse=True)
def examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examination has tests of its own."""
    monkeypatch.setattr(executor, "examine", lambda *_args, **_options: RESULT)


def test_the_report_reads_from_top_to_bottom() -> None:
    """Share, table, what was stopped, verdict."""
    result = CliRunner().invoke(main, ["doctor", "--torchscript", "--device", "cpu"])
    lines = [line for line in result.stdout.splitlines() if line]

    assert result.exit_code == 0
    assert lines[0].endswith("the encoder is 1.1 %")
    assert lines[3].split()[-5:] == ["0.07", "0.05", "to", "0.10", "82"]
    assert "more than 30 s" in lines[5]
    assert "accelerate=archives" in lines[6]


def test_json_has_the_three_figures() -> None:
    """Each against eager, and how far eager is from itself."""
    result = CliRunner().invoke(main, ["doctor", "--torchscript", "--device", "cpu", "--json"])
    facts = json.loads(result.stdout)["torchscript"]

    assert facts["upstream_speedup"] == pytest.approx(1 / 14)
    assert facts["cosyrt_speedup"] == 1.01
    assert facts["aa_interval"] == [0.97, 1.03]
    assert facts["found"]["cosyrt"] == {"value": 1.01, "low": 0.98, "high": 1.04}


@pytest.fixture(scope="module")
def spoken(tiny_folder: Path) -> list[str]:
    """The options that examine the tiny model, run by the CPU, with no plan."""
    return ["doctor", str(tiny_folder), "--device", "cpu", "--way", "eager"]


@pytest.fixture
def two_onnxruntimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traces of a second package."""
    info = tmp_path / "onnxruntime_gpu-1.23.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.23.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_shares_come_first_then_causes_then_what_is_ruled_out(
    spoken: list[str], two_onnxruntimes: None
) -> None:
    """A cause has what was seen, the experiment and the fix; finding one is no failure of the command."""
    result = CliRunner().invoke(main, spoken)
    lines = [line for line in result.stdout.splitlines() if line]

    assert result.exit_code == 0
    assert lines[0].startswith("one short utterance")
    assert [line.split()[0] for line in lines[1:5]] == ["language", "flow", "flow", "vocoder"]
    at = next(
        n for n, line in enumerate(lines) if line.endswith("two onnxruntime packages installed: confirmed")
    )
    assert [line.split()[0] for line in lines[at + 1 : at + 4]] == ["seen", "experiment", "fix"]
    assert lines.index("ruled out") < lines.index("not applicable")


def test_json_has_shares_causes_and_findings(spoken: list[str], two_onnxruntimes: None) -> None:
    """Programs look at `causes`; findings tell of every cause."""
    result = CliRunner().invoke(main, [*spoken, "--json"])
    found = json.loads(result.stdout)

    assert "two onnxruntime packages installed" in found["causes"]
    assert sum(each["share"] for each in found["shares"].values()) == pytest.approx(1)
    assert len(found["findings"]) == 8
    assert found["findings"][0].keys() == {"cause", "status", "seen", "experiment", "fix"}


@pytest.mark.parametrize("option", [["--force-fuser"], ["--limit", "30"]])
def test_what_belongs_to_the_other_examination_is_said(option: list[str]) -> None:
    """The fuser is forced only where its plans are counted in a process that may be killed, at a limit."""
    result = CliRunner().invoke(main, ["doctor", *option])

    assert result.exit_code == 2
    assert result.stderr.startswith(f"cosyrt: {option[0]} is for")
    assert "--torchscript" in result.stderr
