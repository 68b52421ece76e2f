"""Names that users give to accounts, keys, consents and voices: data to be shown, never a path."""

from __future__ import annotations

import unicodedata

from cosyrt.service.errors import BadRequest
from cosyrt.voice.library import MAX_CHARACTERS, NAME_ADVICE, is_name, nfc

_PLAIN = (
    "LMNPS"  # letters, marks, numbers, punctuation, symbols: nothing that steers a terminal or turns text
)


def check_label(name: str, what: str) -> str:
    """The name, composed and without blanks around it, of an account, a key or a consent.

    Raises:
        BadRequest: it is empty, too long, or has characters that cannot be seen.
    """
    name = nfc(name).strip()
    seen = all(letter == " " or unicodedata.category(letter)[0] in _PLAIN for letter in name)
    if not 0 < len(name) <= MAX_CHARACTERS or not seen:
        raise BadRequest(
            f"{what} cannot be called {name[:80]!r}; give 1 to {MAX_CHARACTERS} visible characters",
            param="name",
        )
    return name


def check_voice_name(name: str) -> str:
    """The composed name of a voice: one under which the command line could keep it as a file, too.

    Raises:
        BadRequest: no voice can have it.
    """
    name = nfc(name).strip()
    if not is_name(name):
        raise BadRequest(
            f"a voice cannot be called {name[:80]!r}; {NAME_ADVICE}",
            param="name",
        )
    return name
