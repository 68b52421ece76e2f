"""A voice: what the models are given of a speaker, and the file that keeps it (docs/voice.md).

The arrays are those of upstream's `frontend_zero_shot` (cosyvoice/cli/frontend.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cosyrt.arguments import path_of, write_open
from cosyrt.errors import UsageError, VoiceError, one_line
from cosyrt.families import FAMILIES
from cosyrt.files import create_file, replace_file
from cosyrt.voice.reference import Floats, Tokens

SPEAKER_WIDTH = 192
MELS = 80
FORMAT = "cosyrt voice 1"
MAX_FILE_BYTES = 8_000_000
# Thirty seconds of recording are at most 1500 speech tokens, 2600 mel frames and some 600 letters.
MAX_TOKENS, MAX_FRAMES = 3_000, 6_000
MAX_TEXT_CHARACTERS = 4_000  # of a transcript, a licence, a consent
MAX_NAME_CHARACTERS = 500
ARRAYS: dict[str, np.dtype[Any]] = {
    "speaker": np.dtype(np.float32),
    "speech_tokens": np.dtype(np.int64),
    "mel": np.dtype(np.float32),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a voice comes from and what may be done with it; empty where it is not known."""

    license: str = ""  # under which the voice may be used
    consent: str = ""  # of the speaker: who gave it, when, for what
    source_sha256: str = ""  # of the recording's file
    speech_tokenizer: str = ""  # digest of the one that made the speech tokens


