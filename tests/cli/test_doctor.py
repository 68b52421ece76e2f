"""`cosyrt doctor --torchscript`: the work first, then the ways, then the verdict."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cosyrt.accel import examine as examining
from cosyrt.accel.examine import Examination, Ratio, Share
from cosyrt.cli import main

RESULT = Examination(
    share=Share(encoder_s=0.15, velocity_s=6, language_model_s=8),
    aa=Ratio(value=1, low=0.97, high=1.03),
    upstream=Ratio(value=1 / 14, low=0.05, high=0.1),
    cosyrt=Ratio(value=1.01, low=0.98, high=1.04),
    upstream_plans=82,
    cosyrt_plans=0,
    slowest_s=31,
    limit_s=30,
    finished=False,
)


@pytest.fixture(autouse=True)
def examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examination has tests of its own."""
    monkeypatch.setattr(examining, "examine", lambda *_args, **_options: RESULT)


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


def test_without_a_subject_it_asks_for_one() -> None:
    """There is one so far."""
    result = CliRunner().invoke(main, ["doctor"])

    assert result.exit_code == 2
    assert "cosyrt doctor --torchscript" in result.stderr
