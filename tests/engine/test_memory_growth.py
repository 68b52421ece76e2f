"""A process that speaks ever new texts does not grow with each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psutil
import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.units import MIB

WARM_UP, TEXTS, MOST_GROWTH_BYTES = 50, 300, 50 * MIB
WORDS = "a quick brown fox jumps over the lazy dog while seventeen small birds sing about mountains".split()
HANZI = "今天天气很好我们一起去公园散步吧请问明天早上八点的火车还有票吗"


def varied_texts(seed: int) -> Iterator[str]:
    """Sentences of 1 to 30 words, or of 2 to 60 characters."""
    chance = random.Random(seed)
    while True:
        count = chance.choice((1, 2, 3, 5, 8, 12, 20, 30))
        english = " ".join(chance.choices(WORDS, k=count)) + "."
        yield chance.choice((english, "".join(chance.choices(HANZI, k=2 * count)) + "。"))


def resident_bytes() -> int:
    """Memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


@pytest.mark.slow
def test_varied_texts(builtin: Pipeline) -> None:
    """Three hundred texts whose lengths rarely come twice, after fifty that warm the process up."""
    texts = varied_texts(0)
    for _ in range(WARM_UP):
        builtin.say(next(texts))
    before = resident_bytes()
    for _ in range(TEXTS):
        builtin.say(next(texts))
    assert resident_bytes() - before <= MOST_GROWTH_BYTES
