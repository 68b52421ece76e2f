"""Speech as upstream gives it: a generator of `{"tts_speech": tensor [1, N]}`."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from cosyrt.audio import Audio

Speech = Generator[dict[str, Tensor], None, None]  # {"tts_speech": float32 [1, N]} each


def speech_of(
    made: Generator[Audio | np.ndarray, None, None],  # arrays: float32 [N] each
) -> Speech:
    """Give out audio as upstream does; closing it stops the work."""
    with closing(made):
        for each in made:
            samples = each.samples if isinstance(each, Audio) else each
            yield {"tts_speech": torch.from_numpy(samples)[None]}


def set_all_random_seed(seed: int) -> None:
    """Seed every generator that scripts use; torch's decides how the next call speaks."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # of every device


def seed_of_torch() -> int:
    """From torch's own generator: each call speaks anew, and `torch.manual_seed` decides, as upstream."""
    return int(torch.randint(2**32, ()))
