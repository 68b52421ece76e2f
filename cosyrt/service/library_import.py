"""The command line's library of voices → the store, once: what is deleted from the store stays deleted.

The files stay where they are, and `cosyrt say` goes on reading them.
"""

from __future__ import annotations

import logging

from sqlalchemy.orm import Session

from cosyrt.errors import CosyrtError
from cosyrt.service.callers import LOCAL_CALLER
from cosyrt.service.schema import LOCAL_ACCOUNT, ImportedVoiceRow
from cosyrt.service.store import Store
from cosyrt.service.voice_rows import of_name
from cosyrt.service.voices import StoredVoices
from cosyrt.voice.library import VoiceLibrary
from cosyrt.voice.voice import Voice

log = logging.getLogger(__name__)


def import_library(store: Store, voices: StoredVoices, library: VoiceLibrary) -> list[str]:
    """Copy each version of each registered voice once, shared with all accounts; their names are returned.

    A voice whose name the local account has already, or whose file is damaged, is left out.
    """
    return [name for name in library.names() if _import(store, voices, library, name)]


def _import(store: Store, voices: StoredVoices, library: VoiceLibrary, name: str) -> bool:
    try:
        voice = library.find(name)
        if voice is None or not _is_new(store, voice):
            return False
        marker = ImportedVoiceRow(name=voice.name, digest=voice.digest, imported_at=store.now())
        voices.add(LOCAL_CALLER, voice, shared=True, also=lambda session, _: session.add(marker))
    except CosyrtError as error:
        log.warning("the voice %r was not taken over from the library: %s", name, error)
        return False
    return True


def _is_new(store: Store, voice: Voice) -> bool:
    def work(session: Session) -> bool:
        known = session.get(ImportedVoiceRow, (voice.name, voice.digest))
        return known is None and session.scalar(of_name(LOCAL_ACCOUNT, voice.name)) is None

    return store.read(work)
