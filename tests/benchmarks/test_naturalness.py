"""Scores of the judges that guess what listeners would say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.naturalness import half_width, mean_row, of_files, scores
from cosyrt import Audio


class Loud:
    """A judge that likes what is loud."""

    def scores(self, audio: Audio) -> dict[str, float]:
        """The peak as a score."""
        return {"loud": float(np.abs(audio.samples).max())}


def sound(seconds: float, peak: float = 0.5) -> Audio:
    """A constant."""
    return Audio(np.full(int(seconds * 24_000), peak, np.float32), 24_000)


def test_the_mean_has_an_interval() -> None:
    """An interval is as wide as the values differ, and narrower the more there are."""
    few, many = np.array([1.0, 3.0]), np.array([1.0, 3.0] * 50)
    assert mean_row("text", [{"loud": 1.0}, {"loud": 3.0}])["loud"] == 2
    assert half_width(few) == pytest.approx(1.96)
    assert half_width(many) == pytest.approx(0.197, abs=1e-3)
    assert half_width(np.array([2.0])) is None


def test_judges_speak_side_by_side() -> None:
    """Every score of every judge stands in one row."""
    row = mean_row("copy", [{"one": 1.0, "two": 4.0}, {"one": 2.0, "two": 4.0}])
    assert (row["stage"], row["sounds"], row["one"], row["two"], row["two ±"]) == ("copy", 2, 1.5, 4, 0)


def test_what_is_too_short_is_not_judged() -> None:
    """The judges would fill it up with silence, and judge that."""
    assert scores(sound(0.5), [Loud()]) == {}
    assert scores(sound(1.5), [Loud()]) == {"loud": 0.5}


def test_files_have_a_row_each(tmp_path: Path) -> None:
    """What cannot be judged is named."""
    sound(1.5, 0.25).write(tmp_path / "long.wav")
    sound(0.2).write(tmp_path / "short.wav")
    cannot: list[str] = []
    [row] = of_files([tmp_path / "long.wav", tmp_path / "short.wav"], [Loud()], cannot)["Files"]
    assert row["loud"] == pytest.approx(0.25, abs=1e-4)
    assert len(cannot) == 1
    assert "short.wav" in cannot[0]
