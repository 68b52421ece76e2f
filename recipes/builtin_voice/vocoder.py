"""Trains and measures the vocoder: mel to samples, first by spectral distance, then against a critic."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from cosyrt.models.source import HarmonicSource, Phase
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import loop
from recipes.builtin_voice.critics import (
    Critics,
    critic_loss,
    drawn_panel,
    feature_distance,
    fooling_loss,
)
from recipes.builtin_voice.glottis import phases
from recipes.builtin_voice.in_step import InStepSource
from recipes.builtin_voice.pitch import track
from recipes.builtin_voice.snake import quicken
from recipes.builtin_voice.spectral import BandDistance, LogMel, MelDistance, stft_distance, wave_distance
from recipes.builtin_voice.teacher import Flite

HARMONICS = (
    32  # up to 6 kHz and more: the network shapes the spectrum instead of having to invent its upper part
)
FIRST_MIX = 0.25  # weight of each harmonic at the start: a train of soft pulses
CONFIG = VocoderConfig(
    channels=192,
    harmonics=HARMONICS,
    upsample_rates=(5, 3),
    upsample_kernels=(11, 7),
    transform_size=128,
    transform_hop=32,
    kernels=(3, 7),
    dilations=((1, 3, 5), (1, 3, 5)),
    source_kernels=(7, 7),
    source_dilations=((1, 3), (1, 3)),
    pitch_channels=128,
)
# The official shape, for the next voice. 64 harmonics of a deep one reach 6 kHz; above 187 Hz they fold back.
NEXT = VocoderConfig(
    channels=256,
    harmonics=64,
    kernels=(3, 7),
    dilations=((1, 3, 5), (1, 3, 5)),
    source_kernels=(7, 7, 7),
    source_dilations=((1, 3), (1, 3), (1, 3)),
    pitch_channels=128,
)
BANDS_WEIGHT, WAVE_WEIGHT = 1.5, 2.0
FOOLING_WEIGHT, FEATURE_WEIGHT = 3.0, 6.0
LOOP: dict[str, Any] = {"betas": (0.8, 0.99), "clip": 5.0}
MADE_SHARE = 0.75  # of the mels come from the flow, once it is there: the voice knows no others


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Crops of the corpus."""

    mel: Tensor  # [B, 80, M]
    pitch: Tensor  # [B, M] Hz
    true: Tensor  # [B, N] samples
    cycles: Tensor | None  # [B, M] phase of the voice in the middle of each frame, for a source in step


