"""Recordings and model folders for upstream's scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.compat import CosyVoice2


def noise(seconds: float, seed: int = 0) -> Audio:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * 24_000)) / 10
    return Audio(samples.astype(np.float32), 24_000)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recording of two seconds."""
    path = tmp_path_factory.mktemp("asset") / "zero_shot_prompt.wav"
    noise(2).write(path)
    return str(path)


@pytest.fixture
def own_folder(spelling_folder: Path, tmp_path: Path) -> Path:
    """A CosyVoice 2 folder that may be written to."""
    return Path(shutil.copytree(spelling_folder, tmp_path / "CosyVoice2"))


@pytest.fixture(scope="session")
def upstream2(spelling_folder: Path) -> CosyVoice2:
    """Upstream's class on the tiny model."""
    return CosyVoice2(str(spelling_folder))
