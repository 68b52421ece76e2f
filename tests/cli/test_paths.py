"""Paths of the command line with a `~` that the shell left."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cosyrt.cli import main
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


@pytest.mark.parametrize("command", [["--out", ""], ["--out="], ["--folder", ""]])
def test_an_empty_path_is_refused(command: list[str]) -> None:
    """A variable that was never set is not the working folder."""
    result = CliRunner().invoke(paths, command)
    assert result.exit_code == 2
    assert "the path is empty" in result.output


@pytest.mark.parametrize("name", sorted(main.commands))
def test_no_command_takes_an_empty_path(name: str) -> None:
    """Every path of every command is one of these."""
    kinds = [parameter.type for parameter in every_parameter(main.commands[name])]
    assert not [kind for kind in kinds if isinstance(kind, click.Path) and not isinstance(kind, UserPath)]


def every_parameter(command: click.Command) -> list[click.Parameter]:
    """Collect a command's parameters and those of its subcommands."""
    below = command.commands.values() if isinstance(command, click.Group) else []
    return [*command.params, *(each for one in below for each in every_parameter(one))]
