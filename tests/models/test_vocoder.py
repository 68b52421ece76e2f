"""Mel and source to samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into, write_tensors
from cosyrt.models.vocoder import Snake, Vocoder, VocoderConfig
from recipes.builtin_voice.export import with_weight_norm
from tests import tiny

BUILTIN = replace(
    tiny.VOCODER,
    upsample_rates=(5, 3, 2),
    upsample_kernels=(11, 7, 4),
    transform_size=64,
    transform_hop=16,
)
GEOMETRIES = pytest.mark.parametrize("config", [tiny.VOCODER, BUILTIN], ids=["official", "built-in"])


def mel(frames: int = 9) -> Tensor:  # [1, 80, M]
    return torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(8))


def through_a_file(folder: Path, tensors: dict[str, Tensor]) -> Vocoder:
    """Saved as the vocoder of a model folder and loaded the ordinary way."""
    (folder / "cosyvoice2.yaml").write_text("llm: !new:cosyvoice.llm.llm.Qwen2LM\n")
    write_tensors(folder / "hift.safetensors", tensors)
    loaded = Vocoder(tiny.VOCODER).eval().requires_grad_(False)
    load_into(loaded, ModelFolder.open(folder).tensors("hift"), file=folder / "hift")
    return loaded


@pytest.mark.parametrize("prefix", ["", "generator."])
@pytest.mark.parametrize("style", ["new", "old"])
def test_weight_norm_there_and_back(tmp_path: Path, style: str, prefix: str) -> None:
    """Magnitude and direction apart, by torch's new names or old: folded again they make the same samples."""
    vocoder = tiny.vocoder()
    tensors = with_weight_norm(vocoder)
    if style == "old":
        tensors = {
            key.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            ): value
            for key, value in tensors.items()
        }
    loaded = through_a_file(tmp_path, {prefix + key: value for key, value in tensors.items()})

    assert sum("weight_g" in key or "original0" in key for key in tensors) > 50
    torch.testing.assert_close(loaded(mel()), vocoder(mel()), atol=1e-5, rtol=0)


def test_the_length_of_a_direction_does_not_count(tmp_path: Path) -> None:
    """The magnitude alone scales: directions three times as long fold to the same weights."""
    vocoder = tiny.vocoder()
    tensors = {
        key: 3 * value if key.endswith("original1") else value
        for key, value in with_weight_norm(vocoder).items()
    }

    torch.testing.assert_close(through_a_file(tmp_path, tensors)(mel()), vocoder(mel()), atol=1e-5, rtol=0)


@GEOMETRIES
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_a_frame_is_480_samples(config: VocoderConfig, frames: int) -> None:
    """However few frames there are."""
    assert tiny.vocoder(config)(mel(frames)).shape == (1, 480 * frames)


@GEOMETRIES
def test_samples_stay_within_the_limit(config: VocoderConfig) -> None:
    """Weights that would be far too loud are clipped at the limit, and reach it."""
    vocoder = tiny.vocoder(config)
    vocoder.conv_post.bias.fill_(50.0)
    samples = vocoder(mel())

    assert samples.isfinite().all()
    assert samples.abs().max() == torch.tensor(config.audio_limit)


@GEOMETRIES
def test_a_batch_is_each_alone(config: VocoderConfig) -> None:
    """Two mels vocoded together give what each gives alone."""
    vocoder, two = tiny.vocoder(config), torch.cat([mel(), mel().flip(2)])

    torch.testing.assert_close(
        vocoder(two), torch.cat([vocoder(two[:1]), vocoder(two[1:])]), atol=1e-5, rtol=0
    )


@GEOMETRIES
def test_the_small_transform_and_its_inverse(config: VocoderConfig) -> None:
    """Log magnitude and the sine of a phase are turned back into the samples they came from."""
    vocoder = tiny.vocoder(config)
    samples = 0.1 * torch.randn(1, 960, generator=torch.Generator().manual_seed(9))
    valid, imaginary = vocoder.spectrum(samples).chunk(2, dim=1)
    sound = torch.complex(valid, imaginary)
    halves = sound.angle() / 2  # any phase is twice one within reach of the arc sine
    raw = torch.cat([sound.abs().clamp(min=1e-9).log() / 2, torch.asin(halves.clamp(-1, 1))], dim=1)
    twin = torch.istft(
        torch.polar(sound.abs().sqrt(), halves.clamp(-1, 1)),
        config.transform_size,
        config.transform_hop,
        window=torch.hann_window(config.transform_size),
    )

    torch.testing.assert_close(vocoder.waveform(raw), twin.clamp(-0.99, 0.99), atol=1e-4, rtol=0)


def test_transforms_stay_in_float32() -> None:
    """Under autocast the transforms are still made in float32."""
    vocoder = tiny.vocoder()
    samples = torch.randn(1, 960, generator=torch.Generator().manual_seed(9))
    with torch.autocast("cpu", torch.bfloat16):
        spectrum = vocoder.spectrum(samples)
        out = vocoder.waveform(torch.zeros(1, 18, 241).bfloat16())

    assert (spectrum.dtype, out.dtype) == (torch.float32, torch.float32)
    assert torch.equal(spectrum, vocoder.spectrum(samples))


def test_snake() -> None:
    """x + sin²(αx)/α for each channel, x itself at α = 0."""
    snake = Snake(3).requires_grad_(False)
    snake.alpha.copy_(torch.tensor([0.0, 1.0, 2.5]))
    x = torch.linspace(-3, 3, 20).expand(1, 3, -1)
    twin = torch.stack([x[0, 0], *(x[0, 0] + (a * x[0, 0]).sin() ** 2 / a for a in (1.0, 2.5))])

    torch.testing.assert_close(snake(x)[0], twin, atol=1e-5, rtol=0)


def test_settings_come_from_the_description(tiny_folder: Path) -> None:
    """Every size of upstream's `HiFTGenerator` is read."""
    args = ModelFolder.open(tiny_folder).description["hift"].args

    assert VocoderConfig.from_description(args) == tiny.VOCODER
    assert tiny.VOCODER.samples_per_frame == BUILTIN.samples_per_frame == 480
