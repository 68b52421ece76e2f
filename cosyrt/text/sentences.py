"""Where text may be cut: at sentence ends, else at commas, else at spaces, else anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_RUN = re.compile(r"""(?P<marks>[。？！；：、.?!;:]+)(?P<closing>["”’'」』)]?)""")
_FINAL = re.compile(r"""[。？！；：、.?!;:]["”’'」』)]?$""")
LONGEST_WAIT = 1_000
# Capitals after `St.` begin a name (Saint), except those of words that begin a sentence.
STARTERS = r"(?:The|A|He|She|It|In|They|We|I|But|And|This|That|There|You)\b"
_SHORT_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,7}$")
# Abbreviations whose stop is theirs, and what must follow for it (`$`: what follows is not there yet).
_ABBREVIATIONS = {
    word: re.compile(what_follows)
    for words, what_follows in (
        ("Dr Mr Mrs Ms Prof Gen Col Capt Sgt Lt Gov Sen Rep Rev Hon Mt Ft Fig Figs approx vs cf", ""),
        ("St", rf"(?!\s+{STARTERS})"),
        ("No Nos no nos Vol vol fig figs p pp ch Ch sec Sec", r"\s*(?:\d|$)"),
        ("Jr Sr Inc Ltd Co Corp Ave Blvd Rd Dept etc al", r"\s*(?:[a-z]|$)"),
    )
    for word in words.split()
}
# In order of preference. A comma between digits is part of a number.
_BREAKS = (
    re.compile(r"(?<=[。？！；])|(?<=[a-z0-9][.?!;])(?=\s)"),
    re.compile(r"(?<=[，：、])|(?<=[,:])(?![!-~])"),
    re.compile(r"(?=\s)"),
)


def sentences(text: str) -> Iterator[str]:
    """Sentences with their marks; joined again they are the text, but for repeated marks (`...` becomes `.`).

    Source: upstream `split_paragraph` (cosyvoice/utils/frontend_utils.py), which also ends a sentence inside
    `example.com`, `i.e.` and `Prof. Jones`.
    """
    start = 0
    for run in _RUN.finditer(text):
        if not _ends_sentence(text, run):
            continue
        if run.start() > start:
            yield text[start : run.start() + 1] + run["closing"]
        start = run.end()
    if start < len(text):
        yield text[start:]


def is_finished(text: str) -> bool:
    """Whether the text ends as a sentence does, closing quote or bracket included."""
    return _FINAL.search(text) is not None


def is_spelling(text: str, at: int) -> bool:
    """Whether the lone stop there belongs to the word before it: `J. Smith`, `i.e.`, `Dr.`, `etc. and`."""
    word = _SHORT_WORD.search(text, max(0, at - 8), at)
    if word is None:
        return False
    if len(word[0]) == 1:
        return word[0] != "I"
    what_follows = _ABBREVIATIONS.get(word[0])
    return what_follows is not None and what_follows.match(text, at + 1) is not None


def best_break(text: str, most: int) -> int:
    """Where to cut so that at most `most` characters come first: 0 < cut <= most, most < len(text)."""
    for pattern in _BREAKS:
        found = (match.start() for match in pattern.finditer(text, most // 4 + 1, most + 1))
        if cuts := [cut for cut in found if cut <= most]:
            return cuts[-1]
    return most


def _ends_sentence(text: str, run: re.Match[str]) -> bool:
    """A lone `.` or `:` before Latin text is spelling (`example.com`), as is `.` after an abbreviation."""
    after = text[run.end() : run.end() + 1]
    if not after or run["marks"] not in (".", ":") or run["closing"]:
        return True
    if run["marks"] == "." and is_spelling(text, run.start()):
        return False
    return after.isspace() or not after.isascii()


def whole_sentences(parts: Iterable[str]) -> Iterator[str]:
    """Text that arrives in parts of any size, given out sentence by sentence as each is complete.

    The last sentence so far waits until something follows its mark: `3.` may become `3.14`. Text that never
    ends one is given out all the same, LONGEST_WAIT characters or a little less at a time.
    """
    waiting = ""
    for part in parts:
        waiting += part
        *complete, waiting = sentences_with_marks(waiting) or [""]
        if complete:
            yield "".join(complete)
        while len(waiting) > LONGEST_WAIT:
            cut = best_break(waiting, LONGEST_WAIT)
            yield waiting[:cut]
            waiting = waiting[cut:]
    if waiting.strip():
        yield waiting


def sentences_with_marks(text: str) -> list[str]:
    """Sentences that joined again are exactly the text, repeated marks included."""
    ends = [run.end() for run in _RUN.finditer(text) if _ends_sentence(text, run) and run.end() < len(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
