"""Which replicas keep a voice: two for each, by rendezvous hashing, whatever others come or go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

HOMES = 2  # replicas of a voice, of which the one with fewer requests is taken


def homes(voice: str, replicas: Iterable[str]) -> list[str]:
    """The replicas that keep a voice, the same for everybody who asks."""
    return sorted(replicas, key=lambda each: hashlib.sha256(f"{voice} {each}".encode()).digest())[:HOMES]
