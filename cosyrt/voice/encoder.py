"""A recording → a voice. The steps are upstream's `frontend_zero_shot` (cosyvoice/cli/frontend.py)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from cosyrt.audio import Audio, log_mel
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import AudioError
from cosyrt.text.normalize import language_of, normalize
from cosyrt.voice.prompt_cut import FirstEdge, best_cut
from cosyrt.voice.reference import (
    ENCODER_HZ,
    MAX_REFERENCE_S,
    Floats,
    Tokens,
    check_reference,
    fingerprint,
    mel_spec,
    speaker_vector,
    speech_tokens,
    warn_if_dull,
)
from cosyrt.voice.voice import Origin, Voice

Reference = Audio | str | Path


class VoiceEncoder:
    """Reference audio → `Voice`, through the speech tokenizer and the speaker encoder of a model folder.

    `first_edge` says where a stream after a prompt of so many tokens is first cut: with it, silence is left
    out of the prompt so that this is early (see `prompt_cut`).
    """

    def __init__(self, folder: ModelFolder, first_edge: FirstEdge | None = None) -> None:
        self._folder = folder
        self._spec = mel_spec(folder)
        self._first_edge = first_edge

    def encode(
        self, reference: Reference, text: str, name: str, *, license: str = "", consent: str = ""
    ) -> Voice:
        """The voice of a recording. `text` is its transcript, or empty where nobody knows it.

        Raises:
            AudioError: the recording cannot be read or is unfit (see `check_reference`).
            TextError: the transcript has nothing that can be spoken.
            ModelNotFound: the folder lacks an encoder.
            WeightsError: an encoder cannot be used.
        """
        audio = read_reference(reference)
        warn_if_dull(audio)
        text = normalize(text) if text.strip() else ""
        samples = audio.resample(ENCODER_HZ).samples
        tokens, mel = self._prompt(audio, speech_tokens(self._folder, samples))
        return Voice(
            name=name,
            speaker=speaker_vector(self._folder, samples),
            speech_tokens=tokens,
            mel=mel,
            text=text,
            language=language_of(text),
            family=self._folder.family,
            origin=Origin(
                license=license,
                consent=consent,
                source_sha256=sha256_of(reference),
                speech_tokenizer=fingerprint(self._folder),
            ),
        )

    def _prompt(
        self,
        audio: Audio,
        tokens: Tokens,  # [S]
    ) -> tuple[Tokens, Floats]:  # [P], [M, 80]
        """Tokens and mel of the recording, cut together to two frames a token; CosyVoice 1 keeps all."""
        samples = audio.resample(self._spec.sample_hz).samples
        mel = log_mel(samples, self._spec).T
        if self._folder.family == "cosyvoice":
            return tokens, mel
        count = min(len(mel) // 2, len(tokens))
        kept = slice(0, count)
        if self._first_edge is not None and count:
            kept = best_cut(samples[: 2 * self._spec.hop * count], count, self._first_edge)
        return tokens[kept], mel[2 * kept.start : 2 * kept.stop]


def read_reference(reference: Reference) -> Audio:
    """The recording, fit to make a voice from. No model runs; no more of a file is decoded than is allowed.

    Raises:
        AudioError: it cannot be read or is unfit (see `check_reference`).
    """
    audio = reference if isinstance(reference, Audio) else Audio.read(reference, max_s=MAX_REFERENCE_S)
    check_reference(audio)
    return audio


def sha256_of(reference: Reference) -> str:
    """Of a file's bytes; of a recording in memory, of its samples as little-endian float32.

    Raises:
        AudioError: the file cannot be read.
    """
    if isinstance(reference, Audio):
        return hashlib.sha256(np.asarray(reference.samples, "<f4").tobytes()).hexdigest()
    try:
        with open(reference, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AudioError(f"cannot read {reference}: {error.strerror or error}; check the path") from error
