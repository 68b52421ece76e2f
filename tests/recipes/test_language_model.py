"""The language model's trainer."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import language_model
from tests.recipes import tiny_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> data.Corpus:
    """Utterances of two units each, with speech tokens."""
    tiny_corpus.write(tmp_path)
    tiny_corpus.write_tokens(tmp_path)
    return data.Corpus(tmp_path)


def test_training_lowers_the_cross_entropy(corpus: data.Corpus) -> None:
    """A few steps on a handful of utterances are seen in the loss of the model that was kept."""
    options = argparse.Namespace(
        work=corpus.work, minutes=1.0, steps=1, batch=200, learning_rate=2e-3, threads=1, device="cpu",
        seed=0, fresh=True,
    )  # fmt: skip
    found = []
    for options.steps in (1, 25):
        language_model.train(options)
        objective = language_model.Objective(language_model.load(options), corpus, options.batch, 0)
        with torch.no_grad():
            found.append(float(objective.losses(objective.utterances[:2], None)["speech"]))
    assert found[1] < found[0] - 0.5


def test_each_token_belongs_to_the_unit_that_sounds_in_its_middle(corpus: data.Corpus) -> None:
    """Half of the tokens of a tone belong to its first unit, the others to the second."""
    item = corpus.utterances[0]
    spoken = language_model.spoken_unit(item, item.tokens)
    assert spoken.tolist() == [0] * (item.tokens // 2) + [1] * (item.tokens // 2)


def test_corruption_draws_from_the_same_utterance() -> None:
    """A replaced token is one that the utterance has, and most stay what they were."""
    speech = torch.arange(1000)
    hurt = language_model.corrupt(speech, np.random.default_rng(0))
    assert set(hurt.tolist()) <= set(speech.tolist())
    assert 0 < int((hurt != speech).sum()) < 500
