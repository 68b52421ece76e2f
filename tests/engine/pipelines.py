"""Texts, voices and pipelines with other stages, shared by the tests of a whole pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cosyrt.audio import Audio
from cosyrt.engine.pipeline import Pipeline
from cosyrt.voice.voice import Voice
from tests import tiny as model

SHORT = "Hello there."
TEXT = "Hello there, my dear old friends."  # at least 54 speech tokens: two boundaries, prompt or not


def prompted(**changes: Any) -> Voice:
    """A voice with a prompt that does not end on a chunk boundary, and its transcript."""
    random = np.random.default_rng(1)
    values: dict[str, Any] = {
        "name": "ada",
        "speaker": random.standard_normal(192),
        "speech_tokens": random.integers(0, model.SPEECH_VOCABULARY, 31),
        "mel": random.standard_normal((62, 80)),
        "text": "Good day.",
        "language": "en",
    }
    return Voice(**(values | changes))


def other(tiny: Pipeline, *, overlap: bool = False, **stages: Callable[..., Any]) -> Pipeline:
    """A pipeline of the same model with some of its stages replaced."""
    made = Pipeline(replace(tiny.model, stages=tiny.model.stages._replace(**stages)))
    made.overlap = overlap
    return made


def terse(tiny: Pipeline, per_text: float, **stages: Callable[..., Any]) -> Pipeline:
    """A pipeline with at most so many speech tokens a text token, for long texts."""
    model = other(tiny, **stages).model
    speaking = replace(model.settings.decoding, least_per_text=per_text / 2, most_per_text=per_text)
    return Pipeline(replace(model, settings=replace(model.settings, decoding=speaking)))


def joined(parts: Iterator[Audio]) -> np.ndarray:  # float32 [N]
    return np.concatenate([part.samples for part in parts])


def same(one: np.ndarray, two: np.ndarray, tolerance: float = 1e-4) -> bool:
    return one.shape == two.shape and bool(np.abs(one - two).max() <= tolerance)


class Counted:
    """Counts the calls of a stage; may fail at one of them."""

    def __init__(self, stage: Callable[..., Any], fail_at: int | None = None) -> None:
        self.stage, self.fail_at, self.calls = stage, fail_at, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == self.fail_at:
            raise ZeroDivisionError("a broken stage")
        return self.stage(*args)
