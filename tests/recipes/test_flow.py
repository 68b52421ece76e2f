"""The flow's trainer."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import flow
from recipes.builtin_voice.loop import save_weights
from tests.recipes import tiny_corpus


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    """A work folder with everything that the flow learns from, and how long to learn."""
    tiny_corpus.write(tmp_path)
    tiny_corpus.write_tokens(tmp_path)
    save_weights(tmp_path / "voices.safetensors", {"tone": torch.ones(192)}, {})
    return argparse.Namespace(
        work=tmp_path, minutes=1.0, steps=2, batch=2, learning_rate=1e-3, threads=1, device="cpu", seed=0,
        fresh=False, start_from=None, hours=1.0,
    )  # fmt: skip


def test_training_moves_the_weights_and_goes_on_from_them(options: argparse.Namespace) -> None:
    """What is trained loads as the runtime's flow, and another run can begin with it."""
    flow.train(options)
    first = flow.load(options).encoder_proj.weight.clone()
    options.start_from, options.fresh = options.work / "flow.safetensors", True
    flow.train(options)
    assert not torch.equal(flow.load(options).encoder_proj.weight, first)


def test_both_losses_of_a_step_are_there(options: argparse.Namespace) -> None:
    """The prior measures the encoder alone: the velocity's output does not change it."""
    corpus = data.Corpus(options.work)
    model = flow.Flow(flow.CONFIG)
    objective = flow.Objective(model, corpus, flow.speaker_vectors(options), options.batch)
    one = objective(0, np.random.default_rng(0))
    with torch.no_grad():
        model.velocity.final_proj.bias.add_(1)
    other = objective(0, np.random.default_rng(0))
    assert one["prior"].item() == other["prior"].item()
    assert one["match"].item() != other["match"].item()


def test_the_flow_writes_a_mel_for_every_utterance_once(options: argparse.Namespace) -> None:
    """The vocoder learns from the flow's own mels; a second run finds nothing left to do."""
    flow.train(options)
    for _ in range(2):
        flow.write_mels(options)
    corpus = data.Corpus(options.work)
    rows = data.rows_on_disk(options.work, data.FLOW_MEL)
    assert rows == sum(2 * item.tokens for item in corpus.utterances)
    assert all(np.isfinite(corpus.rows(data.FLOW_MEL, item)).all() for item in corpus.utterances)
