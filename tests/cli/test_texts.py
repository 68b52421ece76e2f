"""Text that begins with a dash, and text in files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cosyrt.cli.texts import TextCommand, text_of
from cosyrt.errors import TextError

SRT = (
    "1\n00:00:01,000 --> 00:00:02,500\nHello there.\nHow are you?\n\n"
    "2\n00:00:03,000 --> 00:00:04,000\nFine.\n"
)
CONTAINER = '<container><rootfiles><rootfile full-path="O/c.opf"/></rootfiles></container>'
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml"/>'
    '<item id="b" href="b%20c.xhtml"/></manifest>'
    '<spine><itemref idref="b"/><itemref idref="a"/></spine></package>'
)


@click.command(cls=TextCommand)
@click.argument("text")
@click.option("--voice")
@click.option("--loud", is_flag=True)
def echo(text: str, voice: str | None, loud: bool) -> None:
    click.echo(f"{text}|{voice}|{loud}")


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["-5 degrees"], "-5 degrees|None|False"),
        (["--loud", "-5 degrees", "--voice", "ann"], "-5 degrees|ann|True"),
        (["- a list"], "- a list|None|False"),
        (["--voice", "-5 x", "text"], "text|-5 x|False"),
        (["--", "-5"], "-5|None|False"),
        (["-"], "-|None|False"),
    ],
)
def test_a_text_may_begin_with_a_dash(arguments: list[str], printed: str) -> None:
    """What no option could be is the text; values of options stay with them."""
    assert CliRunner().invoke(echo, arguments).output == printed + "\n"


def test_a_wrong_option_is_still_an_error() -> None:
    """A misspelled option is not spoken."""
    assert CliRunner().invoke(echo, ["--voise", "ann", "text"]).exit_code == 2


def book(path: Path, package: str = PACKAGE) -> Path:
    """A small EPUB of two chapters."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("META-INF/container.xml", CONTAINER)
        file.writestr("O/c.opf", package)
        file.writestr("O/a.xhtml", "<html><head><title>x</title></head><body><p>Second.</p></body></html>")
        file.writestr("O/b c.xhtml", "<html><body><h1>First</h1><p>It is 5.</p></body></html>")
    return path


def test_files(tmp_path: Path) -> None:
    """Plain text as it is, subtitles without times, a book in its reading order."""
    (tmp_path / "a.md").write_text("# Hi\n", encoding="utf-8")
    (tmp_path / "a.srt").write_text(SRT, encoding="utf-8")
    assert text_of(tmp_path / "a.md") == "# Hi\n"
    assert text_of(tmp_path / "a.srt") == "Hello there. How are you?\n\nFine."
    assert text_of(book(tmp_path / "a.epub")) == "<h1>First</h1><p>It is 5.</p>\n\n<p>Second.</p>"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Each is refused in one line that names it."""
    (tmp_path / "empty.txt").write_text(" ")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "no.epub").write_bytes(b"no zip")
    book(tmp_path / "bomb.epub", '<!DOCTYPE x [<!ENTITY a "b">]><package/>')
    for name in ("missing.txt", "empty.txt", "latin.txt", "no.epub", "bomb.epub"):
        with pytest.raises(TextError, match=name) as caught:
            text_of(tmp_path / name)
        assert "\n" not in str(caught.value)
