"""Speech in upstream's form, and the seeds that decide it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch

from cosyrt.audio import Audio
from cosyrt.compat import set_all_random_seed
from cosyrt.compat.speech import seed_of_torch, speech_of


def test_audio_and_samples_become_results() -> None:
    """Whatever the engine gives is a tensor [1, N]; closing the results closes what makes them."""
    closed = []

    def made() -> Iterator[Audio | np.ndarray]:
        try:
            yield Audio(np.ones(3, np.float32), 24_000)
            yield np.zeros(2, np.float32)
            yield np.zeros(2, np.float32)
        finally:
            closed.append(True)

    speech = speech_of(made())  # type: ignore[arg-type]
    assert next(speech)["tts_speech"].tolist() == [[1, 1, 1]]
    assert next(speech)["tts_speech"].shape == (1, 2)
    speech.close()
    assert closed == [True]


def test_one_seed_for_all() -> None:
    """Python's, numpy's and torch's numbers come again, and with them the seed of the next call."""

    def drawn() -> tuple[float, float, float, int]:
        return random.random(), float(np.random.rand()), float(torch.rand(())), seed_of_torch()

    set_all_random_seed(5)
    first, other = drawn(), drawn()
    set_all_random_seed(5)
    assert drawn() == first != other
