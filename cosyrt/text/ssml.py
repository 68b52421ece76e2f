"""Elements of SSML that say how words are read: `<sub>`, `<say-as>`, `<break>` (sounds: `pronunciations.py`).

Source: Speech Synthesis Markup Language 1.1, W3C.
"""

from __future__ import annotations

import re

from cosyrt.errors import TextError
from cosyrt.text.pauses import pause_mark
from cosyrt.text.scripts import has_han

LINE_END = "\f"
_ATTRIBUTE = r"""\s*=\s*(?:"([^"]*)"|'([^']*)')"""
_SUBSTITUTE = re.compile(rf"<sub\s[^<>]*?\balias{_ATTRIBUTE}[^<>]*>[^<>]*</sub>", re.I)
_SAY_AS = re.compile(rf"<say-as\s[^<>]*?\binterpret-as{_ATTRIBUTE}[^<>]*>([^<>]*)</say-as>", re.I)
_BREAK = re.compile(r"<break\b([^<>]*?)/?>(?:\s*</break>)?", re.I)
_TIME = re.compile(r"""\btime\s*=\s*["']?\s*\+?(\d+(?:\.\d+)?)\s*(ms|s)\b""", re.I)
_WEAK = re.compile(r"""\bstrength\s*=\s*["']?(?:none|x-weak|weak)\b""", re.I)
_PHONEME = re.compile(r"<phoneme\b[^<>]*>", re.I)
_SPELLED = frozenset("characters character spell-out spell digits digit telephone verbatim".split())


def resolve(text: str) -> str:
    """The text with these elements put into words and pauses.

    Raises:
        TextError: a `<phoneme>` that does not end in its sentence, whose sounds would be lost.
    """
    if found := _PHONEME.search(text):
        raise TextError(
            f"{found[0][:60]} cannot be spoken; write the word as it sounds, or use <sub alias=…>"
        )
    text = _SUBSTITUTE.sub(lambda sub: sub[1] or sub[2] or "", text)
    text = _SAY_AS.sub(_said_as, text)
    return _BREAK.sub(_pause, text)


def _said_as(found: re.Match[str]) -> str:
    kind, words = (found[1] or found[2] or "").lower(), found[3]
    if kind in _SPELLED:
        return " ".join(sign.upper() for sign in words if not sign.isspace())
    if kind == "ordinal" and words.strip().isdecimal():
        follows_sign = found.string[: found.start()].endswith("第")
        sign = "" if follows_sign else "第"
        return f"{sign}{words.strip()}" if has_han(found.string) else f"{words.strip()}th"
    return words


def _pause(found: re.Match[str]) -> str:
    """A pause of the length that is given; without one the end of a sentence, for a weak one a comma."""
    attributes = found[1]
    length = _TIME.search(attributes)
    if length is None:
        return ", " if _WEAK.search(attributes) else LINE_END
    seconds = float(length[1]) / (1000 if length[2].lower() == "ms" else 1)
    return pause_mark(seconds) if seconds else " "
