"""Letters that a model has no sound for: told in one warning, refused where nothing else is left to say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from cosyrt.errors import TextError
from cosyrt.text.normalize import is_speakable

log = logging.getLogger(__name__)
_SHOWN = 12  # letters in a message


def readable(pieces: Iterator[str], unread: Callable[[str], str]) -> Iterator[str]:
    """The pieces of one text of which something is left; `unread` gives letters without a sound.

    Raises:
        TextError: the model cannot read any of the text.
    """
    found, told, lost = False, False, dict[str, None]()
    for piece in pieces:
        silent = unread(piece)
        lost |= dict.fromkeys(silent)
        sounds = is_speakable(piece.translate(dict.fromkeys(map(ord, silent))))
        found = found or sounds
        if found and lost and not told:
            told = True
            log.warning("this voice cannot read the letters %s: they are left out", _listed(lost))
        if sounds:
            yield piece
    if lost and not found:
        raise TextError(
            f"this voice cannot read the letters {_listed(lost)}; "
            "give it English or Chinese text, or use an official CosyVoice model"
        )


def _listed(letters: dict[str, None]) -> str:
    return "".join(list(letters)[:_SHOWN]) + ("…" if len(letters) > _SHOWN else "")
