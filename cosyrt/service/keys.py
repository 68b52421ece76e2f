"""API keys: `cv_<id>_<secret>`. The secret is 32 random bytes; the store keeps its SHA-256 alone.

A slow hash, such as passwords need, would add nothing: nobody can try 2^256 secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from cosyrt.service.errors import BadRequest

PREFIX = "cv"
SECRET_BYTES = 32
ID_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like another letter
ID_LENGTH = 10
_KEY = re.compile(rf"{PREFIX}_([{ID_ALPHABET}]{{{ID_LENGTH}}})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a key may do."""

    SPEECH = "speech"  # speak, and list voices and models
    VOICES = "voices"  # make and delete voices and consents of its account
    ADMIN = "admin"  # keys and voices of every account, the plan, the log


DEFAULT_SCOPES = frozenset({Scope.SPEECH, Scope.VOICES})


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown once, with what is kept of it."""

    id: str
    text: str
    sha256: bytes


def new_key() -> NewKey:
    """Make a key of fresh random bytes."""
    identifier = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
    text = f"{PREFIX}_{identifier}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return NewKey(identifier, text, digest(text))


def digest(text: str) -> bytes:
    """The SHA-256 of a key."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def id_of(text: str) -> str | None:
    """The id in a key; None where it does not look like one of ours."""
    found = _KEY.fullmatch(text)
    return found and found[1]


def matches(text: str, sha256: bytes) -> bool:
    """Tell whether a key is the one with that SHA-256, in a time that does not tell how much of it agrees."""
    return hmac.compare_digest(digest(text), sha256)


def parse_scopes(names: str) -> frozenset[Scope]:
    """Scopes from their names, separated by blanks or commas.

    Raises:
        BadRequest: a name that is none, or no name.
    """
    try:
        scopes = frozenset(map(Scope, names.replace(",", " ").split()))
    except ValueError as error:
        known = ", ".join(Scope)
        raise BadRequest(f"a key cannot have the scopes {names[:80]!r}; choose of {known}") from error
    if not scopes:
        raise BadRequest(f"a key without scopes may do nothing; choose of {', '.join(Scope)}")
    return scopes
