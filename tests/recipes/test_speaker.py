"""The speaker encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from recipes.builtin_voice.speaker import SpeakerConfig, SpeakerEncoder, equal_error, filterbank, write_onnx


def test_onnx_gives_the_vector_of_torch(tmp_path: Path) -> None:
    """The exported file has the official input name and a [1, 192] output at any length."""
    torch.manual_seed(2)
    encoder = SpeakerEncoder(SpeakerConfig(width=16)).eval()
    write_onnx(encoder, tmp_path / "campplus.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "campplus.onnx"), providers=["CPUExecutionProvider"]
    )
    for frames in (30, 300):
        features = torch.randn(1, frames, 80, generator=torch.manual_seed(frames))
        (vector,) = session.run(None, {"input": features.numpy()})
        assert vector.shape == (1, 192)
        np.testing.assert_allclose(vector, encoder(features).detach().numpy(), atol=1e-4)


def test_filterbank_ignores_loudness() -> None:
    """With the mean over time removed, a louder copy has the same features."""
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    np.testing.assert_allclose(filterbank(samples), filterbank(4 * samples), atol=1e-2)


def test_equal_error_rate() -> None:
    """Zero when apart, a half when indistinguishable."""
    assert equal_error(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0
    mixed = np.linspace(0, 1, 101)
    assert equal_error(mixed, mixed) == pytest.approx(0.5, abs=0.02)
