"""Elements of SSML that say how words are read: `<sub>`, `<say-as>`, `<break>`; `<phoneme>` is refused.

Source: Speech Synthesis Markup Language 1.1, W3C.
"""

from __future__ import annotations

import re

from cosyrt.errors import TextError
from cosyrt.text.scripts import has_han

LINE_END = "\f"
_SHORT_BREAK_MS = 300
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
        TextError: a `<phoneme>`, whose sounds would be lost.
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
        return f"第{words.strip()}" if has_han(found.string) else f"{words.strip()}th"
    return words


def _pause(found: re.Match[str]) -> str:
    """A long pause is the end of a sentence, a short one a comma, none at all a blank."""
    attributes = found[1]
    length = _TIME.search(attributes)
    if length is None:
        return ", " if _WEAK.search(attributes) else LINE_END
    milliseconds = float(length[1]) * (1 if length[2].lower() == "ms" else 1000)
    return LINE_END if milliseconds > _SHORT_BREAK_MS else ", " if milliseconds else " "
