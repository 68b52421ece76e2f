"""Text of a command that is no plain argument: it begins with a dash, or lies in a file."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote
from xml.etree import ElementTree

import click

from cosyrt.arguments import expanded
from cosyrt.errors import TextError

if TYPE_CHECKING:
    from cosyrt.text.captions import Caption

Read = TypeVar("Read")

LARGEST_FILE = 50_000_000  # bytes
_LOOKS_LIKE_TEXT = re.compile(r"-\d|--?\s|-[^-\s]*\s")
WITH_TIMES = (".srt", ".vtt")
_BODY = re.compile(r"<body\b[^>]*>(.*)</body>", re.S | re.I)
_ENTITY_DECLARED = re.compile(rb"<!(?:ENTITY|DOCTYPE[^>]*\[)", re.I)


class TextCommand(click.Command):
    """A command whose text may begin with `-`, as `-5 degrees` does: what no option could be is the text."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put such a text behind all options."""
        if "--" not in args:
            texts = [at for at, arg in enumerate(args) if self._is_text(args, at, arg)]
            args = [arg for at, arg in enumerate(args) if at not in texts] + (
                ["--", *(args[at] for at in texts)] if texts else []
            )
        return super().parse_args(ctx, args)

    def _is_text(self, args: list[str], at: int, arg: str) -> bool:
        if not _LOOKS_LIKE_TEXT.match(arg):
            return False
        takes_value = {
            name
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        return at == 0 or args[at - 1] not in takes_value


def text_of(path: Path) -> str:
    """The text of a file: of `.srt` and `.vtt` the words alone, of `.epub` all chapters, else as it is.

    Raises:
        TextError: the file cannot be read, is too large, or has no text.
    """
    text = _read(path, _READERS.get(path.suffix.lower(), _plain))
    if not text.strip():
        raise TextError(f"{path} has no text; give another file")
    return text


def _read(path: Path, read: Callable[[Path], Read]) -> Read:
    path = expanded(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise TextError(f"{path} is larger than {LARGEST_FILE // 10**6} MB; give a part of it")
        return read(path)
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is not UTF-8 text ({error.reason}); convert it first") from error
    except TextError as error:
        raise error if str(path) in str(error) else TextError(f"{path}: {error}") from error
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise TextError(f"{path} cannot be read: {reason}") from error


def captions_in(path: Path) -> list[Caption]:
    """The captions of an .srt or .vtt file, with their times.

    Raises:
        TextError: the file cannot be read, is too large, or has no captions.
    """
    from cosyrt.text.captions import read_captions

    return _read(path, lambda path: read_captions(_plain(path)))


def not_empty(text: str, what: str) -> str:
    """The text.

    Raises:
        TextError: there is none.
    """
    if not text.strip():
        raise TextError(f"{what} is empty; give some words to speak")
    return text


def _plain(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _subtitles(path: Path) -> str:
    """The words of captions; each caption is a paragraph."""
    from cosyrt.text.captions import read_captions

    return "\n\n".join(caption.text for caption in read_captions(_plain(path)))


def _book(path: Path) -> str:
    """The chapters of an EPUB in the order in which they are read; their HTML is structure to the reader."""
    with zipfile.ZipFile(path) as book:
        return "\n\n".join(_chapters(book))


def _chapters(book: zipfile.ZipFile) -> Iterator[str]:
    container = _xml(book, "META-INF/container.xml")
    package = next(element.get("full-path", "") for element in container.iter() if _is(element, "rootfile"))
    content = _xml(book, package)
    files = {item.get("id"): item.get("href", "") for item in content.iter() if _is(item, "item")}
    total = 0
    for reference in content.iter():
        if _is(reference, "itemref") and reference.get("linear") != "no":
            name = normpath(join(dirname(package), unquote(files[reference.get("idref")])))
            total += book.getinfo(name).file_size
            if total > LARGEST_FILE:
                raise ValueError("its chapters are too large")
            page = book.read(name).decode("utf-8")
            body = _BODY.search(page)
            yield re.sub(r"\s+", " ", body[1] if body else page)


def _xml(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if book.getinfo(name).file_size > LARGEST_FILE:
        raise ValueError(f"{name} is too large")
    data = book.read(name)
    if _ENTITY_DECLARED.search(data):  # entities that grow when they are read
        raise ValueError(f"{name} declares entities")
    return ElementTree.fromstring(data)


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name


_READERS: dict[str, Callable[[Path], str]] = {".srt": _subtitles, ".vtt": _subtitles, ".epub": _book}
