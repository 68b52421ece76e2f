"""What is in deploy/ fits the program: paths, settings, commands, and systemd's own opinion."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
import yaml

from cosyrt.cli import main
from cosyrt.service.settings import FILE_VARIABLE, PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = sorted(DEPLOY.glob("Dockerfile*"))
FILES = sorted(DEPLOY.iterdir())
NAMES = {f"{PREFIX}{each.name.upper()}" for each in fields(Settings)} | {FILE_VARIABLE}


def context() -> set[str]:
    """What .dockerignore lets into an image."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[0] == "*"
    return {line[1:] for line in lines if line.startswith("!")}


def parsed(*words: str) -> click.Command:
    """The command that the words call, its options checked."""
    command: click.Command = main
    rest = list(words)
    ctx = click.Context(main, info_name="cosyrt")
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(ctx, rest)
        assert found is not None
        command = found
    command.make_context("command", rest, parent=ctx)
    return command


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_gets_what_it_copies(path: Path) -> None:
    """Each file that is copied exists and is let into the build; each that is let in is copied."""
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", path.read_text("utf-8"), re.MULTILINE)
    copied = {name for line in lines for name in line.split()}

    assert copied == context()
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_starts_the_service(path: Path) -> None:
    """Entry point and command are a command of this program; it does not run as root."""
    text = path.read_text("utf-8")
    words = re.findall(r'^(?:ENTRYPOINT|CMD) \["(\w+)"\]$', text, re.MULTILINE)

    assert words[0] == "cosyrt" and parsed(*words[1:]).name == "serve"
    assert re.search(r"^USER cosyrt$", text, re.MULTILINE)


def test_both_images_are_built_alike() -> None:
    """The images differ in what their devices need, and in nothing else that is built."""
    first, *others = (
        {*path.read_text("utf-8").partition("\nFROM python")[0].splitlines()[2:]} for path in DOCKERFILES
    )
    assert others and all(other == first for other in others)


@pytest.mark.parametrize("path", [*FILES, *(ROOT / "docs").glob("*.md")], ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    """Whoever copies a variable from here sets something."""
    assert set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", path.read_text("utf-8"))) <= NAMES


@pytest.mark.parametrize(
    "page", ["deploy.md", "with_open_webui.md", "with_home_assistant.md", "from_a_backend.md"]
)
def test_commands_of_the_pages_are_commands(page: str) -> None:
    """`cosyrt …` in a page is a command with options that exist."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    commands = re.findall(r"(?:^|/)cosyrt ((?:serve|keys)[^#\n`]*)", text, re.MULTILINE)

    assert commands
    for words in commands:
        assert parsed(*words.split())


def test_the_unit_is_what_systemd_wants(tmp_path: Path) -> None:
    """systemd finds no fault with the unit; its program is replaced by one that is here."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "cosyrt.service").read_text("utf-8")
    assert (
        parsed(*re.findall(r"^ExecStart=/opt/cosyrt/bin/cosyrt (.*)$", text, re.MULTILINE)[0].split()).name
        == "serve"
    )
    unit = tmp_path / "cosyrt.service"
    unit.write_text(
        text.replace("/opt/cosyrt/bin/cosyrt", sys.executable).replace("User=cosyrt", "User=root")
    )
    done = subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True, check=False)

    assert (done.returncode, [line for line in done.stderr.splitlines() if "cosyrt.service" in line]) == (
        0,
        [],
    )


def test_compose_builds_the_image_of_this_folder() -> None:
    """The compose file names a Dockerfile that is here, and stops more slowly than the service drains."""
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["cosyrt"]

    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() in DOCKERFILES
    assert float(service["stop_grace_period"].rstrip("s")) > Settings().drain_s
