"""Reference audio → what the models take from it: speech tokens, a speaker vector, a mel.

The audio is checked first, so that a bad recording costs a moment and not a model run.
"""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.hyperyaml import Tagged
from cosyrt.errors import AudioError, ConfigError, WeightsError
from cosyrt.families import FAMILIES
from cosyrt.mel import whisper_log_mel
from cosyrt.units import MelSpec
from cosyrt.voice.first_run import encoded

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Tokens = NDArray[np.int64]

ENCODER_HZ = 16_000

MIN_REFERENCE_S, MAX_REFERENCE_S = 1.0, 30.0  # the speech tokenizer was made for at most 30 s
MIN_REFERENCE_HZ, GOOD_REFERENCE_HZ = 8_000, 16_000  # the telephone's; what the encoders listen to
MIN_SOUND_S = 0.5
SILENCE_DB = -50.0
CLIPPED_AT = 0.999
MAX_CLIPPED = 0.01
DIGEST_BLOCKS, DIGEST_BLOCK_BYTES = 64, 65_536


def check_reference(audio: Audio) -> None:
    """Refuse a recording that no good voice can be made from.

    Raises:
        AudioError: too short, too long, of a low rate, silent or clipped: the measured value and what to do.
    """
    if not MIN_REFERENCE_S <= audio.seconds <= MAX_REFERENCE_S:
        raise AudioError(
            f"the reference audio is {audio.seconds:.2f} s long; "
            f"give {MIN_REFERENCE_S:g} to {MAX_REFERENCE_S:g} s of speech (5 to 10 s is best)"
        )
    _check_rate(audio.rate)
    sound_s = _sound_s(audio)
    if sound_s < MIN_SOUND_S:
        raise AudioError(
            f"the reference audio is silent: {sound_s:.2f} s of it are above {SILENCE_DB:g} dB; "
            f"give at least {MIN_SOUND_S:g} s of speech, recorded louder or closer"
        )
    clipped = float(np.mean(np.abs(audio.samples) >= CLIPPED_AT))
    if clipped > MAX_CLIPPED:
        raise AudioError(
            f"the reference audio is clipped: {clipped:.1%} of it is at full scale; record it quieter"
        )


def warn_if_narrowband(audio: Audio) -> None:
    """Warn that a recording of telephone quality makes a voice of telephone quality."""
    if audio.rate < GOOD_REFERENCE_HZ:
        log.warning(
            "the reference audio has %d samples a second: the voice will be dull; %d or more are better",
            audio.rate,
            GOOD_REFERENCE_HZ,
        )


def mel_spec(folder: ModelFolder) -> MelSpec:
    """The mel of a model: its description's `feat_extractor`, else what its family was published with.

    Raises:
        ConfigError: a value of the `feat_extractor` is missing or not a number.
    """
    extractor = folder.description.get("feat_extractor")
    if not isinstance(extractor, Tagged):
        return FAMILIES[folder.family].mel
    args = extractor.args
    try:
        return MelSpec(
            sample_hz=int(args["sampling_rate"]),
            n_fft=int(args["n_fft"]),
            win=int(args["win_size"]),
            hop=int(args["hop_size"]),
            n_mels=int(args["num_mels"]),
            fmin=float(args["fmin"]),
            fmax=None if args["fmax"] is None else float(args["fmax"]),
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{folder.path}: 'feat_extractor' holds no number where one is due: {error}"
        ) from error


def speech_tokens(
    folder: ModelFolder,
    samples: Floats,  # [N] at 16 kHz
) -> Tokens:  # [S]
    """Speech tokens of a recording, through the folder's speech tokenizer.

    Raises:
        ModelNotFound: the folder lacks the file.
        WeightsError: the file cannot be used.
    """
    mel = whisper_log_mel(samples)[None]
    path = folder.file(FAMILIES[folder.family].speech_tokenizer)
    return encoded(path, mel, np.array([mel.shape[2]], np.int32)).ravel().astype(np.int64)


def speaker_vector(
    folder: ModelFolder,
    samples: Floats,  # [N] at 16 kHz
) -> Floats:  # [192]
    """The speaker of a recording, through the folder's CAM++.

    Raises:
        ModelNotFound: the folder lacks the file.
        WeightsError: the file cannot be used.
    """
    features = speaker_features(samples)[None]
    return encoded(folder.file("campplus.onnx"), features).ravel().astype(np.float32)


def speaker_features(
    samples: Floats,  # [N] at 16 kHz
) -> Floats:  # [T, 80]
    """Kaldi's log filterbank without dither, its mean over time removed: the input of CAM++."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 80
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(ENCODER_HZ, samples.tolist())
    computer.input_finished()
    frames = np.stack([computer.get_frame(at) for at in range(computer.num_frames_ready)])
    centred: Floats = frames - frames.mean(axis=0)
    return centred


def speech_tokenizer_digest(folder: ModelFolder) -> str:
    """32 hexadecimal digits that identify the speech tokenizer of a folder; empty where it has none.

    Computed from the size and 64 blocks spread over the file, not from all of its 500 MB: it is needed at the
    first word of a registered voice. Another training changes every weight.
    """
    path = folder.path / FAMILIES[folder.family].speech_tokenizer
    if not path.is_file():
        return ""
    status = path.stat()
    return _sampled_digest(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _sampled_digest(path: str, size: int, changed_ns: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    last = max(0, size - DIGEST_BLOCK_BYTES)
    try:
        with open(path, "rb") as file:
            for block in range(DIGEST_BLOCKS):
                file.seek(last * block // (DIGEST_BLOCKS - 1))
                digest.update(file.read(DIGEST_BLOCK_BYTES))
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}; download it again") from error
    return digest.hexdigest()[:32]


def _check_rate(rate: int) -> None:
    if rate < MIN_REFERENCE_HZ:
        raise AudioError(
            f"the reference audio has {rate} samples a second; record it at {GOOD_REFERENCE_HZ} or more"
        )


def _sound_s(audio: Audio) -> float:
    """The seconds of a recording that are louder than silence, judged by 20 ms without constant offset."""
    width = audio.rate // 50
    frames = audio.samples[: len(audio.samples) // width * width].reshape(-1, width)
    power = np.var(frames, axis=1, dtype=np.float64)
    return float(np.count_nonzero(power > 10 ** (SILENCE_DB / 10))) * width / audio.rate