class Trainer:
    """The vocoder, its critics and how they are scored on crops of the corpus."""

    def __init__(self, corpus: data.Corpus, config: VocoderConfig, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        self.corpus, self.device, self.batch_size = corpus, options.device, options.batch
        self.in_step, self.compiled = options.in_step, options.compiled
        self.mel_weight = options.mel_weight
        self.vocoder = self.plain(config)
        if options.start_from is None:
            small_start(self.vocoder)
        else:
            self.vocoder.load_state_dict(loop.load_weights(options.start_from)[0])
        self.critic = Critics().to(self.device)
        self.mel_distance = MelDistance().to(self.device)
        self.band_distance = BandDistance().to(self.device)
        tables = (data.F0, data.PHASE) if self.in_step else (data.F0,)
        ready = [item for item in corpus.having(*tables) if not item.held_out]
        favour = {"en": options.english}
        self.crops = data.Crops(ready, options.crop_tokens, favour)
        made = [item for item in corpus.having(*tables, data.FLOW_MEL) if not item.held_out]
        self.made_crops = data.Crops(made, options.crop_tokens, favour) if options.flow_mels else None

    def plain(self, config: VocoderConfig) -> Vocoder:
        """A vocoder without weight norm, with the source that is trained with."""
        vocoder = Vocoder(config, InStepSource if self.in_step else HarmonicSource).to(self.device)
        quicken(vocoder, self.compiled)
        return vocoder

    def batch(self, random: np.random.Generator) -> Batch:
        """Random crops, most with the flow's mel."""
        made = self.made_crops.draw(random, int(MADE_SHARE * self.batch_size)) if self.made_crops else []
        true = self.crops.draw(random, self.batch_size - len(made))
        tables = [data.FLOW_MEL] * len(made) + [data.MEL] * len(true)
        return load_crops(self.corpus, made + true, tables, self.device, self.in_step)

    def synthesise(self, crops: Batch) -> Tensor:  # [B, N]
        """Samples for a known pitch; the source runs in float32, where its phase needs it."""
        size = (*crops.true.shape, 1 if self.in_step else self.vocoder.config.harmonics)
        before = None if crops.cycles is None else Phase(crops.cycles)
        with torch.autocast(self.device, enabled=False):
            excitation = self.vocoder.excitation(crops.pitch, torch.randn(size, device=self.device), before)
        return self.vocoder.decode(crops.mel, excitation)

    def reconstruction(self, crops: Batch) -> tuple[Tensor, loop.Losses]:
        """The sound made and its losses against the recording."""
        made, true = self.synthesise(crops).float(), crops.true
        with torch.autocast(self.device, enabled=False):
            losses = {
                "stft": stft_distance(made, true),
                "mel": self.mel_distance(made, true),
                "bands": self.band_distance(made, true),
                "f0": F.l1_loss(self.vocoder.f0(crops.mel), crops.pitch) / 100,
            }
            losses["loss"] = (
                losses["stft"]
                + self.mel_weight * losses["mel"]
                + BANDS_WEIGHT * losses["bands"]
                + 0.3 * losses["f0"]
            )
            if self.in_step:
                losses["wave"] = wave_distance(made, true, crops.pitch)
                losses["loss"] = losses["loss"] + WAVE_WEIGHT * losses["wave"]
        return made, losses

    def spectral_objective(self, step: int, random: np.random.Generator) -> loop.Losses:
        """The first phase."""
        return self.reconstruction(self.batch(random))[1]

    def critic_objective(self, step: int, random: np.random.Generator) -> loop.Losses:
        """The second phase: vocoder and critics learn in one backward pass, each from its own losses."""
        crops, panel = self.batch(random), drawn_panel(random)
        made, losses = self.reconstruction(crops)
        heard = made.detach().requires_grad_()
        of_true, of_made = self.critic(crops.true, panel), self.critic(heard, panel)
        losses["critic"] = critic_loss(of_true, of_made)
        losses["fooling"] = fooling_loss(of_made)
        losses["feature"] = feature_distance(of_true, of_made)
        wish = FOOLING_WEIGHT * losses["fooling"] + FEATURE_WEIGHT * losses["feature"]
        (pull,) = torch.autograd.grad(wish, heard, retain_graph=True)
        # linear in what was made: its gradient is the critics' pull, and leaves their weights alone
        losses["loss"] = losses["loss"] + losses["critic"] + (made * pull).sum()
        return losses


def add_weight_norm(vocoder: Vocoder) -> None:
    """Direction and length of every weight apart, as upstream trains; plain ones do not stand its rate."""
    for name, module in list(vocoder.named_modules()):
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)) and not name.startswith("source_downs."):
            weight_norm(module)


def small_start(vocoder: Vocoder) -> None:
    """Upstream's first weights: residual blocks begin as almost nothing."""
    for name, module in vocoder.named_modules():
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)) and name.startswith(
            ("ups.", "resblocks.", "source_resblocks.", "conv_post")
        ):
            nn.init.normal_(module.weight, 0.0, 0.01)
    nn.init.constant_(vocoder.m_source.l_linear.weight, FIRST_MIX)
    nn.init.zeros_(vocoder.m_source.l_linear.bias)


