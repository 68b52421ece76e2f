"""Numbers of Japanese text in words, by wetext's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cosyrt.text.sentences import best_break

# Up to here wetext takes 0.1 ms a character; beyond, its time grows faster than the text, its memory too.
_CHARACTERS_AT_ONCE = 200
_ESCAPED = re.compile(r"""\\(["\\])""")
_MINUS = re.compile(r"[−－](?=\d)")
_DIGITS = "零一二三四五六七八九"


def in_words(text: str) -> str:
    """A Japanese sentence with its numbers in words."""
    text = _MINUS.sub("-", text)
    text = "".join(map(_verbalized, _readable_at_once(text)))
    return re.sub(r"\d", lambda digit: _DIGITS[int(digit[0])], text)


def _readable_at_once(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _CHARACTERS_AT_ONCE:
        window = text[start : start + _CHARACTERS_AT_ONCE + 1]  # slices of all the rest would be quadratic
        cut = best_break(window, _CHARACTERS_AT_ONCE)
        yield window[:cut]
        start += cut
    yield text[start:]


@lru_cache(maxsize=1_024)
def _verbalized(text: str) -> str:
    import wetext

    if not text.strip() or not wetext.should_normalize(text, "ja", "tn"):
        return text
    tagged = wetext.tag(text, "ja", "tn")
    spoken = tagged and wetext.verbalize(wetext.reorder(tagged, "ja", "tn"), "ja", "tn")
    if not spoken:
        return _verbalized_by_parts(text)
    return text[: len(text) - len(text.lstrip())] + _ESCAPED.sub(r"\1", spoken)


def _verbalized_by_parts(text: str) -> str:
    """Halve a text that wetext cannot read, such as one with `#1` or `+5`, until only that part is left."""
    words = text.split(" ")
    if len(words) > 1:
        half = len(words) // 2
        return " ".join(_verbalized(" ".join(part)) for part in (words[:half], words[half:]))
    runs = re.findall(r"\d+|\D+", text)
    return " ".join(map(_verbalized, runs)) if len(runs) > 1 else text
