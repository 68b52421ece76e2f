"""The `spk2info` file of a model folder: voices by name, read from and written in upstream's format.

A file is a table of entries, `spk2info.pt` as upstream writes it or `spk2info.safetensors` as this package
does (`checkpoint/tables.py` reads both). The fields of an entry, for a prompt of P speech tokens:

| field | shape, type | read by |
|---|---|---|
| `embedding` | [1, 192] float | both: the speaker vector of a preset voice |
| `flow_embedding`, `llm_embedding` | [1, 192] float | both: the speaker vector of a voice with a prompt |
| `flow_prompt_speech_token`, `llm_prompt_speech_token` | [1, P] int32 | both: the speech tokens |
| `prompt_speech_feat` | [1, M, 80] float | both: the mel |
| `prompt_text` | [1, T] int32 | both: the text tokens of the transcript |
| `text`, `language` | text | this package alone; without `text` the words are decoded from `prompt_text` |
| `…_len` of each of the above but the embeddings | [1] int32 | upstream alone |

A preset holds an `embedding`; a voice with a prompt holds the whole input of upstream's
`frontend_zero_shot`, as `add_zero_shot_spk` stores it (cosyvoice/cli). Other programs keep `speech_token` and
`speech_feat` beside a `prompt_text` in plain words. What upstream's fine-tuning writes, `spk2embedding.pt`,
holds no fields at all: name → the numbers of a speaker vector.

A file is often the work of many programs. An entry that is no voice is named in a warning, and the others
are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.pickles import Unreadable
from cosyrt.checkpoint.tables import read_tables, write_tables
from cosyrt.errors import CosyrtError, VoiceError, WeightsError, one_line
from cosyrt.text.normalize import language_of
from cosyrt.text.tokenizer import tokenizer_of
from cosyrt.voice.reference import speech_tokenizer_digest
from cosyrt.voice.voice import MAX_TEXT_CHARACTERS, MELS, Origin, Voice

OURS, OFFICIAL, FINE_TUNED = "spk2info.safetensors", "spk2info.pt", "spk2embedding.pt"
NAMED = 5  # voices in one message

log = logging.getLogger(__name__)

Entry = dict[str, NDArray[Any] | str]
TextTokens = Callable[[Voice], list[int]]  # what upstream's language model reads of a voice's transcript


def voices_of(folder: ModelFolder) -> dict[str, Voice]:
    """The voices that come with a model: those of its `spk2info`, else of its `spk2embedding`, else none.

    A file that cannot be read is told in a warning: the model speaks without its voices.

    Raises:
        ModelError: the tokenizer that the transcripts need cannot be read.
    """
    found = next((name for name in (OURS, OFFICIAL, FINE_TUNED) if (folder.path / name).is_file()), None)
    if found is None:
        return {}
    path = folder.path / found
    try:
        voices, refused = _voices(folder, path, Origin())
    except WeightsError as error:
        log.warning("the model comes without voices: %s", error)
        return {}
    _warn(path, refused)
    return voices


def voices_in(path: str | Path, folder: ModelFolder) -> dict[str, Voice]:
    """The voices of a `spk2info` file that belongs to the model of `folder` but may lie anywhere.

    They are marked as that model's: another refuses them.

    Raises:
        VoiceError: none of its entries is a voice.
        ModelError: the file, or the tokenizer that its transcripts need, cannot be read.
    """
    path = Path(path)
    voices, refused = _voices(folder, path, Origin(speech_tokenizer=speech_tokenizer_digest(folder)))
    if refused and not voices:
        raise VoiceError(_told(path, refused))
    _warn(path, refused)
    return voices


def write_voices(path: Path, voices: Mapping[str, Voice], text_tokens: TextTokens) -> None:
    """Write a `spk2info` file; it appears whole or not at all.

    A `.pt` file holds what upstream reads as well, a `.safetensors` file what this package reads.

    Raises:
        VoiceError: the folder cannot be written.
    """
    official = path.suffix != ".safetensors"
    entries = {
        name: official_entry_of(voice, text_tokens) if official else entry_of(voice)
        for name, voice in voices.items()
    }
    try:
        write_tables(path, entries)
    except OSError as error:
        raise VoiceError(
            f"cannot write the voices into {path.parent}: {error.strerror or error}; is it read-only?"
        ) from error


def spk2info_path(folder: ModelFolder) -> Path:
    """The `spk2info` file of a model folder: ours where it is there, else the official one, there or not."""
    ours = folder.path / OURS
    return ours if ours.is_file() else folder.path / OFFICIAL


def entry_of(voice: Voice) -> Entry:
    """The entry of a voice, with the fields that this package reads."""
    tokens, speaker = voice.speech_tokens[None].astype(np.int32), voice.speaker[None]
    entry: Entry = {"embedding": speaker, "text": voice.text}
    if voice.language:
        entry["language"] = voice.language
    if len(voice.speech_tokens):
        entry |= {"llm_prompt_speech_token": tokens, "flow_prompt_speech_token": tokens}
        entry |= {"prompt_speech_feat": voice.mel[None], "llm_embedding": speaker, "flow_embedding": speaker}
    return entry


def official_entry_of(voice: Voice, text_tokens: TextTokens) -> Entry:
    """The entry of a voice with what upstream reads as well: the transcript's tokens and all lengths."""
    entry = entry_of(voice)
    if not len(voice.speech_tokens):
        return entry
    entry["prompt_text"] = np.array([text_tokens(voice)], np.int32)
    lengths: Entry = {
        f"{name}_len": np.array([value.shape[1]], np.int32)
        for name, value in entry.items()
        if isinstance(value, np.ndarray) and "embedding" not in name
    }
    return entry | lengths


