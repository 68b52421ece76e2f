"""Markdown and HTML in text that is read word by word: signs are left out as each word comes, words all stay.

What a sign means may depend on words that are not there yet; then it is left out where that is usual.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from cosyrt.text.special_tokens import SPECIAL_TOKENS

_BLOCK_SIGNS = re.compile(
    r"#{1,6}|[-*+•·◦▪●>|]|>{2,3}|-{3,}|={3,}|\*{3,}|_{3,}|\|?(?::?-{2,}:?\|?)+|\[[ xX]?\]?|\]"
)
_FENCE = re.compile(r"(?:```|~~~)\S*")
_CELL = re.compile(r"\|+")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_LINK_END = re.compile(r"\]\([^()\s]*\)?")
_OPEN_LINK = re.compile(r"^([^0-9A-Za-z_]*?)!?\[(?![^\]]*\])")  # Chinese needs no blank before one
_STARS = re.compile(r"(?<![0-9A-Za-z])\*{1,3}|\*{1,3}(?![0-9A-Za-z])|\*{2,3}")
_UNDERSCORES = re.compile(r"(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)")
_SILENT = re.compile("`+|~~")
_TAG = re.compile(r"</?[A-Za-z][\w-]{0,30}/?>")
_OPEN_TAG = re.compile(r"</?[A-Za-z][\w-]{0,30}$")
_KNOWN = frozenset(SPECIAL_TOKENS)
_LONGEST_TAG = 20  # words


def plain_words(words: Iterator[str]) -> Iterator[str]:
    """Words without the signs of markup; a line end in the blank before one says that it begins a line."""
    cleaner = _Cleaner()
    for word in words:
        core = word.lstrip()
        blank = word[: len(word) - len(core)]
        if plain := cleaner.plain(core, starts_line="\n" in blank):
            apart = (blank or cleaner.left_out_blank) and plain != ","
            yield (" " if apart else "") + plain
            cleaner.left_out_blank = False
        elif blank:
            cleaner.left_out_blank = True


class _Cleaner:
    """Remembers what is open between two words: a code fence, a tag with attributes."""

    def __init__(self) -> None:
        self.left_out_blank = False
        self._starts_line, self._in_code = True, False
        self._words_of_tag = 0  # since an open tag began; 0: there is none

    def plain(self, word: str, *, starts_line: bool) -> str:
        """What is to be spoken of a word."""
        self._starts_line = self._starts_line or starts_line
        if self._starts_line and _FENCE.fullmatch(word):
            self._in_code = not self._in_code
            return ""
        if self._in_code:
            return word
        word = self._behind_tag(word)
        if not word or (self._starts_line and _BLOCK_SIGNS.fullmatch(word)):
            return ""
        self._starts_line = False
        return self._inline(word)

    def _behind_tag(self, word: str) -> str:
        """What stands behind the end of a tag that is open, else the word."""
        if not self._words_of_tag:
            return word
        self._words_of_tag = (self._words_of_tag + 1) % _LONGEST_TAG
        _, closed, rest = word.partition(">")
        if closed:
            self._words_of_tag = 0
            return rest
        return "" if self._words_of_tag else word

    def _inline(self, word: str) -> str:
        if "<" in word:
            word = _TAG.sub(lambda tag: tag[0] if tag[0] in _KNOWN else "", word)
            if opened := _OPEN_TAG.search(word):
                self._words_of_tag = 1
                word = word[: opened.start()]
        if "[" in word or "]" in word:
            word = _LINK_END.sub("", _OPEN_LINK.sub(r"\1", _LINK.sub(r"\1", word)))
        if "|" in word and "<|" not in word:
            word = _CELL.sub(",", word).strip(",") + ("," if word.endswith("|") or word == "|" else "")
        word = _UNDERSCORES.sub("", _STARS.sub("", _SILENT.sub("", word)))
        return html.unescape(word) if "&" in word else word
