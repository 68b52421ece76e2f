"""A corpus of a few tones on disk, in the layout that the recipe reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from recipes.builtin_voice import corpus as data

PITCH_HZ = 125.0


def write(work: Path, count: int = 6) -> data.Corpus:
    """`count` utterances of 12, 14, 16, … tokens; each a harmonic tone."""
    random = np.random.default_rng(0)
    start = 0
    with (
        (work / data.AUDIO.file).open("wb") as audio,
        (work / data.MEL.file).open("wb") as mel,
        (work / "utterances.jsonl").open("w", encoding="utf-8") as index,
    ):
        for number in range(count):
            tokens = 12 + 2 * number
            audio.write((tone(tokens) * 32767).astype("<i2").tobytes())
            mel.write(random.normal(-5, 2, (2 * tokens, 80)).astype("<f2").tobytes())
            index.write(json.dumps(line(number, start, tokens)) + "\n")
            start += tokens
    return data.Corpus(work)


def write_tokens(work: Path) -> None:
    """Speech tokens for all of them, which climb by one a token."""
    count = sum(item.tokens for item in data.Corpus(work).utterances)
    (work / data.TOKENS.file).write_bytes((np.arange(count) % 100).astype("<i2").tobytes())


def tone(tokens: int) -> np.ndarray:  # float32 [960 * tokens]
    """Ten harmonics of 125 Hz."""
    seconds = np.arange(960 * tokens) / 24_000
    return sum(0.08 * np.cos(2 * np.pi * PITCH_HZ * k * seconds) for k in range(1, 11)).astype(np.float32)


def line(number: int, start: int, tokens: int) -> dict[str, object]:
    """One line of the index."""
    end = tokens / 25
    return {
        "id": number,
        "lang": "en",
        "voice": "tone",
        "text": "a b",
        "units": ["AY1", "EH0"],
        "unit_end_s": [end / 2, end],
        "phones": ["en:a", "en:b"],
        "phone_end_s": [end / 2, end],
        "start_sample": 960 * start,
        "samples": 960 * tokens,
        "start_frame": 2 * start,
        "frames": 2 * tokens,
    }
