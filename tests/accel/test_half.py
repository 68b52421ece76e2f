"""Float16 stages: the same speech, on whatever device has float16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.accel.half import half_precision, halved
from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import UsageError
from tests.engine.pipelines import SHORT, joined, prompted

SOURCE = Audio(np.random.default_rng(0).standard_normal(48_000).astype(np.float32) / 10, 24_000)


@pytest.fixture(scope="module")
def half(spelling_folder: Path) -> Pipeline:
    """The tiny model in float16 on the CPU, which is slow and enough to see the numbers."""
    return cosyrt.load(
        spelling_folder, device="cpu", accelerate=lambda _, models, stages: halved(models, stages, CPU)
    )


CPU = torch.device("cpu")


def test_the_flow_is_near_float32(spelling: Pipeline, half: Pipeline) -> None:
    """Of the same speech tokens both make the same sound, to one part in a hundred, whole and in chunks."""
    for convert in (
        lambda tts: tts.convert(SOURCE, voice=prompted()).samples,
        lambda tts: joined(tts.stream_conversion(SOURCE, voice=prompted())),
    ):
        plain, fast = convert(spelling), convert(half)
        assert np.abs(plain - fast).max() < 0.01 * np.abs(plain).max()


def test_the_language_model_speaks(half: Pipeline) -> None:
    """Whole and while the text is read: its cache and its weights are of one type."""
    assert half.say(SHORT, voice=prompted()).seconds > 0
    assert len(joined(half.stream(SHORT, voice=prompted(), interleave=True))) > 0


def test_a_cpu_is_refused(spelling_folder: Path) -> None:
    """Float16 on a CPU is no acceleration: one line says so."""
    with pytest.raises(UsageError, match="float16 needs a CUDA device"):
        cosyrt.load(spelling_folder, device="cpu", accelerate=half_precision)
