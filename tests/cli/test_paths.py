"""Paths of the command line with a `~` that the shell left."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cosyrt.cli.paths import UserPath


@click.command()
@click.option("--out", type=UserPath())
@click.option("--folder", type=UserPath(exists=True, file_okay=False))
def paths(out: Path | None, folder: Path | None) -> None:
    """Print the paths."""
    click.echo(f"{out} {folder}")


def test_the_home_folder_is_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An option that is written as one word is expanded here, before it is checked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "there").mkdir()
    result = CliRunner().invoke(paths, ["--out=~/a.wav", "--folder=~/there"])
    assert result.output == f"{tmp_path}/a.wav {tmp_path}/there\n"
    assert CliRunner().invoke(paths, ["--folder=~/none"]).exit_code == 2
