"""The speech tokenizer and its trainer."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import tokenizer
from recipes.builtin_voice.quantizer import SPEECH_VOCABULARY, Encoder, TokenizerConfig, straight_through
from tests.recipes import tiny_corpus

CONFIG = TokenizerConfig(dims=4, width=16, phones=2, voices=1)


def encoder() -> Encoder:
    torch.manual_seed(1)
    return Encoder(CONFIG).eval()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 80), min_size=1, max_size=20))
def test_ids_and_codes_are_one_to_one(ids: list[int]) -> None:
    """The digits of an id, taken as a code, give the id back."""
    digits = torch.tensor([[(number // 3**at) % 3 - 1 for at in range(4)] for number in ids])
    assert encoder().ids(digits.float()[None]).tolist() == [ids]


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 90))
def test_tokens_are_a_quarter_of_the_frames_rounded_up(frames: int) -> None:
    """T frames give ceil(T / 4) ids, all within the vocabulary."""
    features = torch.randn(1, 128, frames, generator=torch.manual_seed(frames)) * 3
    ids = encoder()(features, torch.tensor([frames], dtype=torch.int32))
    assert ids.shape == (1, -(-frames // 4))
    assert 0 <= int(ids.min()) <= int(ids.max()) < CONFIG.vocab


def test_padding_changes_no_token() -> None:
    """An utterance within a padded batch gets the code it gets alone."""
    features = torch.randn(2, 128, 64, generator=torch.manual_seed(0))
    features[0, :, 40:] = 0
    together = encoder().continuous(features, torch.tensor([10, 16]))
    alone = encoder().continuous(features[:1, :, :40])
    torch.testing.assert_close(together[:1, :10], alone)


def test_rounding_lets_the_gradient_through() -> None:
    """Forwards the code is rounded, backwards it is not there."""
    code = torch.tensor([0.2, -0.7], requires_grad=True)
    rounded = straight_through(code)
    rounded.sum().backward()
    assert rounded.tolist() == [0.0, -1.0]
    assert code.grad is not None and code.grad.tolist() == [1.0, 1.0]


def test_onnx_gives_the_tokens_of_torch(tmp_path: Path) -> None:
    """The exported file takes the official inputs by position and returns the same ids at any length."""
    path = tmp_path / "speech_tokenizer_v2.onnx"
    model = encoder()
    tokenizer.write_onnx(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    features_name, length_name = (item.name for item in session.get_inputs())
    for frames in (4, 37, 400, 777):
        features = torch.randn(1, 128, frames, generator=torch.manual_seed(frames))
        length = torch.tensor([frames], dtype=torch.int32)
        (ids,) = session.run(None, {features_name: features.numpy(), length_name: length.numpy()})
        np.testing.assert_array_equal(ids, model(features, length).numpy())


def test_training_ends_in_tokens_for_every_utterance(tmp_path: Path) -> None:
    """prepare, train and tokenize leave one token in range for every 960 samples."""
    corpus = tiny_corpus.write(tmp_path)
    options = argparse.Namespace(
        work=tmp_path, minutes=1.0, steps=2, batch=2, learning_rate=1e-3, threads=1, device="cpu", seed=0,
        fresh=False, width=16, crop_tokens=8, processes=1,
    )  # fmt: skip
    tokenizer.prepare(options)
    tokenizer.train(options)
    tokenizer.tokenize(options)
    ids = np.fromfile(tmp_path / data.TOKENS.file, "<i2")
    assert len(ids) == sum(item.tokens for item in corpus.utterances)
    assert 0 <= ids.min() <= ids.max() < SPEECH_VOCABULARY
