"""Written text, in parts of any size → passages: sentences, clauses and lines that can be read by themselves.

Where a passage ends depends on the text alone, never on how it was cut on its way: what stands behind a mark
is waited for where it decides. Joined again, the passages are exactly the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cosyrt.text.scripts import HAN, KANA
from cosyrt.text.sentences import best_break, is_spelling, may_be_spelling

LONGEST_PASSAGE = 1_000
_LOOKAHEAD = 12  # characters that decide about a line end
_STOP_LOOKAHEAD = 24  # characters that decide about an abbreviation
_MOST_LOOKAHEAD = 300
_LONGEST_TAG = 500
_PROSE_LINE = 40  # a line of English at least this long goes on in the next one
_BLOCK_SIZE = 4_096

_END = re.compile(
    r"(?P<newline>[ \t\r]{0,9}\n\s{0,200})"
    r"""|(?P<marks>[。？！；：、.?!;:]{1,64})(?P<closing>["”’'」』）)\]*_~`]{0,8})"""
)
_STRONG = frozenset("。？！")
_CLAUSE_ENDS = "：、；:;"
_HAN_END = re.compile(rf"[{HAN}{KANA}。！？；：，、“”‘’（）《》…—」』]\s*$")
_OPEN_END = re.compile(r"[,，、]\s*$")
_MARKER = re.compile(
    r"#{1,6}\s|[-*+•·◦▪●○■□–—]\s|\d{1,3}[.)、．]|[（(][\d一二三四五六七八九十a-z]{1,3}[）)]|"
    r"[一二三四五六七八九十]{1,3}、|>|\||```|~~~|-{3}|={3}|\*{3}|_{3}|[A-Z][\w ]{0,11}:"
)
_BLOCK = re.compile(r"\s*(?:#{1,6}\s|\||```|~~~|-{3}|={3}|\*{3}\s|_{3}\s)")
_QUOTE = re.compile(r"\s*>\s*(?=\w)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_LIST_NUMBER = re.compile(r"[-*+>#\s]*\d{1,3}\.")
# Behind a colon: a code, which belongs to what stands before it, and a word that may yet become one.
_CODE = re.compile(r"[A-Za-z]{0,8}-?\d")
_OPEN_WORD = re.compile(r"[A-Za-z]{1,8}-?")
_LONGEST_ENTITY = 33
_ENTITY = re.compile(r"&#?\w{1,31};$")
_TAG = re.compile(r"<[A-Za-z/!?]")


class Passage(NamedTuple):
    """A part of a written text that is read by itself."""

    text: str
    starts_line: bool  # whether it stands at the beginning of a line
    ended: bool  # whether it ends as a sentence does: with a mark, its line or the text
    in_code: bool  # whether it stands between code fences


class PassageCutter:
    """Cuts one text, which is fed in parts, into passages."""

    def __init__(self) -> None:
        self._waiting = ""
        self._searched = 0  # characters that wait and in which no passage ends
        self._line_head, self._line_length = "", 0  # of the present line, as far as it was given out
        self._in_code = False

    def feed(self, part: str, *, last: bool = False) -> Iterator[Passage]:
        """The passages that a further part completes; with the last part, all the rest."""
        for start in range(0, max(1, len(part)), _BLOCK_SIZE):
            self._waiting += part[start : start + _BLOCK_SIZE]
            yield from self._complete(last and start + _BLOCK_SIZE >= len(part))

    def _complete(self, last: bool) -> Iterator[Passage]:
        while self._waiting:
            end = self._end(last)
            if end:
                yield self._take(end, ended=True)
            elif len(self._waiting) > LONGEST_PASSAGE + _MOST_LOOKAHEAD:
                yield self._take(
                    best_break(self._waiting[: LONGEST_PASSAGE + 1], LONGEST_PASSAGE), ended=False
                )
            elif last:
                yield self._take(len(self._waiting), ended=True)
            else:
                return

    def _take(self, end: int, *, ended: bool) -> Passage:
        text, self._waiting, self._searched = self._waiting[:end], self._waiting[end:], 0
        ended = ended and text[-1] not in _CLAUSE_ENDS
        passage = Passage(text, self._line_length == 0, ended, self._in_code)
        line = text.rpartition("\n")
        if line[1]:
            if _FENCE.match(self._line_head + text) and self._line_length < len("```"):
                self._in_code = not self._in_code
            self._line_head, self._line_length = "", 0
        self._line_head = (self._line_head + line[2].lstrip() if not line[1] else line[2].lstrip())[
            :_LOOKAHEAD
        ]
        self._line_length += len(line[2].strip())
        return passage

    def _end(self, last: bool) -> int:
        """The end of the first passage; 0 where it is not known yet."""
        for run in _END.finditer(self._waiting, self._searched):
            if run.start() >= LONGEST_PASSAGE:
                break
            ends = self._ends(run, last)
            if ends:
                return run.end()
            if ends is None and len(self._waiting) - run.end() < _MOST_LOOKAHEAD:
                self._searched = run.start()
                break
        return 0

    def _ends(self, run: re.Match[str], last: bool) -> bool | None:
        """Whether a passage ends there; None where what follows is needed first."""
        if run.end() == len(self._waiting):
            return True if last else None
        if self._in_code and run["newline"]:
            return True
        if self._is_inside_tag(run.start()):
            return False
        if run["newline"]:
            return self._ends_line(run, last)
        marks, after = run["marks"], self._waiting[run.end()]
        if _STRONG.intersection(marks):
            return True
        if not after.isspace() and (after.isascii() or after.isdecimal()):
            return False if marks[0] not in "：、；" else self._ends_clause(run, last)
        if "?" in marks or "!" in marks or marks.startswith(".."):
            return True
        return self._ends_at_stop(run, last) if "." in marks else self._ends_clause(run, last)

    def _ends_at_stop(self, run: re.Match[str], last: bool) -> bool | None:
        if self._line_length == 0 and _LIST_NUMBER.fullmatch(self._waiting, 0, run.start() + 1):
            return False
        if not may_be_spelling(self._waiting, run.start()):
            return True
        window = self._waiting[: run.start() + 1 + _STOP_LOOKAHEAD]
        if not last and len(window) == len(self._waiting):
            return None
        return not is_spelling(window, run.start())

    def _ends_clause(self, run: re.Match[str], last: bool) -> bool | None:
        """A colon or the like parts only words: a number keeps what stands around it."""
        follows = self._waiting[run.end() : run.end() + _MOST_LOOKAHEAD].lstrip(" \t")
        if not follows:
            return False if last else None
        if _CODE.match(follows):
            return False
        if _OPEN_WORD.fullmatch(follows) and not last:
            return None
        behind = self._waiting[max(0, run.start() - _LONGEST_ENTITY) : run.start() + 1]
        is_entity = run["marks"] == ";" and _ENTITY.search(behind)
        return follows[0].isalpha() and behind[:-1].rstrip()[-1:].isalpha() and not is_entity

    def _ends_line(self, run: re.Match[str], last: bool) -> bool | None:
        """A blank line, a list, a heading and a line of Chinese end there; wrapped English prose goes on."""
        line, follows = self._waiting[: run.start()], self._waiting[run.end() : run.end() + _LOOKAHEAD]
        if run["newline"].count("\n") > 1 or _BLOCK.match(self._line_head + line):
            return True
        if len(follows) < _LOOKAHEAD and "\n" not in follows and not last:
            return None
        if _QUOTE.match(self._line_head + line):  # a quotation that is wrapped goes on behind its sign
            follows = _QUOTE.sub("", follows, count=1) or follows
        if _MARKER.match(follows):
            return True
        if _OPEN_END.search(line):
            return False
        if not line.strip() or _HAN_END.search(line[-4:]) or _HAN_END.search(follows[0]):
            return True
        return not follows[0].islower() and self._line_length + len(line.strip()) < _PROSE_LINE

    def _is_inside_tag(self, at: int) -> bool:
        """Whether a tag, a pause or the address of a link has begun before and is still open."""
        behind = self._waiting[max(0, at - _LONGEST_TAG) : at + 1]
        for opening, closing in (("<", ">"), ("](", ")"), ("[pause", "]"), ("[停顿", "]")):
            start = behind.rfind(opening, 0, -1)
            is_open = start >= 0 and closing not in behind[start:-1]
            if is_open and (opening != "<" or _TAG.match(behind, start)):
                return True
        return False


def whole_passages(parts: Iterable[str]) -> Iterator[str]:
    """Split text that arrives in parts of any size into passages, each as soon as it is complete."""
    cutter = PassageCutter()
    for part in parts:
        if complete := "".join(passage.text for passage in cutter.feed(part)):
            yield complete
    if rest := "".join(passage.text for passage in cutter.feed("", last=True)):
        yield rest
