"""A work folder filled from the published voice."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from cosyrt.checkpoint.folder import ModelFolder
from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import flow, published
from recipes.builtin_voice.loop import save_weights
from tests.recipes import tiny_corpus


def test_every_utterance_gets_one_token_for_each_of_its_forty_milliseconds(tmp_path: Path) -> None:
    """A second call has nothing left to do."""
    corpus, folder = tiny_corpus.write(tmp_path, 2), ModelFolder.open(published.FOLDER)
    assert published.write_tokens(corpus, folder) == 2
    tokens = np.fromfile(tmp_path / data.TOKENS.file, data.TOKENS.dtype)
    assert len(tokens) == sum(item.tokens for item in corpus.utterances)
    assert tokens.min() >= 0 and tokens.max() < flow.CONFIG.speech_vocabulary
    assert published.write_tokens(corpus, folder) == 0


def test_the_published_flow_makes_mels_of_what_has_tokens(tmp_path: Path) -> None:
    """Weights and voices are where the stages would have left them; what has no tokens waits."""
    corpus = tiny_corpus.write(tmp_path, 3)
    published.write_flow(tmp_path, published.FOLDER)
    published.write_voices(tmp_path, published.FOLDER)
    options = Namespace(work=tmp_path, threads=1, hours=1.0)
    vectors = flow.speaker_vectors(options)
    assert set(vectors) == {"rms", "cmn"}
    (tmp_path / data.TOKENS.file).write_bytes(np.arange(12 + 14).astype("<i2").tobytes())
    voices = tmp_path / "voices.safetensors"
    save_weights(voices, {"tone": torch.from_numpy(vectors["rms"])}, {})
    flow.write_mels(options)
    assert data.rows_on_disk(tmp_path, data.FLOW_MEL) == 2 * (12 + 14)
    assert len(corpus.having(data.FLOW_MEL)) == 2
