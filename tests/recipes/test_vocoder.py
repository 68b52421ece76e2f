"""The vocoder's trainer."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from cosyrt.mel import log_mel
from cosyrt.models.vocoder import VocoderConfig
from cosyrt.units import MelSpec
from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import vocoder
from recipes.builtin_voice.critics import PERIODS_AT_ONCE, RESOLUTIONS_AT_ONCE
from recipes.builtin_voice.pitch import track
from recipes.builtin_voice.spectral import LogMel, stft_distance, wave_distance
from tests.recipes import tiny_corpus

CONFIG = VocoderConfig(
    channels=16, upsample_rates=(5, 3, 2), upsample_kernels=(11, 7, 4), transform_size=64, transform_hop=16,
    kernels=(3,), dilations=((1,),), source_dilations=((1,), (1,), (1,)), pitch_channels=8,
)  # fmt: skip


@pytest.fixture(params=[False, True], ids=["free", "in step"])
def trainer(tmp_path: Path, request: pytest.FixtureRequest) -> vocoder.Trainer:
    corpus = tiny_corpus.write(tmp_path)
    data.derive(corpus, data.F0, track, 1)
    data.derive(corpus, data.PHASE, vocoder.phase_of, 1, with_voice=True)
    options = argparse.Namespace(
        seed=0, device="cpu", batch=2, crop_tokens=6, start_from=None, flow_mels=False, in_step=request.param,
        compiled=False, english=1.0, mel_weight=3.0,
    )  # fmt: skip
    return vocoder.Trainer(corpus, CONFIG, options)


def test_the_differentiable_mel_is_the_runtime_mel() -> None:
    """Training measures what the runtime computes."""
    samples = tiny_corpus.tone(10)
    ours = LogMel()(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(ours, log_mel(samples, MelSpec()), atol=2e-3)


def test_stft_distance_is_zero_only_for_the_same_sound() -> None:
    """Louder is further away than equal."""
    tone = torch.from_numpy(tiny_corpus.tone(10))[None]
    assert float(stft_distance(tone, tone)) == 0
    assert float(stft_distance(2 * tone, tone)) > 0.5


def test_the_wave_counts_where_there_is_voice() -> None:
    """Nothing between equals, one for silence, more for the opposite; no say where nobody speaks."""
    tone = torch.from_numpy(tiny_corpus.tone(10))[None]
    voiced = torch.full((1, 20), tiny_corpus.PITCH_HZ)
    assert float(wave_distance(tone, tone, voiced)) < 0.01
    assert float(wave_distance(0 * tone, tone, voiced)) == pytest.approx(1, abs=0.05)
    assert float(wave_distance(-tone, tone, voiced)) == pytest.approx(2, abs=0.05)
    assert float(wave_distance(-tone, tone, 0 * voiced)) == 0


def test_what_is_learned_in_step_runs_without(trainer: vocoder.Trainer) -> None:
    """The weights are the runtime's own, whatever source they were trained with."""
    runtime = vocoder.Vocoder(CONFIG)
    runtime.load_state_dict(trainer.vocoder.state_dict())
    assert runtime(torch.zeros(1, 80, 5)).shape == (1, 2400)


def test_vocoder_and_critic_each_get_only_their_own_gradient(trainer: vocoder.Trainer) -> None:
    """One backward pass serves both, yet the critic is moved by the critic loss alone."""
    random = np.random.default_rng(0)
    losses = trainer.critic_objective(0, random)
    critic = list(trainer.critic.parameters())
    both = torch.autograd.grad(losses["loss"], critic, retain_graph=True, allow_unused=True)
    alone = torch.autograd.grad(losses["critic"], critic, retain_graph=True, allow_unused=True)
    assert any(one is not None for one in alone)
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one, other)
    made = torch.autograd.grad(losses["critic"], trainer.vocoder.conv_post.weight, allow_unused=True)
    assert made == (None,)


def test_only_the_drawn_critics_judge(trainer: vocoder.Trainer) -> None:
    """The others get no gradient in that step, and over the steps every critic has its turn."""
    judged: set[str] = set()
    names = [name for name, _ in trainer.critic.named_parameters() if name.endswith("verdict.bias")]
    for step in range(12):
        loss = trainer.critic_objective(step, np.random.default_rng(step))["critic"]
        critics = dict(trainer.critic.named_parameters())
        gradients = torch.autograd.grad(loss, [critics[name] for name in names], allow_unused=True)
        now = {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
        assert len(now) == PERIODS_AT_ONCE + RESOLUTIONS_AT_ONCE
        judged |= now
    assert judged == set(names)


def test_the_pulses_of_a_voice_point_where_its_teacher_has_them() -> None:
    """flite's upwards, those of the others downwards: turned around, one is the other."""
    samples = tiny_corpus.tone(20)
    np.testing.assert_array_equal(vocoder.phase_of(samples, "rms"), vocoder.phase_of(-samples, "cmn"))
    assert (vocoder.phase_of(samples, "rms") != vocoder.phase_of(samples, "cmn")).any()


def test_training_files_load_as_the_runtime_vocoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both phases run, the second from the first with its sizes, and their result rebuilds them."""
    corpus = tiny_corpus.write(tmp_path)
    data.derive(corpus, data.F0, track, 1)
    monkeypatch.setattr(vocoder, "NEXT", CONFIG)
    options = argparse.Namespace(
        work=tmp_path, minutes=1.0, steps=1, batch=2, learning_rate=1e-3, threads=1, device="cpu", seed=0,
        fresh=False, crop_tokens=6, start_from=None, flow_mels=False, name="vocoder", in_step=True,
        processes=1, compiled=False, next=True, english=1.0, mel_weight=3.0,
    )  # fmt: skip
    vocoder.derive_phases(options)
    vocoder.train(options)
    options.name, options.start_from, options.next = "refined", tmp_path / "vocoder.safetensors", False
    vocoder.refine(options)
    made = vocoder.load(tmp_path / "refined.safetensors")
    assert made.config == CONFIG
    assert made(torch.zeros(1, 80, 5)).shape == (1, 2400)
