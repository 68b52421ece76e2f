"""Control tags in a text: those that the model knows stay, all others are left out with one warning.

Known ones pass the rules as single private characters, so that no rule reads them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container

from cosyrt.text.special_tokens import SPECIAL_TOKENS

log = logging.getLogger(__name__)

_FIRST_HIDDEN = 0xE100
# Left over from a chat model: no model speaks them.
_CHAT = frozenset(
    f"<|{name}|>"
    for name in "im_start im_end endoftext eot_id begin_of_text start_header_id end_header_id".split()
)
_NAMED = "|".join(re.escape(tag) for tag in SPECIAL_TOKENS if not tag.startswith("<|"))
_SOUND = re.compile(
    r"\[(?:breath|quick_breath|noise|laughter|cough|clucking|hissing|sigh|vocalized-noise|lipsmack|mn)\]\s*\Z"
)
_TAG = re.compile(rf"<\|[^|<>\n]{{1,60}}\|>|{_NAMED}")


def ends_in_sound(text: str) -> bool:
    """Whether a text ends in a tag that is a sound of its own, such as `[breath]`, and needs no mark."""
    return _SOUND.search(text) is not None


class ControlTags:
    """The control tags of one text. `known` are the model's; None: every tag is taken for one of its own."""

    def __init__(self, known: Container[str] | None) -> None:
        self._known = known
        self._hidden: dict[str, str] = {}  # tag → the character that stands for it
        self._warned = False

    def switch_off(self, text: str) -> bool:
        """Whether the text steers the model by a tag of the form `<|…|>`, so that it is to be left alone."""
        return any(tag.startswith("<|") and self._keeps(tag) for tag in _TAG.findall(text))

    def hide(self, text: str) -> str:
        """Replace each known tag of a text by one character, and leave out the others."""
        if "[" not in text and "<" not in text:
            return text
        return _TAG.sub(self._replaced, text)

    def show(self, text: str) -> str:
        """Put the tags back into a text."""
        for tag, character in self._hidden.items():
            text = text.replace(character, tag)
        return text

    def _keeps(self, tag: str) -> bool:
        return tag not in _CHAT and (self._known is None or tag in self._known)

    def _replaced(self, found: re.Match[str]) -> str:
        if self._keeps(found[0]):
            return self._hidden.setdefault(found[0], chr(_FIRST_HIDDEN + len(self._hidden)))
        self.warn(found[0])
        return " "

    def warn(self, tag: str) -> None:
        """Warn once that a tag is left out."""
        if not self._warned:
            self._warned = True
            log.warning("this voice does not know the tag %s: it is left out, as are others like it", tag)
