"""Pages agree with the code: the generated ones, their links, and the files that they name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
OF_FOLDERS = ("text", "voice", "checkpoint", "machine", "lab")  # pages with a table of all files of a folder


def test_the_generated_pages_are_up_to_date() -> None:
    """Whoever changes a command runs scripts/docs, or this fails and says so."""
    result = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs", "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{result.stdout}{result.stderr}run scripts/docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is to a file that is there."""
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_index() -> None:
    """A reader finds each page of docs/ from docs/index.md."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")

    assert [page.name for page in DOCS.glob("*.md") if f"]({page.name})" not in index] == ["index.md"]


@pytest.mark.parametrize("folder", OF_FOLDERS)
def test_a_page_has_all_files_of_its_folder(folder: str) -> None:
    """The table of a page names every file of the folder, and none that is not there."""
    cells = re.findall(rf"^\| (`{folder}/[^|]*)\|", (DOCS / f"{folder}.md").read_text("utf-8"), re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"\w+\.py", cell)}

    assert named == {path.name for path in (ROOT / "cosyrt" / folder).glob("*.py")} - {"__init__.py"}
