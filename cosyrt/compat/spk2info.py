"""The voices of a model, written into its folder as upstream's `save_spkinfo` does."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cosyrt.checkpoint.folder import write_voices
from cosyrt.engine.prompts import Manner, prompt_of
from cosyrt.errors import VoiceError
from cosyrt.files import replace_file
from cosyrt.voice.voice import Voice

if TYPE_CHECKING:
    from cosyrt.engine.pipeline import Pipeline

Fields = dict[str, Tensor | str]


def write_spk2info(tts: Pipeline) -> None:
    """Write `spk2info.pt`, or `spk2info.safetensors` where the folder has that; whole or not at all.

    Raises:
        VoiceError: the folder cannot be written.
    """
    ours = tts.folder.path / "spk2info.safetensors"
    if not ours.is_file():
        write_official(tts.folder.path / "spk2info.pt", tts, tts.voices)
        return
    try:
        write_voices(ours, {name: fields_of(voice) for name, voice in tts.voices.items()})
    except OSError as error:
        raise _not_written(ours, error) from error


def write_official(path: Path, tts: Pipeline, voices: Mapping[str, Voice]) -> None:
    """Write a file that upstream reads as `spk2info.pt` of this model; whole or not at all.

    Raises:
        VoiceError: the folder cannot be written.
    """
    data = io.BytesIO()
    torch.save({name: upstream_fields(tts, voice, fields_of(voice)) for name, voice in voices.items()}, data)
    try:
        replace_file(path, data.getvalue())
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> VoiceError:
    return VoiceError(
        f"cannot write the voices into {path.parent}: {error.strerror or error}; is it read-only?"
    )


def fields_of(voice: Voice) -> Fields:
    """The entry that this package reads back."""
    return {
        name: value if isinstance(value, str) else torch.from_numpy(value.copy())
        for name, value in voice.fields().items()
    }


def upstream_fields(tts: Pipeline, voice: Voice, fields: Fields) -> Fields:
    """The same with what upstream reads beside it: the transcript's tokens, and every length."""
    if not len(voice.speech_tokens):
        return fields
    prompt = prompt_of(voice, Manner(), tts.tokenizer.encode).text
    tokens = torch.tensor([prompt], dtype=torch.int32)
    lengths = {
        f"{name}_len": torch.tensor([value.shape[1]], dtype=torch.int32)
        for name, value in (fields | {"prompt_text": tokens}).items()
        if isinstance(value, Tensor) and value.ndim > 1 and "embedding" not in name
    }
    return fields | {"prompt_text": tokens} | lengths
