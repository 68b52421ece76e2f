"""A voice: what the models are given of a speaker. From reference audio, from a model folder, from a file.

The steps are upstream's `frontend_zero_shot` and `add_zero_shot_spk` (cosyvoice/cli).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.audio import Audio, log_mel
from cosyrt.checkpoint import ModelFolder
from cosyrt.errors import VoiceError
from cosyrt.files import replace_file
from cosyrt.frontend.normalize import language_of, normalize
from cosyrt.frontend.reference import (
    ENCODER_HZ,
    Floats,
    Tokens,
    check_reference,
    mel_spec,
    speaker_vector,
    speech_tokens,
)
from cosyrt.frontend.tokenizer import TextTokenizer

SPEAKER_WIDTH = 192
MELS = 80
FORMAT = "cosyrt voice 1"
MAX_FILE_BYTES = 8_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Voice:
    """One speaker, as the models of one family see them. Arrays are read-only.

    Without speech tokens and mel (a preset voice) the models know the timbre alone; with them they go on
    from the reference. Two voices are equal only if they are the same object.

    Raises:
        VoiceError: an array of the wrong shape or not finite, or speech tokens and mel that do not fit.
    """

    name: str
    speaker: Floats  # [192]
    speech_tokens: Tokens  # [P], may be empty
    mel: Floats  # [2P, 80], of CosyVoice 1 any length
    text: str = ""  # the transcript of the reference, as it is spoken
    language: str | None = None  # zh, en, ja, ko; None: not known
    family: str = "cosyvoice2"

    def __post_init__(self) -> None:
        for field, kind in (("speaker", np.float32), ("speech_tokens", np.int64), ("mel", np.float32)):
            array = np.array(getattr(self, field), kind, order="C")
            array.flags.writeable = False
            object.__setattr__(self, field, array)
        wrong = _what_is_wrong(self)
        if wrong:
            raise VoiceError(f"the voice {self.name!r} has {wrong}; make it again from its reference audio")

    def save(self, path: str | Path) -> None:
        """Write one safetensors file; it appears whole or not at all.

        Raises:
            VoiceError: the folder cannot be written.
        """
        from safetensors.numpy import save

        facts = {"format": FORMAT, "name": self.name, "text": self.text, "family": self.family}
        if self.language:
            facts["language"] = self.language
        arrays: dict[str, NDArray[Any]] = {
            "speaker": self.speaker,
            "speech_tokens": self.speech_tokens,
            "mel": self.mel,
        }
        try:
            replace_file(Path(path), save(arrays, metadata=facts))
        except OSError as error:
            raise VoiceError(f"cannot write {path}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | Path) -> Voice:
        """Read what `save` wrote.

        Raises:
            VoiceError: no such file, damaged, not a voice, or of another version.
        """
        arrays, facts = _read(Path(path))
        if facts.get("format", FORMAT) != FORMAT:
            raise VoiceError(
                f"{path} has the format {facts['format']!r}, this is {FORMAT!r}; make it again from its audio"
            )
        try:
            return cls(
                name=facts["name"],
                speaker=arrays["speaker"],
                speech_tokens=arrays["speech_tokens"],
                mel=arrays["mel"],
                text=facts["text"],
                language=facts.get("language"),
                family=facts["family"],
            )
        except KeyError as error:
            raise VoiceError(
                f"{path} is no voice file: it lacks {error}; make one from reference audio"
            ) from error

    def fields(self) -> dict[str, NDArray[Any] | str]:
        """The entry of this voice in a model folder's `spk2info`, which `voices_of` reads back."""
        tokens, speaker = self.speech_tokens[None].astype(np.int32), self.speaker[None]
        fields: dict[str, NDArray[Any] | str] = {"embedding": speaker, "text": self.text}
        if self.language:
            fields["language"] = self.language
        if len(self.speech_tokens):
            fields |= {"llm_prompt_speech_token": tokens, "flow_prompt_speech_token": tokens}
            fields |= {
                "prompt_speech_feat": self.mel[None],
                "llm_embedding": speaker,
                "flow_embedding": speaker,
            }
        return fields


