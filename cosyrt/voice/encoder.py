"""A recording → a voice. The steps are upstream's `frontend_zero_shot` (cosyvoice/cli/frontend.py).

The prompt of a voice is cut so that the first chunk of a stream comes early. A stream may be cut on a grid of
chunks that is counted from the first token of the prompt: how soon its first chunk ends depends on the
prompt's length alone. With CosyVoice 2 and 3 (chunks of 25 tokens, at least 12 in the first) it is after 12
tokens when 13 are left of the prompt over whole chunks, and after 36 when 14 are: one second later. So up to
a second of the recording's silence is left out.

Only silence: the transcript is given to the language model beside the tokens, and a prompt that lacks the
sound of words it has is continued with those words, or mumbled. Some silence stays on either side, because
the quiet beginning of an [f] and the closure of a last [t] count as silence by their level. It is taken from
the beginning first: the end is what the models continue from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import AudioError, TextError
from cosyrt.families import FAMILIES
from cosyrt.files import file_sha256
from cosyrt.mel import log_mel
from cosyrt.text.normalize import language_of, normalize
from cosyrt.voice.reference import (
    ENCODER_HZ,
    MAX_REFERENCE_S,
    Floats,
    Tokens,
    check_reference,
    mel_spec,
    speaker_vector,
    speech_tokenizer_digest,
    speech_tokens,
    warn_if_narrowband,
)
from cosyrt.voice.trimming import trimmed
from cosyrt.voice.voice import MAX_TEXT_CHARACTERS, Origin, Voice

Reference = Audio | str | Path
# Length of a prompt in tokens → tokens after it at which the first chunk of a stream ends.
FirstEdge = Callable[[int], int]

SILENCE_BELOW_PEAK_DB = 40.0  # so far below the loudest token; quiet speech sounds are 30 dB below
KEPT_TOKENS = 3  # of silence, on either side of the speech: 0.12 s


class VoiceEncoder:
    """Reference audio → `Voice`, through the speech tokenizer and the speaker encoder of a model folder.

    `first_boundary` says where a stream after a prompt of so many tokens is first cut: with it, silence is
    left out of the prompt so that this is early (see `best_cut`).
    """

    def __init__(self, folder: ModelFolder, first_boundary: FirstEdge | None = None) -> None:
        self._folder = folder
        self._spec = mel_spec(folder)
        self._first_boundary = first_boundary

    def encode(
        self,
        reference: Reference,
        text: str,
        name: str,
        *,
        license: str = "",
        consent: str = "",
        as_recorded: bool = True,
    ) -> Voice:
        """Make a voice of a recording. `text` is its transcript, or empty where it is not known.

        Unless it is to be taken `as_recorded`, silence is trimmed and the ends fade (see `trimming.py`).

        Raises:
            AudioError: the recording cannot be read or is unfit (see `check_reference`).
            TextError: the transcript has nothing that can be spoken.
            ModelNotFound: the folder lacks an encoder.
            WeightsError: an encoder cannot be used.
        """
        check_transcript(text)
        audio = read_reference(reference)
        warn_if_narrowband(audio)
        source = reference if _is_file(reference) else audio
        audio = audio if as_recorded else trimmed(audio, MAX_REFERENCE_S)
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
                source_sha256=sha256_of(source),
                speech_tokenizer=speech_tokenizer_digest(self._folder),
            ),
        )

    def _prompt(
        self,
        audio: Audio,
        tokens: Tokens,  # [S]
    ) -> tuple[Tokens, Floats]:  # [P], [M, 80]
        """Tokens and mel of the recording, cut together where a token has a fixed number of frames."""
        samples = audio.resample(self._spec.sample_hz).samples
        mel = log_mel(samples, self._spec).T
        frames = FAMILIES[self._folder.family].prompt_frames_per_token
        if frames is None:
            return tokens, mel
        count = min(len(mel) // frames, len(tokens))
        kept = slice(0, count)
        if self._first_boundary is not None and count:
            kept = best_cut(samples[: frames * self._spec.hop * count], count, self._first_boundary)
        return tokens[kept], mel[frames * kept.start : frames * kept.stop]


def read_reference(reference: Reference) -> Audio:
    """Read and check a recording without running a model or decoding more of a file than is allowed.

    Raises:
        AudioError: it cannot be read or is unfit (see `check_reference`).
    """
    audio = reference if isinstance(reference, Audio) else Audio.read(reference, max_s=MAX_REFERENCE_S)
    check_reference(audio)
    return audio


def check_transcript(text: str) -> None:
    """Refuse a transcript that no recording can have, before it is normalised.

    Raises:
        TextError: it is too long.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise TextError(
            f"the transcript has {len(text)} characters, more than {MAX_TEXT_CHARACTERS}; "
            "give the words of the recording alone"
        )


def _is_file(reference: Reference) -> bool:
    """Whether this is the path of a file, which can be read again; a pipe cannot."""
    return not isinstance(reference, Audio) and Path(reference).is_file()


def sha256_of(reference: Reference) -> str:
    """The SHA-256 of a file's bytes, or of the samples of a recording in memory as little-endian float32.

    Raises:
        AudioError: the file cannot be read.
    """
    if isinstance(reference, Audio):
        return hashlib.sha256(np.asarray(reference.samples, "<f4").tobytes()).hexdigest()
    try:
        return file_sha256(Path(reference))
    except OSError as error:
        raise AudioError(f"cannot read {reference}: {error.strerror or error}; check the path") from error


def best_cut(
    samples: Floats,  # [N] at least one for each token
    tokens: int,
    first_boundary: FirstEdge,
) -> slice:
    """The tokens to keep so that the first chunk ends as early as leaving out silence allows."""
    leading, trailing = _spare(_is_silent(samples, tokens))
    cut = min(range(leading + trailing + 1), key=lambda cut: (first_boundary(tokens - cut), cut))
    start = min(cut, leading)
    return slice(start, tokens - (cut - start))


def _is_silent(
    samples: Floats,  # [N]
    tokens: int,
) -> NDArray[np.bool_]:  # [tokens]
    """Mark the tokens whose level is far below the loudest."""
    width = len(samples) // tokens
    power = np.var(samples[: width * tokens].reshape(tokens, width), axis=1, dtype=np.float64)
    silent: NDArray[np.bool_] = power <= power.max() * 10 ** (-SILENCE_BELOW_PEAK_DB / 10)
    return silent


def _spare(
    silent: NDArray[np.bool_],  # [P]
) -> tuple[int, int]:
    """The number of silent tokens that may be left out at the beginning and at the end."""
    speech = np.flatnonzero(~silent)
    if not len(speech):
        return 0, 0
    return max(0, int(speech[0]) - KEPT_TOKENS), max(0, len(silent) - 1 - int(speech[-1]) - KEPT_TOKENS)
