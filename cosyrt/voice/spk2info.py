"""Voices of a model folder and of upstream's `spk2info.pt`: presets and stored references alike.

A preset (sft) holds an `embedding`; a reference the whole input of `frontend_zero_shot`, as
`add_zero_shot_spk` stores it (cosyvoice/cli). Entries that this package writes hold the transcript beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.checkpoint.folder import ModelFolder, read_voices
from cosyrt.errors import VoiceError, one_line
from cosyrt.text.normalize import language_of
from cosyrt.text.tokenizer import tokenizer_of
from cosyrt.voice.reference import fingerprint
from cosyrt.voice.voice import MELS, Origin, Voice

Entries = Mapping[str, Mapping[str, Any]]


def voices_of(folder: ModelFolder) -> dict[str, Voice]:
    """The voices that come with a model, from its `spk2info`.

    Raises:
        VoiceError: an entry lacks what a voice needs.
        ModelError: the file, or the tokenizer that its transcripts need, cannot be read.
    """
    return _voices(folder, folder.voices(), folder.path, Origin())


def voices_in(path: str | Path, folder: ModelFolder) -> dict[str, Voice]:
    """The voices of a `spk2info.pt` (or our `spk2info.safetensors`) that belongs to the model of `folder`.

    They are marked as that model's: another refuses them.

    Raises:
        VoiceError: an entry lacks what a voice needs.
        ModelError: the file, or the tokenizer that its transcripts need, cannot be read.
    """
    path = Path(path)
    return _voices(folder, read_voices(path), path, Origin(speech_tokenizer=fingerprint(folder)))


def _voices(folder: ModelFolder, entries: Entries, source: Path, origin: Origin) -> dict[str, Voice]:
    voices = {}
    for name, entry in entries.items():
        try:
            voices[name] = _voice_of(folder, name, entry, source, origin)
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise VoiceError(
                f"{source}: the voice {name!r} cannot be read: {one_line(error, 200)}; register it again"
            ) from error
    return voices


def _voice_of(
    folder: ModelFolder, name: str, entry: Mapping[str, Any], source: Path, origin: Origin
) -> Voice:
    speaker = entry.get("flow_embedding", entry.get("embedding"))
    if speaker is None:
        raise VoiceError(f"{source}: the voice {name!r} has no 'embedding'; register it again")
    text = _transcript(folder, entry)
    language = entry.get("language")
    tokens, mel = entry.get("flow_prompt_speech_token"), entry.get("prompt_speech_feat")
    if tokens is None or mel is None:
        tokens, mel = np.zeros(0), np.zeros((0, MELS))
    return Voice(
        name=name,
        speaker=_array(speaker).ravel(),
        speech_tokens=_array(tokens).ravel(),
        mel=_frames(_array(mel)),
        text=text,
        language=language if isinstance(language, str) else language_of(text),
        family=folder.family,
        origin=origin,
    )


def _transcript(folder: ModelFolder, entry: Mapping[str, Any]) -> str:
    """Our entries hold the transcript, upstream's its text tokens."""
    text, tokens = entry.get("text"), entry.get("prompt_text")
    if isinstance(text, str):
        return text
    if tokens is None or not len(ids := [int(token) for token in _array(tokens).ravel()]):
        return ""
    return tokenizer_of(folder).decode(ids)


def _array(value: Any) -> NDArray[Any]:
    """The numbers of an array or a torch tensor of any type (numpy has no bfloat16)."""
    is_float = hasattr(value, "is_floating_point") and value.is_floating_point()
    return np.asarray(value.float() if is_float else value)


def _frames(
    mel: NDArray[Any],  # [1, M, 80] or [M, 80]
) -> NDArray[Any]:  # [M, 80]
    return mel[0] if mel.ndim == 3 and len(mel) == 1 else mel