def folded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold weight norm into plain weights."""
    out = dict(weights)
    for key in [key for key in weights if key.endswith("parametrizations.weight.original0")]:
        length, direction = out.pop(key), out.pop(key[:-1] + "1")
        norm = direction.flatten(1).norm(dim=1).view(-1, *[1] * (direction.ndim - 1))
        out[key.removesuffix("parametrizations.weight.original0") + "weight"] = length * direction / norm
    return out


def load_crops(
    corpus: data.Corpus,
    crops: Sequence[data.Crop],
    tables: Sequence[data.Table],  # where the mel of each crop is
    device: str,
    in_step: bool = False,
) -> Batch:
    """Crops padded with silence to the longest one; `in_step` with the phase of the voice."""
    tokens = max(crop.tokens for crop in crops)

    def table_of(table: data.Table) -> Tensor:
        return loop.padded((corpus.rows(table, crop) for crop in crops), 2 * tokens).to(device)

    rows = (corpus.rows(table, crop) for table, crop in zip(tables, crops, strict=True))
    mel = loop.padded(rows, 2 * tokens)
    for at, crop in enumerate(crops):
        mel[at, 2 * crop.tokens :] = float(np.log(1e-5))
    samples = loop.padded((corpus.samples(crop) for crop in crops), data.SAMPLES_PER_TOKEN * tokens)
    return Batch(
        mel=mel.transpose(1, 2).contiguous().to(device),
        pitch=table_of(data.F0),
        true=samples.to(device),
        cycles=table_of(data.PHASE) if in_step else None,
    )


def derive_phases(options: argparse.Namespace) -> None:
    """The phase of every voice that lacks it, for a source in step."""
    corpus = data.Corpus(options.work)
    count = data.derive(corpus, data.PHASE, phase_of, options.processes, with_voice=True)
    print(f"{data.PHASE.file}: {count} utterances added", flush=True)


def phase_of(
    samples: np.ndarray,  # float32 [N] at 24 kHz
    voice: str,
) -> np.ndarray:  # [N / 480] cycles
    """Where in its period a voice is in the middle of every mel frame."""
    return phases(samples, track(samples), 1.0 if voice == Flite.name else -1.0)


def train(options: argparse.Namespace) -> None:
    """First phase: spectral distances alone; writes NAME.safetensors."""
    trainer = Trainer(data.Corpus(options.work), sizes(options), options)
    run(trainer, [trainer.vocoder], trainer.spectral_objective, loop.config_of(options, **LOOP), options)


def refine(options: argparse.Namespace) -> None:
    """Second phase: critics join in; writes NAME.safetensors."""
    trainer = Trainer(data.Corpus(options.work), sizes(options), options)
    config = loop.config_of(options, **LOOP, ema_decay=0.998)
    run(trainer, [trainer.vocoder, trainer.critic], trainer.critic_objective, config, options)


def sizes(options: argparse.Namespace) -> VocoderConfig:
    """Sizes of the weights to begin with, where there are any."""
    if options.start_from is not None:
        return config_of(loop.load_weights(options.start_from)[1])
    return NEXT if options.next else CONFIG


def run(
    trainer: Trainer,
    groups: list[nn.Module],
    objective: loop.Objective,
    config: loop.LoopConfig,
    options: argparse.Namespace,
) -> None:
    """Train to the end of the schedule; a run that a checkpoint shows as finished is passed over."""

    def save() -> None:
        loop.save_weights(
            options.work / f"{options.name}.safetensors",
            folded(running.average),
            asdict(trainer.vocoder.config),
        )

    add_weight_norm(trainer.vocoder)
    checkpoint = loop.start(options, options.name)
    running = loop.Loop(groups, objective, config, checkpoint=checkpoint, save=save)
    running.run()


def load(path: Path) -> Vocoder:
    """A trained vocoder."""
    weights, config = loop.load_weights(path)
    vocoder = Vocoder(config_of(config))
    vocoder.load_state_dict(weights)
    return vocoder.eval()


def config_of(stored: dict[str, Any]) -> VocoderConfig:
    """Sizes as they stand beside trained weights."""
    return VocoderConfig(**{key: _tuple(value) for key, value in stored.items()})


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value


@torch.no_grad()
def evaluate(options: argparse.Namespace) -> None:
    """Distances on held-out utterances with true and with predicted pitch; `--wav` keeps the sound."""
    torch.set_num_threads(options.threads)
    vocoder = load(options.work / f"{options.name}.safetensors")
    corpus, log_mel = data.Corpus(options.work), LogMel()
    rows: dict[str, list[dict[str, float]]] = {}
    for item in [item for item in corpus.having(data.F0) if item.held_out][: options.count]:
        crop = load_crops(corpus, [data.Crop(item, 0, item.tokens)], [data.MEL], "cpu")
        guess = vocoder.f0(crop.mel)
        noise = torch.randn(1, crop.true.shape[1], vocoder.config.harmonics, generator=torch.manual_seed(0))
        made = {name: vocoder.decode(crop.mel, vocoder.excitation(f0, noise)) for name, f0 in
                (("true", crop.pitch), ("predicted", guess))}  # fmt: skip
        rows.setdefault(item.voice, []).append(scores(log_mel, crop.true, made, crop.pitch, guess))
        if options.wav:
            write_wav(options.wav, item, made["predicted"][0], crop.true[0])
    for voice, found in sorted(rows.items()):
        means = {name: np.mean([one[name] for one in found]) for name in found[0]}
        print(voice, len(found), " ".join(f"{name} {value:.3f}" for name, value in means.items()))


def scores(
    log_mel: LogMel,
    true: Tensor,  # [1, N]
    made: dict[str, Tensor],  # [1, N] each
    pitch: Tensor,  # [1, M]
    guess: Tensor,  # [1, M]
) -> dict[str, float]:
    """STFT distance, mel L1 (nats), how much lower the peaks are (nats), pitch (cents), voicing errors."""
    found: dict[str, float] = {}
    target = log_mel(true)
    loud = target > target.quantile(0.9)
    for name, samples in made.items():
        mel = log_mel(samples)
        found[f"{name}:stft"] = float(stft_distance(samples, true))
        found[f"{name}:mel"] = float((mel - target).abs().mean())
        found[f"{name}:peaks"] = float((mel - target)[loud].mean())
    both = (pitch > 10) & (guess > 10)
    found["cents"] = float((1200 * (guess[both] / pitch[both]).log2()).abs().median()) if both.any() else 0.0
    found["voicing"] = float(((pitch > 10) != (guess > 40)).float().mean())
    return found


def write_wav(folder: Path, item: data.Utterance, made: Tensor, true: Tensor) -> None:
    """Both sounds, to listen to."""
    from cosyrt.audio import Audio

    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in (("made", made), ("true", true)):
        Audio(samples.numpy(), 24_000).write(folder / f"{item.id}_{item.voice}_{name}.wav")


def main() -> None:
    """`python -m recipes.builtin_voice.vocoder phases|train|refine|eval --work DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["phases", "train", "refine", "eval"])
    parser.add_argument("--processes", type=int, default=2, help="of phases")
    loop.add_options(parser, batch=12, learning_rate=1.5e-3, minutes=20.0)
    parser.add_argument("--crop-tokens", type=int, default=14)
    parser.add_argument("--flow-mels", action="store_true", help="most of what is heard comes from the flow")
    parser.add_argument(
        "--english", type=float, default=3.0,
        help="how much likelier its seconds are: joined recordings are harder to copy than formants",
    )  # fmt: skip
    parser.add_argument(
        "--mel-weight", type=float, default=3.0, help="of the mels' distance, beside STFT's 1"
    )
    parser.add_argument("--in-step", action="store_true", help="learn the wave, with its phase from `phases`")
    parser.add_argument("--compiled", action="store_true", help="twice as fast; needs a C++ compiler")
    parser.add_argument(
        "--next", action="store_true", help="sizes of the next voice, not the published one's"
    )
    parser.add_argument(
        "--start-from", type=Path, help="weights to begin with, which have sizes of their own"
    )
    parser.add_argument("--name", default="vocoder", help="of the weights, in the work folder")
    parser.add_argument("--count", type=int, default=40, help="eval: held-out utterances")
    parser.add_argument("--wav", type=Path)
    options = parser.parse_args()
    commands = {"phases": derive_phases, "train": train, "refine": refine, "eval": evaluate}
    commands[options.command](options)


if __name__ == "__main__":
    main()