def _voices(folder: ModelFolder, path: Path, origin: Origin) -> tuple[dict[str, Voice], dict[str, str]]:
    """The voices of a file, and why other entries are none."""
    tables, voices = read_tables(path), dict[str, Voice]()
    refused = dict(tables.refused)
    for name, entry in tables.read.items():
        try:
            voices[name] = voice_of(folder, name, entry, origin)
        except VoiceError as error:
            refused[name] = str(error)
    return voices, refused


def voice_of(folder: ModelFolder, name: str, entry: Mapping[str, Any], origin: Origin) -> Voice:
    """The voice of one entry.

    Raises:
        VoiceError: it lacks what a voice needs, or holds something else there.
        ModelError: the tokenizer that its transcript needs cannot be read.
    """
    try:
        return _voice_of(folder, name, entry, origin)
    except CosyrtError:
        raise
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise VoiceError(
            f"the voice {name[:80]!r} cannot be read: {one_line(error, 200)}; register it again"
        ) from error


def _voice_of(folder: ModelFolder, name: str, entry: Mapping[str, Any], origin: Origin) -> Voice:
    speaker = _first(entry, "flow_embedding", "embedding", "llm_embedding", "")
    if speaker is None:
        raise VoiceError(f"the voice {name[:80]!r} has no 'embedding'; register it again")
    tokens = _first(entry, "flow_prompt_speech_token")
    mel = _first(entry, "prompt_speech_feat")
    if tokens is None and isinstance(entry.get("prompt_text"), str):
        tokens, mel = _first(entry, "speech_token"), _first(entry, "speech_feat")
    if tokens is None or mel is None:
        tokens, mel = np.zeros(0), np.zeros((0, MELS))
    text, language = _transcript(folder, entry), entry.get("language")
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


def _first(entry: Mapping[str, Any], *fields: str) -> Any:
    """The first of the fields that the entry has; None where it has none."""
    field = next((field for field in fields if entry.get(field) is not None), None)
    value = None if field is None else entry[field]
    if isinstance(value, Unreadable):
        raise ValueError(f"its {field!r} {value.why}, not a tensor")
    return value


def _warn(path: Path, refused: Mapping[str, str]) -> None:
    if refused:
        log.warning("%s", _told(path, refused))


def _told(path: Path, refused: Mapping[str, str]) -> str:
    reasons = "; ".join(list(refused.values())[:NAMED])
    more = f"; and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
    return f"{path}: {len(refused)} of its voices are left out: {reasons}{more}"


def _transcript(folder: ModelFolder, entry: Mapping[str, Any]) -> str:
    """The transcript of an entry: its text, or the words that its text tokens stand for."""
    text, tokens = entry.get("text"), _first(entry, "prompt_text")
    if isinstance(text, str):
        return text
    if tokens is None or isinstance(tokens, str):
        return tokens or ""
    numbers = _array(tokens).ravel()
    if numbers.size > MAX_TEXT_CHARACTERS:
        raise ValueError(f"its transcript has {numbers.size} tokens, more than {MAX_TEXT_CHARACTERS}")
    if not len(ids := [int(token) for token in numbers]):
        return ""
    return tokenizer_of(folder).decode(ids)


def _array(value: Any) -> NDArray[Any]:
    """The numbers of an array or a torch tensor of any type (numpy has no bfloat16)."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    return np.asarray(value)


def _frames(
    mel: NDArray[Any],  # [1, M, 80] or [M, 80]
) -> NDArray[Any]:  # [M, 80]
    return mel[0] if mel.ndim == 3 and len(mel) == 1 else mel