class VoiceEncoder:
    """Reference audio → `Voice`, through the speech tokenizer and the speaker encoder of a model folder."""

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder
        self._spec = mel_spec(folder)

    def encode(self, audio: Audio, text: str, name: str) -> Voice:
        """The voice of a recording. `text` is its transcript, or empty where nobody knows it.

        Raises:
            AudioError: the recording is unfit (see `check_reference`).
            TextError: the transcript has nothing that can be spoken.
            ModelNotFound: the folder lacks an encoder.
            WeightsError: an encoder cannot be used.
        """
        check_reference(audio)
        text = normalize(text) if text.strip() else ""
        samples = audio.resample(ENCODER_HZ).samples
        tokens = speech_tokens(self._folder, samples)
        mel = log_mel(audio.resample(self._spec.sample_hz).samples, self._spec).T
        if self._folder.family != "cosyvoice":
            count = min(len(mel) // 2, len(tokens))
            tokens, mel = tokens[:count], mel[: 2 * count]
        return Voice(
            name=name,
            speaker=speaker_vector(self._folder, samples),
            speech_tokens=tokens,
            mel=mel,
            text=text,
            language=language_of(text),
            family=self._folder.family,
        )


def voices_of(folder: ModelFolder) -> dict[str, Voice]:
    """The voices that come with a model, from its `spk2info`: presets and saved references alike.

    Raises:
        VoiceError: an entry lacks what a voice needs.
        ModelError: the file, or the tokenizer that its transcripts need, cannot be read.
    """
    voices = {}
    for name, entry in folder.voices().items():
        try:
            voices[name] = _voice_of_entry(folder, name, entry)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise VoiceError(
                f"{folder.path}: the voice {name!r} cannot be read: {error}; register it again"
            ) from error
    return voices


def _what_is_wrong(voice: Voice) -> str:
    """The first thing wrong with a voice; empty when all is well."""
    speaker, tokens, mel = voice.speaker, voice.speech_tokens, voice.mel
    if speaker.shape != (SPEAKER_WIDTH,):
        return f"a speaker vector of shape {list(speaker.shape)} instead of [{SPEAKER_WIDTH}]"
    if tokens.ndim != 1 or mel.ndim != 2 or mel.shape[1] != MELS:
        return f"speech tokens of shape {list(tokens.shape)} and a mel of shape {list(mel.shape)}"
    if voice.family != "cosyvoice" and len(mel) != 2 * len(tokens):
        return f"{len(tokens)} speech tokens and {len(mel)} mel frames instead of twice as many"
    if not (np.isfinite(speaker).all() and np.isfinite(mel).all() and (tokens >= 0).all()):
        return "values that are not finite, or speech tokens below 0"
    return ""


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise VoiceError(f"{path} is larger than {MAX_FILE_BYTES} bytes; this is no voice file")
        with safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
            return arrays, dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise VoiceError(
            f"cannot read the voice {path}: {reason}; check the path or make it again"
        ) from error


def _voice_of_entry(folder: ModelFolder, name: str, entry: Mapping[str, Any]) -> Voice:
    speaker = entry.get("flow_embedding", entry.get("embedding"))
    if speaker is None:
        raise VoiceError(f"{folder.path}: the voice {name!r} has no 'embedding'; register it again")
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
    )


def _transcript(folder: ModelFolder, entry: Mapping[str, Any]) -> str:
    """Our entries hold the transcript, upstream's its text tokens."""
    text, tokens = entry.get("text"), entry.get("prompt_text")
    if isinstance(text, str):
        return text
    if tokens is None or not len(ids := [int(token) for token in _array(tokens).ravel()]):
        return ""
    return TextTokenizer.from_folder(folder.tokenizer_folder(), family=folder.family).decode(ids)


def _array(value: Any) -> NDArray[Any]:
    """The numbers of an array or a torch tensor of any type (numpy has no bfloat16)."""
    return np.asarray(value.float() if hasattr(value, "float") else value)


def _frames(
    mel: NDArray[Any],  # [1, M, 80] or [M, 80]
) -> NDArray[Any]:  # [M, 80]
    return mel[0] if mel.ndim == 3 else mel
