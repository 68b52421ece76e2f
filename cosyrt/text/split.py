"""Text → pieces of a length that the language model speaks well in one go."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import NamedTuple

from cosyrt.errors import TextError
from cosyrt.text.lexicon import NO_LEXICON, Lexicon
from cosyrt.text.normalize import Reader, check_speakable, is_speakable
from cosyrt.text.passages import LONGEST_PASSAGE
from cosyrt.text.pauses import NO_PAUSES, PARAGRAPH, Pauses, is_mark, seconds_of
from cosyrt.text.pronunciations import Pronunciations
from cosyrt.text.scripts import has_han
from cosyrt.text.sentences import best_break, is_finished, sentences
from cosyrt.text.tags import ControlTags

# No token is longer than this many characters in practice; bounds the work on text without any break, and on
# text of which the model reads nothing.
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


class Piece(NamedTuple):
    """A part of a text that is spoken in one go, and the silence before it; without words it is silence."""

    text: str
    silence_s: float = 0.0


def pieces(
    text: str, count: Callable[[str], int], limits: Limits | None = None, tags: Container[str] | None = None
) -> list[str]:
    """Normalise and split a text. `count` gives the tokens of a string, `tags` are those the model knows.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    return [piece.text for piece in iter_pieces(text, count, limits, tags)]


def iter_pieces(
    text: str,
    count: Callable[[str], int],
    limits: Limits | None = None,
    tags: Container[str] | None = None,
    pauses: Pauses = NO_PAUSES,
    lexicon: Lexicon = NO_LEXICON,
) -> Iterator[Piece]:
    """Normalise and split a text; the first piece comes before the end of a long text is read.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    splitter, reader = Splitter(count, limits, pauses), Reader(tags, lexicon)
    yield from splitter.split(chain(reader.read(text), reader.finish()))
    yield from splitter.finish(text)


def arriving_pieces(
    parts: Iterable[str],
    count: Callable[[str], int],
    limits: Limits | None = None,
    tags: Container[str] | None = None,
    pauses: Pauses = NO_PAUSES,
    lexicon: Lexicon = NO_LEXICON,
) -> Iterator[Piece]:
    """Normalise and split a text that comes in parts of whole passages; no piece waits for the next part.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    splitter, reader, last = Splitter(count, limits, pauses), Reader(tags, lexicon), ""
    for part in parts:
        last = part if part.strip() else last
        yield from splitter.split(reader.read(part))
    yield from splitter.split(reader.finish())
    yield from splitter.finish(last)


class Splitter:
    """Splits what is spoken of one text into pieces, and turns marks and sentence ends into silence."""

    def __init__(self, count: Callable[[str], int], limits: Limits | None, pauses: Pauses) -> None:
        by_sentence = pauses.sentence_s > 0 and limits is None
        self._count, self._limits = count, BY_SENTENCE if by_sentence else limits or Limits()
        self._pauses = pauses
        self._written_s = 0.0  # of the pauses that are written since the last piece
        self._gap_s = 0.0  # between that piece and the next, where the text has no pause of its own
        self._found = False

    def split(self, spoken: Iterable[str]) -> Iterator[Piece]:
        """Yield the pieces of a further part of the text, which ends where a passage does."""
        parted = (part for part in spoken if part != PARAGRAPH or self._pauses.paragraph_s)
        for marked, run in groupby(parted, is_mark):
            if marked:
                self._note(run)
            else:
                sentences_of_run = chain.from_iterable(map(sentences, run))
                for text in _speakable(sentences_of_run, self._count, self._limits):
                    yield self._piece(text)

    def finish(self, text: str) -> Iterator[Piece]:
        """Yield the silence at the end of the text, if it was given any.

        Raises:
            TextError: nothing in the text can be spoken.
        """
        if not self._found:
            check_speakable("", text)
        if self._written_s:
            yield Piece("", self._written_s)

    def _note(self, marks: Iterable[str]) -> None:
        for mark in marks:
            self._written_s += seconds_of(mark)
            if mark == PARAGRAPH:
                self._gap_s = max(self._gap_s, self._pauses.paragraph_s)

    def _piece(self, text: str) -> Piece:
        silence_s = self._written_s or (self._gap_s if self._found else 0.0)
        self._written_s, self._found = 0.0, True
        self._gap_s = self._pauses.sentence_s if is_finished(text) else 0.0
        return Piece(text, silence_s)


