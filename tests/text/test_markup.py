"""Markdown and HTML as plain lines."""

from __future__ import annotations

import pytest

from cosyrt.text.markup import plain_lines, without_signs_in_code
from cosyrt.text.normalize import normalize


def lines_of(text: str, *, starts_line: bool = True, in_code: bool = False) -> list[str]:
    """The lines of a passage; no tag in it is unknown."""
    unknown: list[str] = []
    lines = plain_lines(text, starts_line=starts_line, in_code=in_code, unknown_tag=unknown.append)
    assert not unknown
    return lines


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**bold** and *it* and ***both*** and __u__ and _i_", "bold and it and both and u and i"),
        ("## Title ##", "Title"),
        ("> > quoted", "quoted"),
        ("- [x] done", "done"),
        ("3. third", "3, third"),
        ("3. 第三", "3，第三"),
        ("| a | b |", "a, b"),
        ("|---|:-:|", ""),
        ("***", ""),
        ("- - -", ""),
        ("```python", ""),
        ("[text](http://x.y/z?a=b) and ![alt](p.png)", "text and alt"),
        ("a[^1] b", "a b"),
        (r"\*no\* \# \$5", "*no* # $5"),
        ("a &amp; b &#x27;c&#39;", "a & b 'c'"),
        ("2*3 and x_y", "2*3 and x_y"),
        ("a || b", "a || b"),
        ("~~old~~", "old"),
    ],
)
def test_markdown(text: str, plain: str) -> None:
    """Signs of structure are left out, words and products stay."""
    assert lines_of(text) == [plain]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("<ul><li>One</li><li>Two</li></ul>", ["One", "Two"]),
        ("a<br>b<br/>c", ["a", "b", "c"]),
        ("<b>bold</b> <a href='x'>link</a>", ["bold link"]),
        ("<td>A</td><td>B</td>", ["A, B, "]),
        ("<!-- no --><p>yes</p>", [" ", "yes"]),
        ("<img src='a' alt='A cat'>", ["A cat"]),
        ("x < y and 3 > 2", ["x < y and 3 > 2"]),
    ],
)
def test_html(text: str, lines: list[str]) -> None:
    """Tags of blocks end lines, others are left out, signs of comparison stay."""
    assert [line for line in lines_of(text) if line] == lines


def test_an_unknown_tag_is_told() -> None:
    """A tag that is neither HTML nor SSML is left out and named."""
    unknown: list[str] = []
    assert plain_lines("a <mood> b", starts_line=True, in_code=False, unknown_tag=unknown.append) == ["a   b"]
    assert unknown == ["<mood>"]


def test_code_has_no_markup() -> None:
    """In code spans and blocks a tag is its name and brackets are no link."""
    assert normalize("Use `<b>` and `[a](b)` here.") == "Use b and [a](b) here."
    assert without_signs_in_code("<div>", in_code=True) == " div "
    assert lines_of("# no heading", in_code=True) == ["# no heading"]
