"""Counting word errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.recogniser import Recogniser, interval, mistakes, word_errors, words
from cosyrt.audio import Audio
from recipes.builtin_voice.teacher import SAMPLE_HZ, Flite

sentences = st.lists(st.sampled_from("abc"), max_size=7)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b", "a x b", 1), ("a b c", "x b y", 2), ("a b", "", 2)],
)
def test_each_wrong_word_counts_once(said, heard, errors):
    """A word that is missing, added or another one is one error."""
    assert word_errors(said.split(), heard.split()) == errors


@given(sentences, sentences, sentences)
def test_errors_are_a_distance(one, two, three):
    """Symmetric, zero only for the same words, and no detour is shorter."""
    assert word_errors(one, two) == word_errors(two, one)
    assert (word_errors(one, two) == 0) == (one == two)
    assert word_errors(one, three) <= word_errors(one, two) + word_errors(two, three)


@given(sentences, sentences)
def test_a_sentence_is_wrong_once_at_most(said, heard):
    """However much is invented, there are no more mistakes than words."""
    assert mistakes(said, heard) == min(word_errors(said, heard), len(said))


def test_spelling_does_not_count():
    """Case, punctuation, digits and the recogniser's marks for variants are the same words."""
    assert words("The 12 friends' bus, at 9 o'clock!") == words("the twelve friends bus at nine o'clock")
    assert words("the(2) bus") == ["the", "bus"]
    assert words(" ... ") == []


def test_the_interval_holds_the_rate():
    """The interval lies around the rate, and is narrower with more sentences."""
    low, high = interval([1, 0, 2, 0], [8, 8, 8, 8])
    more_low, more_high = interval([1, 0, 2, 0] * 25, [8, 8, 8, 8] * 25)
    assert low <= 3 / 32 <= high
    assert high - low > more_high - more_low > 0


def test_the_interval_of_a_ratio_is_paired() -> None:
    """Where each sentence has twice the errors of another stage, the ratio is 2 however they are drawn."""
    assert interval([2, 4, 0, 6] * 5, [1, 2, 0, 3] * 5) == (2, 2)


def test_nothing_to_divide_by() -> None:
    """A teacher without errors gives a number, not a warning."""
    assert interval([1, 0], [0, 0]) == (0, 2)


@pytest.fixture
def speech() -> Audio:
    """An ordinary sentence of the teacher."""
    pytest.importorskip("pocketsphinx")
    try:
        teacher = Flite()
    except OSError:
        pytest.skip("flite is not installed")
    said = teacher.say("She put the kettle on and opened the window.", [])
    return Audio(said.samples, SAMPLE_HZ)


def test_the_recogniser_hears_words(speech: Audio) -> None:
    """The sentence is understood, whatever the sample rate."""
    heard = Recogniser().words(speech)
    assert word_errors(words("she put the kettle on and opened the window"), heard) <= 2


@pytest.mark.slow
def test_what_was_heard_before_does_not_count(speech: Audio) -> None:
    """After loud noise and after silence a quiet sentence is scored as if it were the first."""
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_HZ).astype(np.float32)
    quiet = Audio(speech.samples / 30, SAMPLE_HZ)
    recogniser = Recogniser()
    first = recogniser.words(quiet)
    for disturbance in (0.3 * noise, 0 * noise):
        recogniser.words(Audio(disturbance, SAMPLE_HZ))
        assert recogniser.words(quiet) == first
