"""A CosyVoice 2 folder → networks: what is refused, and in which words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.errors import ConfigError, WeightsError
from tests import tiny


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def edit(folder: Path, old: str, new: str) -> None:
    """Replace text of the description; it must be there."""
    path = folder / "cosyvoice2.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_sizes_and_weights_of_the_folder(tiny_folder: Path) -> None:
    """The networks have the sizes that were described and the weights that were written."""
    settings, networks = build(ModelFolder.open(tiny_folder))

    assert (settings.llm, settings.flow, settings.vocoder) == (tiny.LLM, tiny.FLOW, tiny.VOCODER)
    assert (settings.decoding.least_per_text, settings.decoding.most_per_text) == (
        tiny.LEAST,
        tiny.MOST,
    )
    assert (settings.rates.sample_hz, settings.pronunciation) == (24_000, "arpabet-pinyin")
    for ours, written in (
        (networks.llm, tiny.language_model()),
        (networks.flow, tiny.flow()),
        (networks.vocoder, tiny.vocoder()),
    ):
        for key, value in written.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("llm.Qwen2LM", "llm.CosyVoice3LM", "CausalConditionalDecoder in line 60 lacks the key 'dim'"),
        ("sample_rate: 24000", "rate: 24000", "sample_rate"),
        ("base_channels: 32", "", "base_channels"),
        ("            num_mid_blocks: 1\n", "", "num_mid_blocks"),
        ("linear_units: 48", "linear_units: many", "'linear_units' of the model is"),
        ("num_blocks: 1", "num_blocks: -1.5", "'num_blocks' of the model is"),
        ("channels: [16]", "channels: [16, 16]", "wrong kind"),
        ("attention_heads: 2", "attention_heads: 0", "'attention_heads' of the model is"),
        ("upsample_rates: [8, 5, 3]", "upsample_rates: 8", "'upsample_rates' of the model is"),
        ("top_k: 25", "top_k: all", "'top_k' of the model is"),
        ("max_token_text_ratio: 3", "max_token_text_ratio: [3]", "'max_token_text_ratio' of the model is"),
        ("token_mel_ratio: 2\n", "token_mel_ratio: 0\n", "'token_mel_ratio' of the model is"),
        ("hift: !new:cosyvoice.hifigan.generator.HiFTGenerator", "hift:", "wrong kind"),
        ("sampling_rate: !ref <sample_rate>", "sampling_rate: 22050", "24000 samples a second in one"),
        ("upsample_rates: [8, 5, 3]", "upsample_rates: [8, 5, 4]", "480 samples a mel frame in one part"),
        ("vocab_size: 4000", "vocab_size: 3999", "4000 speech tokens in one part and 3999"),
        ("sample_rate: 24000", "sample_rate: 24001", "do not divide"),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be_used(folder: Path, old: str, new: str, words: str) -> None:
    """Another family, a setting missing or of the wrong kind, parts that do not fit: a ConfigError."""
    edit(folder, old, new)

    with pytest.raises(ConfigError, match=words) as caught:
        build(ModelFolder.open(folder))
    assert "\n" not in str(caught.value)


def test_a_backbone_without_its_width(folder: Path) -> None:
    """A config.json without a size is a ConfigError that names the setting."""
    path = folder / "CosyVoice-BlankEN" / "config.json"
    settings = json.loads(path.read_text())
    del settings["hidden_size"]
    path.write_text(json.dumps(settings))

    with pytest.raises(ConfigError, match="hidden_size"):
        build(ModelFolder.open(folder))


def test_sizes_that_are_not_those_of_the_weights(folder: Path) -> None:
    """A description of other sizes than the tensors is a WeightsError, as the file is of another model."""
    edit(folder, "num_mid_blocks: 1", "num_mid_blocks: 2")

    with pytest.raises(WeightsError, match=r"flow\.safetensors lacks 'decoder.estimator.mid_blocks.1"):
        build(ModelFolder.open(folder))
