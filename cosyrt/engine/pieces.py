"""The text of a request → the pieces that are spoken in one go, as soon as each is complete."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from cosyrt.engine.prefetch import external
from cosyrt.engine.prompts import split_arriving_instruction, split_instruction, without_late_instruction
from cosyrt.engine.request import Request
from cosyrt.errors import TextError
from cosyrt.text import split
from cosyrt.text.arriving import whole_words
from cosyrt.text.normalize import check_speakable, is_speakable
from cosyrt.text.passages import whole_passages

Count = Callable[[str], int]  # tokens of a text


class OpenedText(NamedTuple):
    """A request whose text has begun: an instruction in front of it is in the style."""

    request: Request
    first: str  # as much of the text as is known, to tell its language
    parts: Iterator[str]  # passages, whole words where the request interleaves, or the whole text


def opened(request: Request) -> OpenedText:
    """Read the beginning of a request's text, and take an instruction that stands there into the style."""
    parts, style = split_arriving_instruction(external(request.text_parts()), request.style)
    if request.interleave:
        parts = whole_words(parts)
    elif not isinstance(request.text, str):
        parts = whole_passages(parts)
    first, style = split_instruction(next(parts, ""), style)
    return OpenedText(replace(request, style=style), first, chain([first], without_late_instruction(parts)))


def text_pieces(
    text: OpenedText, count: Count, tags: Container[str], limits: split.Limits | None = None
) -> Iterator[str]:
    """The pieces of a text, of a size within the limits; `tags` are those that the model knows.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    if text.request.as_written:
        return _as_written(text.parts, count, limits, tags)
    if isinstance(text.request.text, str):
        return split.iter_pieces("".join(text.parts), count, limits, tags)
    return split.arriving_pieces(text.parts, count, limits, tags)


def _as_written(
    parts: Iterator[str], count: Count, limits: split.Limits | None, tags: Container[str]
) -> Iterator[str]:
    """Pieces of all parts; one that cannot be spoken is passed over, unless there are no others."""
    found, refused = False, TextError("the text is empty; give some words to say")
    for part in parts:
        try:
            for piece in split.as_written(part, count, limits, tags):
                found = True
                yield piece
        except TextError as error:
            refused = error
    if not found:
        raise refused


def speakable_words(words: Iterator[str]) -> Iterator[str]:
    """Pass on the words.

    Raises:
        TextError: after the last, if none of them could be spoken.
    """
    begun = ""
    for word in words:
        begun = begun if is_speakable(begun) else begun + word
        yield word
    check_speakable(begun, begun)