@dataclass(frozen=True, eq=False, kw_only=True)
class Voice:
    """One speaker, prepared for the models of one family. Arrays are read-only.

    Without speech tokens and mel (a preset voice) the models know the timbre alone; with them they go on
    from the reference. Two voices are equal only if they are the same object.

    Raises:
        VoiceError: an unknown family, an array of the wrong shape or not finite, or speech tokens and mel
            that do not fit.
    """

    name: str
    speaker: Floats  # [192]
    speech_tokens: Tokens  # [P], may be empty
    mel: Floats  # [2P, 80], of CosyVoice 1 any length
    text: str = ""  # the transcript of the reference, as it is spoken
    language: str | None = None  # zh, en, ja, ko; None: not known
    family: str = "cosyvoice2"
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        for field, kind in ARRAYS.items():
            with np.errstate(over="ignore", invalid="ignore"):  # what becomes infinite is refused below
                array = np.array(getattr(self, field), kind, order="C")
            array.flags.writeable = False
            object.__setattr__(self, field, array)
        wrong = _what_is_wrong(self)
        if wrong:
            raise VoiceError(
                f"the voice {self.name[:80]!r} has {wrong}; make it again from its reference audio"
            )

    @property
    def prompt_s(self) -> float:
        """Seconds of the reference that the models are given."""
        spec = FAMILIES[self.family].mel
        return len(self.mel) * spec.hop / spec.sample_hz

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits of all that the models are given of the voice, whatever its name."""
        digest = hashlib.sha256(f"{self.family} {self.text}".encode())
        for name in ARRAYS:
            array: NDArray[Any] = getattr(self, name)
            digest.update(f"{name} {array.shape}".encode() + array.tobytes())
        return digest.hexdigest()[:32]

    def save(self, path: str | PathLike[str] | BinaryIO, *, overwrite: bool = True) -> None:
        """Write one safetensors file; it appears whole or not at all. A file may be open for writing bytes.

        Raises:
            VoiceError: the folder cannot be written.
            UsageError: without `overwrite`, a file that is there already; neither a path nor an open file.
        """
        data = self.to_bytes()
        if hasattr(path, "write"):
            write_open(path, data)
            return
        path = path_of(path, "a voice is saved to")
        try:
            (replace_file if overwrite else create_file)(path, data)
        except FileExistsError as error:
            raise UsageError(f"{path} is there already; choose another name or remove it") from error
        except (OSError, ValueError) as error:  # ValueError: a path that can be none
            raise VoiceError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error

    def to_bytes(self) -> bytes:
        """Encode as the safetensors file that `save` writes."""
        from safetensors.numpy import save

        facts = {"format": FORMAT, "name": self.name, "text": self.text, "family": self.family}
        known = {key: value for key, value in asdict(self.origin).items() if value}
        if self.language:
            known["language"] = self.language
        arrays: dict[str, NDArray[Any]] = {key: getattr(self, key) for key in ARRAYS}
        return save(arrays, metadata=facts | known)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Voice:
        """Read what `save` wrote.

        Raises:
            VoiceError: no such file, damaged, not a voice, or of another version.
            UsageError: it is no path.
        """
        path = path_of(path, "a voice is loaded from")
        return cls.from_bytes(_bytes_of(path), str(path))

    @classmethod
    def from_bytes(cls, data: bytes, path: str = "the voice") -> Voice:
        """Decode what `to_bytes` made; `path` is what an error calls it.

        Raises:
            VoiceError: damaged, not a voice, or of another version.
        """
        arrays, facts = _decoded(data, path)
        if facts.get("format", FORMAT) != FORMAT:
            raise VoiceError(
                f"{path} has the format {facts['format']!r}, this is {FORMAT!r}; make it again from its audio"
            )
        _check_types(path, arrays)
        try:
            return cls(
                name=facts["name"],
                speaker=arrays["speaker"],
                speech_tokens=arrays["speech_tokens"],
                mel=arrays["mel"],
                text=facts["text"],
                language=facts.get("language"),
                family=facts["family"],
                origin=Origin(**{field.name: facts.get(field.name, "") for field in fields(Origin)}),
            )
        except KeyError as error:
            raise VoiceError(
                f"{path} is no voice file: it lacks {error}; make one from reference audio"
            ) from error


def _what_is_wrong(voice: Voice) -> str:
    """Name the first thing that is wrong with a voice; empty when all is well."""
    return _what_is_too_long(voice) or _what_does_not_fit(voice)


def _what_is_too_long(voice: Voice) -> str:
    texts = {"text": voice.text, "language": voice.language or "", **asdict(voice.origin)}
    for name, text in texts.items():
        if len(text) > MAX_TEXT_CHARACTERS:
            return f"a {name} of {len(text)} characters instead of at most {MAX_TEXT_CHARACTERS}"
    if len(voice.name) > MAX_NAME_CHARACTERS:
        return f"a name of {len(voice.name)} characters instead of at most {MAX_NAME_CHARACTERS}"
    if voice.speech_tokens.size > MAX_TOKENS or voice.mel.size > MAX_FRAMES * MELS:
        return (
            f"{voice.speech_tokens.size} speech tokens and {voice.mel.size // MELS} mel frames instead of at "
            f"most {MAX_TOKENS} and {MAX_FRAMES}"
        )
    return ""


def _what_does_not_fit(voice: Voice) -> str:
    speaker, tokens, mel = voice.speaker, voice.speech_tokens, voice.mel
    if voice.family not in FAMILIES:
        return f"the family {voice.family!r}, which none of {', '.join(FAMILIES)} is"
    if speaker.shape != (SPEAKER_WIDTH,):
        return f"a speaker vector of shape {list(speaker.shape)} instead of [{SPEAKER_WIDTH}]"
    if tokens.ndim != 1 or mel.ndim != 2 or mel.shape[1] != MELS:
        return f"speech tokens of shape {list(tokens.shape)} and a mel of shape {list(mel.shape)}"
    per_token = FAMILIES[voice.family].prompt_frames_per_token
    if per_token is not None and len(mel) != per_token * len(tokens):
        return f"{len(tokens)} speech tokens and {len(mel)} mel frames instead of {per_token} a token"
    if (len(mel) > 0) != (len(tokens) > 0):
        return f"{len(tokens)} speech tokens and {len(mel)} mel frames instead of both or neither"
    if not (np.isfinite(speaker).all() and np.isfinite(mel).all() and (tokens >= 0).all()):
        return "values that are not finite, or speech tokens below 0"
    return ""


def _bytes_of(path: Path) -> bytes:
    """Read a file that is no larger than a voice may be."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise VoiceError(f"{path} is larger than {MAX_FILE_BYTES} bytes; this is no voice file")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that can be none
        raise _unreadable(path, error) from error


def _decoded(data: bytes, path: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays and metadata of a safetensors file."""
    from safetensors import SafetensorError, deserialize

    try:
        found = {name: each for name, each in deserialize(data) if name in ARRAYS}  # type: ignore[no-untyped-call]
        arrays = {
            name: np.frombuffer(each["data"], _dtype(each["dtype"])).reshape(each["shape"])
            for name, each in found.items()
        }
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # deserialize checked it
        return arrays, dict(header.get("__metadata__") or {})
    except (SafetensorError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise _unreadable(path, error) from error


def _dtype(name: str) -> np.dtype[Any]:
    """The numpy type of safetensors' F32, I64 and their like; of others a LookupError or ValueError."""
    kind = {"F": "f", "I": "i", "U": "u"}[name[0]]
    return np.dtype(f"{kind}{int(name[1:]) // 8}")


def _unreadable(path: Path | str, error: Exception) -> VoiceError:
    return VoiceError(
        f"cannot read the voice {path}: {one_line(error, 200)}; check the path or make it again"
    )


def _check_types(path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    for key, array in arrays.items():
        if array.dtype != ARRAYS[key]:
            raise VoiceError(
                f"{path} is no voice file: {key!r} is {array.dtype} instead of {ARRAYS[key]}; make it again"
            )
