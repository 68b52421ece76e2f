"""The generated training texts."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from cosyrt.text.pronounce import ArpabetPinyin
from recipes.builtin_voice import texts_en, texts_zh
from recipes.builtin_voice.grammar import Rules, expand, rules

_WORDS = texts_en.Words(["cat", "table", "running"], ["blorf"])


@pytest.mark.parametrize("source", [texts_en.RULES, texts_zh.RULES])
def test_every_slot_has_a_rule(source: Rules) -> None:
    """No template names a rule that does not exist."""
    texts = [text for templates in source.values() for text in templates]
    slots = {slot for text in texts for slot in re.findall(r"\{(\w*)\}", text)}
    assert slots <= set(source)


def test_rules_are_read_over_several_lines() -> None:
    """A line that starts with a space belongs to the rule above it."""
    source = rules("a: x / {b}\n / y\nb: z")
    assert source == {"a": ["x", "{b}", "y"], "b": ["z"]}
    assert {expand(source, "a", random.Random(seed)) for seed in range(30)} == {"x", "y", "z"}


@pytest.mark.parametrize(
    ("sentence", "words"),
    [(texts_en.sentence, lambda: _WORDS), (texts_zh.sentence, texts_zh.load_phrases)],
)
def test_texts_are_repeatable_and_can_be_said(sentence: Callable[..., str], words: Callable[[], Any]) -> None:
    """One seed gives one text, every text has sounds, and most texts differ."""
    loaded, pronounce = words(), ArpabetPinyin()
    texts = [sentence(random.Random(seed), loaded, seed) for seed in range(200)]
    assert texts == [sentence(random.Random(seed), loaded, seed) for seed in range(200)]
    assert all(len(pronounce(text)) > 1 for text in texts)
    assert len(set(texts)) > 150


def test_all_syllables_come_up() -> None:
    """Consecutive positions go through every syllable and tone there is."""
    phrases = texts_zh.load_phrases()
    count = len(phrases.characters)
    assert count > 1300
    assert len({position * 499 % count for position in range(count)}) == count
