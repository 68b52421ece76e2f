"""What the pages about other programs tell people to type works, word for word, against a real server."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from cosyrt.audio import Audio
from cosyrt.label_check import check_label
from tests.service.served import Served

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [*DOCS.glob("with_*.md"), DOCS / "from_a_backend.md", DOCS / "service.md"]
ADDRESS = "127.0.0.1:8000"


def blocks(page: Path, language: str) -> list[str]:
    """The code of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def curls(page: Path) -> list[str]:
    """Each curl command of a page; those of the first lines of docs/service.md are indented."""
    text = "\n".join(
        [*blocks(page, "sh"), *re.findall(r"^    (curl .*)$", page.read_text("utf-8"), re.MULTILINE)]
    )
    return re.findall(r"^curl (?:.*\\\n)*.*$", text, re.MULTILINE)


COMMANDS = [(page.name, command) for page in sorted(PAGES) for command in curls(page)]


def test_every_page_has_something_to_try() -> None:
    """Each page that was found has a command."""
    assert {page for page, _ in COMMANDS} == {page.name for page in PAGES}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page}-{at}" for at, (page, _) in enumerate(COMMANDS)]
)
def test_the_commands_do_what_the_page_says(page: str, command: str, served: Served, tmp_path: Path) -> None:
    """A command succeeds; what it writes is audio of its format, labelled where there is a place for it."""
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, f"127.0.0.1:{served.port}")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    words = shlex.split(command.replace("\\\n", " "))

    assert done.returncode == 0, f"{page}: {command}\n{done.stderr}"
    if "-o" not in words:
        assert done.stdout.startswith("{")
        return
    path = tmp_path / words[words.index("-o") + 1]
    if path.suffix == ".pcm":
        assert path.stat().st_size > 0
        return
    assert Audio.read(path).seconds > 0.1
    assert check_label(path).labelled


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_can_be_read(page: Path) -> None:
    """The examples in Python are that: they parse."""
    for code in blocks(page, "python"):
        ast.parse(code)
