"""Text → pieces of a length that the language model speaks well in one go."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from cosyrt.errors import TextError
from cosyrt.text.normalize import Reader, check_speakable, is_speakable
from cosyrt.text.scripts import has_han
from cosyrt.text.sentences import best_break, sentences
from cosyrt.text.tags import ControlTags

# No token is longer than this many characters in practice; bounds the work on text without any break.
_CHARACTERS_PER_TOKEN = 16
_LETTERS_SHOWN = 12  # in a message

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes of a piece: in characters for Chinese, in tokens for other text. The first three are upstream's.

    Sentences are added while the piece stays within `high`, or is not yet above `low`; a last piece smaller
    than `merge` joins the one before. No piece is above `most`, in tokens either.
    """

    low: int = 60
    high: int = 80
    merge: int = 20
    most: int = 120


# A small voice that was taught single sentences loses words where several stand in one piece.
BY_SENTENCE = Limits(low=0, high=0, merge=0)


def pieces(
    text: str, count: Callable[[str], int], limits: Limits | None = None, tags: Container[str] | None = None
) -> list[str]:
    """Normalise and split a text. `count` gives the tokens of a string, `tags` are those the model knows.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    return list(iter_pieces(text, count, limits, tags))


def iter_pieces(
    text: str, count: Callable[[str], int], limits: Limits | None = None, tags: Container[str] | None = None
) -> Iterator[str]:
    """Normalise and split a text; the first piece comes before the end of a long text is read.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    found = False
    for piece in _speakable(_read(text, Reader(tags)), count, limits):
        found = True
        yield piece
    if not found:
        check_speakable("", text)


def arriving_pieces(
    parts: Iterable[str],
    count: Callable[[str], int],
    limits: Limits | None = None,
    tags: Container[str] | None = None,
) -> Iterator[str]:
    """Normalise and split a text that comes in parts of whole passages; no piece waits for the next part.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    reader, found, last = Reader(tags), False, ""
    for part in parts:
        last = part if part.strip() else last
        for piece in _speakable(chain.from_iterable(map(sentences, reader.read(part))), count, limits):
            found = True
            yield piece
    for piece in _speakable(chain.from_iterable(map(sentences, reader.finish())), count, limits):
        found = True
        yield piece
    if not found:
        check_speakable("", last)


def as_written(
    text: str, count: Callable[[str], int], limits: Limits | None = None, tags: Container[str] | None = None
) -> Iterator[str]:
    """Split a text without normalising it, and only where it is longer than the model takes at once.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    controls = ControlTags(tags)
    text = controls.show(controls.hide(text))
    check_speakable(text, text)
    limits = limits or Limits()
    whole = limits is not BY_SENTENCE and count(text) <= limits.most
    yield from [text] if whole else split(text, count, limits)


def split(text: str, count: Callable[[str], int], limits: Limits | None = None) -> list[str]:
    """Split text that is normalised already.

    Source: upstream `split_paragraph` (cosyvoice/utils/frontend_utils.py); a long sentence it passes whole.
    """
    return list(_grouped(sentences(text), count, limits or Limits()))


def readable(pieces: Iterator[str], unread: Callable[[str], str]) -> Iterator[str]:
    """Pass on the pieces that the model can pronounce; warn once of letters that it cannot.

    `unread` gives the letters of a piece for which the model has no sound.

    Raises:
        TextError: the model cannot read any of the text.
    """
    found, warned, lost = False, False, dict[str, None]()
    for piece in pieces:
        silent = unread(piece)
        lost |= dict.fromkeys(silent)
        sounds = is_speakable(piece.translate(dict.fromkeys(map(ord, silent))))
        found = found or sounds
        if found and lost and not warned:
            warned = True
            log.warning("this voice cannot read the letters %s: they are left out", _listed(lost))
        if sounds:
            yield piece
    if lost and not found:
        raise TextError(
            f"this voice cannot read the letters {_listed(lost)}; "
            "give it English or Chinese text, or use an official CosyVoice model"
        )


def _read(text: str, reader: Reader) -> Iterator[str]:
    for passage in chain(reader.read(text), reader.finish()):
        yield from sentences(passage)


def _speakable(parts: Iterator[str], count: Callable[[str], int], limits: Limits | None) -> Iterator[str]:
    return filter(is_speakable, _grouped(parts, count, limits or Limits()))


def _grouped(parts: Iterator[str], count: Callable[[str], int], limits: Limits) -> Iterator[str]:
    def size(text: str) -> int:
        return len(text) if has_han(text) else count(text)

    def fits(text: str) -> bool:
        return max(size(text), count(text)) <= limits.most

    done, current = "", ""
    for part in _bounded(parts, lambda text: max(size(text), count(text)), limits.most):
        joined = current + part
        if current and (not fits(joined) or (size(joined) > limits.high and size(current) > limits.low)):
            if done:
                yield done
            done, joined = current, part
        current = joined
    if done and size(current) < limits.merge and fits(done + current):
        yield done + current
    else:
        yield from filter(None, (done, current))


def _bounded(parts: Iterator[str], size: Callable[[str], int], most: int) -> Iterator[str]:
    """Cut sentences above the limit into about equal parts, each at the best place there is."""
    for part in parts:
        total = size(part)
        limit = -(-total // -(-total // most))
        while len(part) > most * _CHARACTERS_PER_TOKEN or size(part) > most:
            cut = best_break(part, _longest(part, size, limit))
            yield part[:cut]
            part = part[cut:]
        yield part


def _longest(text: str, size: Callable[[str], int], limit: int) -> int:
    """The number of characters at the start of a text that stay within the limit, at least 1."""
    lengths = range(1, min(len(text), limit * _CHARACTERS_PER_TOKEN) + 1)
    return max(1, bisect_right(lengths, limit, key=lambda length: size(text[:length])))


def _listed(letters: dict[str, None]) -> str:
    return "".join(list(letters)[:_LETTERS_SHOWN]) + ("…" if len(letters) > _LETTERS_SHOWN else "")
