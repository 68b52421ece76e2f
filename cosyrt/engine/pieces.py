"""The text of a request → the pieces that are spoken in one go, as soon as each is complete."""

from __future__ import annotations

import logging
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
from cosyrt.text.arriving_markup import plain_words
from cosyrt.text.normalize import check_speakable, is_speakable
from cosyrt.text.passages import whole_passages
from cosyrt.text.pauses import hide_pauses, is_mark, seconds_of, split_at_marks, whole_pauses, without_pauses
from cosyrt.text.pronunciations import Pronunciations
from cosyrt.text.split import Piece

log = logging.getLogger(__name__)

Count = Callable[[str], int]  # tokens of a text
_SHOWN_CHARACTERS = 100  # of a text that cannot be spoken, and a few more


class OpenedText(NamedTuple):
    """A request whose text has begun: an instruction in front of it is in the style."""

    request: Request
    first: str  # as much of the text as is known, to tell its language
    parts: Iterator[str]  # passages, whole words where the request interleaves, or the whole text


def opened(request: Request) -> OpenedText:
    """Read the beginning of a request's text, and take an instruction that stands there into the style."""
    parts, style = split_arriving_instruction(external(request.text_parts()), request.style)
    if request.interleave:
        words = whole_pauses(whole_words(parts, lines=not request.as_written))
        parts = words if request.as_written else plain_words(words)
    elif not isinstance(request.text, str):
        parts = whole_passages(parts)
    first, style = split_instruction(next(parts, ""), style)
    return OpenedText(replace(request, style=style), first, chain([first], without_late_instruction(parts)))


def text_pieces(
    text: OpenedText, count: Count, tags: Container[str], limits: split.Limits | None = None
) -> Iterator[Piece]:
    """The pieces of a text, of a size within the limits; `tags` are those that the model knows.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    request = text.request
    if request.as_written:
        return _as_written(text, count, limits, tags)
    how = count, limits, tags, request.pauses, request.lexicon
    if isinstance(request.text, str):
        return split.iter_pieces("".join(text.parts), *how)
    return split.arriving_pieces(text.parts, *how)


def _as_written(
    text: OpenedText, count: Count, limits: split.Limits | None, tags: Container[str]
) -> Iterator[Piece]:
    """Pieces of all parts; one that cannot be spoken is passed over, unless there are no others."""
    silence_s, refused = 0.0, TextError("the text is empty; give some words to say")
    found = False
    for part in chain.from_iterable(split_at_marks(hide_pauses(part)) for part in text.parts):
        if is_mark(part):
            silence_s += seconds_of(part)
            continue
        try:
            for piece in split.as_written(part, count, limits, tags, text.request.lexicon):
                yield Piece(piece, silence_s)
                found, silence_s = True, 0.0
        except TextError as error:
            refused = error
    if not found:
        raise refused
    if silence_s:
        yield Piece("", silence_s)


def speakable_words(text: OpenedText, tags: Container[str]) -> Iterator[str]:
    """Words of a text that interleaves, those of its lexicon as that says; written pauses are left out.

    Raises:
        TextError: after the last, if none of them could be spoken.
    """
    pronunciations = Pronunciations(tags, text.request.lexicon)
    found, begun, warned = False, "", False
    for written in text.parts:
        spoken = without_pauses(written)
        if spoken != written and not warned:
            warned = True
            log.warning(
                "text that interleaves has no pauses: %s and others are left out", written.strip()[:40]
            )
        word = pronunciations.show(pronunciations.look_up(pronunciations.hide(spoken)))
        found = found or is_speakable(word)
        if len(begun) < _SHOWN_CHARACTERS:
            begun += word
        yield word
    if not found:
        check_speakable("", begun)
