"""The picture of a benchmark, and its absence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cosyrt.errors import MissingDependency, UsageError
from cosyrt.lab.bench_plot import draw_report, require_matplotlib
from cosyrt.lab.bench_report import AGAIN_SUFFIX, BenchReport, Results
from cosyrt.lab.child import Outcome
from tests.lab.test_bench_report import ONE, OTHER, results, runs


def report() -> BenchReport:
    fast = {ONE: runs(1, 0.5, 0.5, 0.5), OTHER: runs(1, 1.5, 1.5, 1.5, audio_s=6.0)}
    found: Results = results(fast=fast, **{f"eager{AGAIN_SUFFIX}": results().runs["eager"]})
    names = ("eager", "fast")
    return BenchReport(
        family="cosyvoice2",
        device="cpu",
        threads=1,
        passes=3,
        floor=found.floor,
        ways=[found.of_way(name, Outcome(), None) for name in names],
        texts=[found.of_text(name, text) for name in names for text in (ONE, OTHER)],
    )


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    """A PNG with pixels, an SVG with the names of the ways and their gains."""
    pytest.importorskip("matplotlib")
    for name in ("speed.png", "speed.svg"):
        require_matplotlib(tmp_path / name)
        draw_report(report(), tmp_path / name)

    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")
    assert "fast: 2.00×" in (tmp_path / "speed.svg").read_text(encoding="utf-8")


def test_without_matplotlib_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is measured: one line with the extra."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("cosyrt.lab.bench_plot.find_spec", lambda name: None)

    with pytest.raises(MissingDependency, match=r"pip install 'cosyrt\[plot\]'"):
        require_matplotlib(Path("speed.png"))


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    """An ending that names no picture format is refused; a folder that is not there is told as well."""
    pytest.importorskip("matplotlib")
    with pytest.raises(UsageError, match="is no picture"):
        require_matplotlib(tmp_path / "speed.txt")
    with pytest.raises(UsageError, match="cannot be written"):
        draw_report(report(), tmp_path / "nowhere" / "speed.png")
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        require_matplotlib(tmp_path / "nowhere" / "speed.png")
