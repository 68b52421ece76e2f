"""The command that holds our numbers against upstream's."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.golden.__main__ import main

HERE = Path(__file__).parent
NAME = "cosyvoice2-small"
CHEAP = {"enc_full", "est_chunked", "hift_f0"}  # outputs that cost little
INPUTS = {"enc_in", "est_x", "est_mu", "est_t", "est_spks", "est_cond", "hift_mel"}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["golden", *map(str, arguments)])
    return main()


def copy(folder: Path, **changes: np.ndarray) -> None:
    """The set with its cheap outputs only, some arrays changed or added."""
    for ending in ("keys.json", "yaml"):
        shutil.copyfile(HERE / f"{NAME}.{ending}", folder / f"{NAME}.{ending}")
    with np.load(HERE / f"{NAME}.npz") as arrays:
        kept = {name: arrays[name] for name in CHEAP | INPUTS}
    np.savez(folder / f"{NAME}.npz", **(kept | changes))


@pytest.mark.parametrize(
    ("name", "arrays"), [("cosyvoice-small", 11), ("cosyvoice2-small", 17), ("cosyvoice3-small", 14)]
)
def test_the_small_set_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, arrays: int
) -> None:
    """Every array of upstream's model at small widths is within its tolerance."""
    assert run(monkeypatch, HERE, name) == 0
    *rows, total = capsys.readouterr().out.splitlines()[1:]

    assert len(rows) == arrays
    assert all(row.endswith("  yes") for row in rows)
    assert total == f"{name}: {arrays} of {arrays} arrays hold"


@pytest.mark.parametrize("wrong", [0.001, np.nan])
def test_a_changed_array_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong: float
) -> None:
    """One value off by a thousandth of the largest, or no number at all: exit 1, and the row says NO."""
    with np.load(HERE / f"{NAME}.npz") as arrays:
        changed = arrays["enc_full"].copy()
    changed.flat[7] += wrong * np.abs(changed).max()
    copy(tmp_path, enc_full=changed)

    assert run(monkeypatch, tmp_path, NAME) == 1
    out = capsys.readouterr().out
    assert {line.split()[0] for line in out.splitlines() if line.endswith("  NO")} == {"enc_full"}
    assert f"{NAME}: 2 of 3 arrays hold" in out


def test_an_array_nobody_asks_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An output that the harness does not know is an error: nothing is passed over."""
    copy(tmp_path, novel=np.zeros(3))

    with pytest.raises(AssertionError, match=r"no question for \{'novel'\}"):
        run(monkeypatch, tmp_path, NAME)


@pytest.mark.parametrize(
    ("name", "words"),
    [("cosyvoice2-huge", "has no cosyvoice2-huge.npz"), ("features", "another family")],
)
def test_an_unknown_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    """A set that is not there, or not of this family, is exit 2 with a line that says so."""
    with pytest.raises(SystemExit) as left:
        run(monkeypatch, HERE, name)

    assert left.value.code == 2
    assert words in capsys.readouterr().err