def as_written(
    text: str,
    count: Callable[[str], int],
    limits: Limits | None = None,
    tags: Container[str] | None = None,
    lexicon: Lexicon = NO_LEXICON,
) -> Iterator[str]:
    """Split a text without normalising it, and only where it is longer than the model takes at once.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    controls, pronunciations = ControlTags(tags), Pronunciations(tags, lexicon)
    text = controls.show(pronunciations.look_up(pronunciations.hide(controls.hide(text))))
    text = pronunciations.show(text)
    check_speakable(text, text)
    limits = limits or Limits()
    is_short = len(text) <= limits.most * _CHARACTERS_PER_TOKEN
    whole = limits is not BY_SENTENCE and is_short and count(text) <= limits.most
    yield from [text] if whole else _grouped(_shortened(sentences(text)), count, limits)


def split(text: str, count: Callable[[str], int], limits: Limits | None = None) -> list[str]:
    """Split text that is normalised already.

    Source: upstream `split_paragraph` (cosyvoice/utils/frontend_utils.py); a long sentence it passes whole.
    """
    return list(_grouped(sentences(text), count, limits or Limits()))


def check_readable(text: str, unread: Callable[[str], str]) -> None:
    """Refuse a text of which no letter and no digit can be pronounced, before any of it is read.

    `unread` gives the letters for which the model has no sound.

    Raises:
        TextError: the model cannot read any of the text.
    """
    letters = "".join(dict.fromkeys(character for character in text if character.isalnum()))
    if letters and len(lost := unread(" ".join(letters))) == len(letters):
        raise _unreadable(lost)


def readable(pieces: Iterable[Piece], unread: Callable[[str], str]) -> Iterator[Piece]:
    """Pass on the pieces that the model can pronounce; warn once of letters that it cannot.

    `unread` gives the letters of a piece for which the model has no sound.

    Raises:
        TextError: the model cannot read any of the text.
    """
    found, warned, lost, skipped_s = False, False, dict[str, None](), 0.0
    for text, silence_s in pieces:
        silent = unread(text)
        lost |= dict.fromkeys(silent)
        sounds = is_speakable(text.translate(dict.fromkeys(map(ord, silent))))
        found = found or sounds
        if found and lost and not warned:
            warned = True
            log.warning("this voice cannot read the letters %s: they are left out", _listed("".join(lost)))
        if sounds or not text:
            yield Piece(text, skipped_s + silence_s)
        skipped_s = 0.0 if sounds else skipped_s + silence_s
    if lost and not found:
        raise _unreadable("".join(lost))


def _shortened(parts: Iterator[str]) -> Iterator[str]:
    """Cut sentences of more characters than a passage has: what is done with one may not take long."""
    for part in parts:
        start = 0
        while len(part) - start > LONGEST_PASSAGE:
            ahead = part[start : start + LONGEST_PASSAGE + 1]
            cut = best_break(ahead, LONGEST_PASSAGE)
            yield ahead[:cut]
            start += cut
        yield part[start:]


def _speakable(parts: Iterator[str], count: Callable[[str], int], limits: Limits) -> Iterator[str]:
    return filter(is_speakable, _grouped(parts, count, limits))


def _grouped(parts: Iterator[str], count: Callable[[str], int], limits: Limits) -> Iterator[str]:
    def size(text: str) -> int:
        return len(text) if has_han(text) else count(text)

    def fits(text: str) -> bool:
        short = len(text) <= limits.most * _CHARACTERS_PER_TOKEN
        return short and max(size(text), count(text)) <= limits.most

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
        total, start, window = max(1, size(part)), 0, most * _CHARACTERS_PER_TOKEN
        limit = -(-total // -(-total // most))
        while len(part) - start > window or size(part[start:]) > most:
            ahead = part[start : start + window + 1]
            cut = best_break(ahead, _longest(ahead, size, limit))
            yield ahead[:cut]
            start += cut
        yield part[start:]


def _longest(text: str, size: Callable[[str], int], limit: int) -> int:
    """The number of characters at the start of a text that stay within the limit, at least 1."""
    lengths = range(1, min(len(text), limit * _CHARACTERS_PER_TOKEN) + 1)
    return max(1, bisect_right(lengths, limit, key=lambda length: size(text[:length])))


def _unreadable(letters: str) -> TextError:
    return TextError(
        f"this voice cannot read the letters {_listed(letters)}; "
        "give it English or Chinese text, or use an official CosyVoice model"
    )


def _listed(letters: str) -> str:
    return letters[:_LETTERS_SHOWN] + ("…" if len(letters) > _LETTERS_SHOWN else "")
