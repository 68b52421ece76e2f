"""The voices of a model as upstream's `frontend.spk2info`: a table of entries by name that is alive.

Whatever is put into it can be spoken with at once, what is deleted is gone, and a change inside an entry
counts from the next call on. Entries are upstream's; their fields are listed in `voice/spk2info.py`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cosyrt.arguments import check_kind
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.prompts import transcript_tokens
from cosyrt.errors import VoiceError
from cosyrt.voice.spk2info import official_entry_of, voice_of
from cosyrt.voice.voice import Origin, Voice

log = logging.getLogger(__name__)

Entry = dict[str, Any]  # field → tensor, mostly
State = tuple[tuple[object, ...], ...]  # of an entry: field, value, how often it was written into


@dataclass(frozen=True, slots=True)
class _Kept:
    """An entry that was given in or out, and the voice that was made of it."""

    entry: Entry
    state: State
    voice: Voice

    @property
    def changed(self) -> bool:
        """Whether a field was put in, taken out, or written into by torch since the voice was made."""
        now = _state(self.entry)
        return len(now) != len(self.state) or any(
            one is not other
            for before, after in zip(self.state, now, strict=True)
            for one, other in zip(before, after, strict=True)
        )


class SpeakerTable(MutableMapping[str, Entry]):
    """Entries by the name of a speaker; saved by torch it is a plain table."""

    def __init__(self, tts: Pipeline) -> None:
        self._tts = tts
        self._kept: dict[str, _Kept] = {}

    def __getitem__(self, name: str) -> Entry:
        voice, kept = self._tts.voices[name], self._kept.get(name)
        if kept is not None and kept.voice is voice:
            return kept.entry
        entry = self.entry_of(voice)
        self._kept[name] = _Kept(entry, _state(entry), voice)
        return entry

    def __setitem__(self, name: str, entry: Entry) -> None:
        check_kind(name, str, "the name of a speaker", "give a str")
        check_kind(entry, Mapping, f"the entry of {name[:80]!r}", "give a dict with its 'embedding'")
        voice = voice_of(self._tts.model.folder, name, entry, Origin())
        self._tts.voices[name] = self._tts.fitting(voice)
        self._kept[name] = _Kept(entry, _state(entry), voice)

    def __delitem__(self, name: str) -> None:
        del self._tts.voices[name]
        self._kept.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._tts.voices))

    def __len__(self) -> int:
        return len(self._tts.voices)

    def __repr__(self) -> str:
        return f"<speakers {', '.join(self) or 'none'}>"

    def __reduce__(self) -> Any:
        return OrderedDict, (), None, None, iter(list(self.items()))

    def replace(self, entries: Mapping[str, Entry]) -> None:
        """Take these entries in place of all; one that is no voice is left out, with a warning.

        Raises:
            UsageError: they are no table.
        """
        check_kind(entries, Mapping, "spk2info", "give a dict of entries by the name of a speaker")
        entries = dict(entries)
        self.clear()
        for name, entry in entries.items():
            try:
                self[name] = entry
            except VoiceError as error:
                log.warning("a speaker is left out: %s", error)

    def voice(self, name: str) -> Voice:
        """The voice of that name as its entry is now, else a registered one.

        Raises:
            VoiceNotFound: there is none of that name.
            VoiceError: its entry was changed into none, or it cannot be used with this model.
        """
        kept = self._kept.get(name)
        if kept is not None and self._tts.voices.get(name) is kept.voice and kept.changed:
            self[name] = kept.entry
        return self._tts.voice(name)

    def entry_of(self, voice: Voice) -> Entry:
        """The entry of a voice, its tensors on the model's device."""
        tokens = partial(transcript_tokens, encode=self._tts.tokenizer.encode)
        device = self._tts.model.device
        return {
            field: torch.from_numpy(value.copy()).to(device) if isinstance(value, np.ndarray) else value
            for field, value in official_entry_of(voice, tokens).items()
        }


def _state(entry: Mapping[str, Any]) -> State:
    return tuple((field, value, _version(value)) for field, value in entry.items())


def _version(value: object) -> int:
    return value._version if isinstance(value, Tensor) and not value.is_inference() else 0
