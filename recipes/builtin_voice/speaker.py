"""The speaker encoder of the built-in voice: kaldi filterbank to a vector of 192 numbers.

A small time-delay network with statistics pooling (x-vector, Snyder et al., 2018), taught with an additive
margin cosine softmax (Wang et al., 2018) to tell many cheap synthetic speakers apart, in two languages, so
that nearness of two vectors means likeness of voices even for speakers never heard.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import loop

FLITE = ("slt", "rms", "awb", "kal16")
FLITE_RATES = (0.86, 1.0, 1.16)
ESPEAK = (
    *(f"m{n}" for n in range(1, 8)),
    *(f"f{n}" for n in range(1, 6)),
    "croak",
    "whisper",
    "klatt2",
    "klatt4",
)
ESPEAK_PITCHES = (25, 50, 80)
UNSEEN = ("rms@1.16", "m3@25", "f4@50", "m6@80", "f2@80", "klatt4@50")
WORDS = """the morning river carried seven small boats past our quiet village while children played near open
windows and somebody sang about winter flowers under a yellow moon people often travel by train through green
mountains because every journey teaches something new please bring fresh coffee before nine measure twice cut
once thirty voices joined together in joyful harmony which vision pleases you most""".split()
SYLLABLES = """wo3 men5 jin1 tian1 qu4 gong1 yuan2 san4 bu4 ta1 xi3 huan1 chi1 ping2 guo3 he2 niu2 nai3 zhe4
shi4 yi1 ben3 hen3 you3 yi4 si5 de5 shu1 ming2 zao3 shang4 huo3 che1 zhan4 deng3 ni3 xue2
sheng1 dou1 zai4 nu3 li4 zhong1 guo2 dong1 xi1 nan2 bei3 feng1 yu3 lü4 se4 ri4 ren2 er4 qian2
wen4 kuai4 le4""".split()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerConfig:
    """Sizes."""

    width: int = 128
    size: int = 192
    speakers: int = 1


class Layer(nn.Module):
    """Residual: layer norm, dilated convolution, ReLU, mixing."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(
        self,
        x: Tensor,  # [B, D, T]
    ) -> Tensor:  # [B, D, T]
        normed = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return x + self.mix(F.relu(self.conv(normed)))


class SpeakerEncoder(nn.Module):
    """Filterbank to a speaker vector; this is the part that becomes campplus.onnx."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Conv1d(80, config.width, 5, padding=2)
        self.layers = nn.ModuleList(Layer(config.width, dilation) for dilation in (1, 2, 3, 4))
        self.wide = nn.Conv1d(config.width, 2 * config.width, 1)
        self.embed = nn.Linear(4 * config.width, config.size)

    def forward(
        self,
        features: Tensor,  # [B, T, 80], mean over time removed
    ) -> Tensor:  # [B, 192]
        x = F.relu(self.first(features.transpose(1, 2)))
        for layer in self.layers:
            x = layer(x)
        x = F.relu(self.wide(x))
        mean = x.mean(-1)
        deviation = ((x - mean[:, :, None]).square().mean(-1) + 1e-5).sqrt()
        return self.embed(torch.cat([mean, deviation], 1))


class Classifier(nn.Module):
    """The encoder and one direction a speaker."""

    def __init__(self, config: SpeakerConfig) -> None:
        super().__init__()
        self.encoder = SpeakerEncoder(config)
        self.directions = nn.Parameter(torch.randn(config.speakers, config.size))

    def forward(
        self,
        features: Tensor,  # [B, T, 80]
    ) -> Tensor:  # [B, speakers] cosines
        vectors = self.encoder(features).float()
        return F.normalize(vectors, dim=1) @ F.normalize(self.directions, dim=1).T


def filterbank(samples: np.ndarray) -> np.ndarray:  # float32 [N] at 16 kHz -> float32 [T, 80]
    """Kaldi's log filterbank without dither, mean over time removed."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 80
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(16_000, samples.tolist())
    computer.input_finished()
    frames = np.stack([computer.get_frame(at) for at in range(computer.num_frames_ready)])
    return frames - frames.mean(0)


@dataclass(frozen=True, slots=True)
class Clip:
    """What to say, by whom."""

    speaker: str
    command: tuple[str, ...]  # without the output file
    rate: float  # played this much faster


def clips(count: int, seed: int) -> list[Clip]:
    """`count` clips dealt evenly over all speakers."""
    random = np.random.default_rng(seed)
    speakers: list[tuple[str, Any]] = [
        *((f"{voice}@{rate}", (voice, rate)) for voice, rate in product(FLITE, FLITE_RATES)),
        *((f"{voice}@{pitch}", (voice, pitch)) for voice, pitch in product(ESPEAK, ESPEAK_PITCHES)),
    ]
    return [_clip(random, *speakers[at % len(speakers)]) for at in range(count)]


def _clip(random: np.random.Generator, speaker: str, how: tuple[str, float]) -> Clip:
    voice, setting = how
    english = " ".join(random.choice(WORDS, random.integers(5, 11)))
    if voice in FLITE:
        return Clip(speaker, ("flite", "-voice", voice, "-t", english, "-o"), setting)
    mandarin = random.random() < 0.5
    text = " ".join(random.choice(SYLLABLES, random.integers(6, 14))) if mandarin else english
    name = ("cmn-latn-pinyin" if mandarin else "en-us") + f"+{voice}"
    speed = str(random.integers(130, 190))
    return Clip(speaker, ("espeak-ng", "-v", name, "-p", str(setting), "-s", speed, text, "-w"), 1.0)


def synthesise(clip: Clip) -> np.ndarray:  # float16 [T, 80]
    """The filterbank of one clip."""
    from cosyrt.audio import Audio

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run([*clip.command, file.name], check=True, capture_output=True)
        audio = Audio.read(file.name)
    faster = Audio(audio.samples, round(audio.rate * clip.rate))
    return filterbank(faster.resample(16_000).samples).astype(np.float16)


def corpus_clips(
    work: Path, each: int, seed: int
) -> list[tuple[str, np.ndarray]]:  # (voice, float16 [T, 80])
    """Utterances of the voices that the built-in voice itself learns from."""
    from cosyrt.audio import Audio

    if not (work / "utterances.jsonl").exists():
        return []
    corpus, random, found = data.Corpus(work), np.random.default_rng(seed), []
    for voice in corpus.voices:
        items = [item for item in corpus.train if item.voice == voice and item.tokens > 25]
        for at in random.permutation(len(items))[:each]:
            samples = Audio(corpus.samples(items[at]), 24_000).resample(16_000).samples
            found.append((voice, filterbank(samples[: 5 * 16_000]).astype(np.float16)))
    return found


def prepare(options: argparse.Namespace) -> None:
    """Synthesises the clips and writes their filterbanks to speaker_clips.npz."""
    todo = clips(options.clips, options.seed)
    with ProcessPoolExecutor(options.processes, mp_context=get_context("fork")) as pool:
        made = list(
            zip((clip.speaker for clip in todo), pool.map(synthesise, todo, chunksize=8), strict=True)
        )
    own = corpus_clips(options.work, options.clips // 30, options.seed)
    voices = {name for name, _ in own}
    # A corpus voice and the same voice of the list must not count as two speakers.
    made = [(name, rows) for name, rows in made if not _same_teacher(name, voices)] + own
    names, features = zip(*made, strict=True)
    lengths = np.array([len(rows) for rows in features])
    path = options.work / "speaker_clips.npz"
    np.savez(path, names=np.array(names), lengths=lengths, features=np.concatenate(features))
    print(f"{len(names)} clips of {len(set(names))} speakers, {lengths.sum() / 100:.0f} s", flush=True)


def _same_teacher(speaker: str, voices: set[str]) -> bool:
    name, setting = speaker.split("@")
    return setting == "1.0" and any(name in voice for voice in voices)


class Clips:
    """The prepared filterbanks; every tenth clip of a seen speaker and all of the unseen are held out."""

    def __init__(self, work: Path) -> None:
        stored = np.load(work / "speaker_clips.npz")
        ends = np.cumsum(stored["lengths"])
        features, self.names = stored["features"], [str(name) for name in stored["names"]]
        self.rows = [features[end - n : end] for end, n in zip(ends, stored["lengths"], strict=True)]
        self.speakers = sorted(set(self.names) - set(UNSEEN))
        seen = [at for at, name in enumerate(self.names) if name not in UNSEEN]
        self.train = [at for at in seen if at % 10]
        self.test = [at for at in seen if not at % 10]
        self.unseen = [at for at, name in enumerate(self.names) if name in UNSEEN]

    def batch(self, random: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Crops [B, T, 80] of one random length, a little noisy, and their speakers [B]."""
        frames = int(random.integers(80, 240))
        picks = [self.train[at] for at in random.integers(0, len(self.train), count)]
        crops = np.zeros((count, frames, 80), np.float32)
        for crop, at in zip(crops, picks, strict=True):
            rows = np.resize(self.rows[at], (max(frames, len(self.rows[at])), 80))
            start = int(random.integers(0, len(rows) - frames + 1))
            crop[:] = rows[start : start + frames]
        crops += random.normal(0, 0.3, crops.shape)
        crops -= crops.mean(1, keepdims=True)
        labels = [self.speakers.index(self.names[at]) for at in picks]
        return torch.from_numpy(crops), torch.tensor(labels)


def train(options: argparse.Namespace) -> None:
    """Trains and writes speaker.safetensors."""
    if not (options.work / "speaker_clips.npz").exists():
        prepare(options)
    examples = Clips(options.work)
    torch.manual_seed(options.seed)
    config = SpeakerConfig(speakers=len(examples.speakers))
    model = Classifier(config).to(options.device)

    def objective(step: int, random: np.random.Generator) -> loop.Losses:
        features, speakers = (item.to(options.device) for item in examples.batch(random, options.batch))
        cosines = model(features)
        margin = 0.15 * F.one_hot(speakers, len(examples.speakers))
        right = (cosines.argmax(1) == speakers).float().mean()
        return {"loss": F.cross_entropy(25 * (cosines - margin), speakers), "right": right}

    def save() -> None:
        loop.save_weights(options.work / "speaker.safetensors", run.average, asdict(config))

    run = loop.Loop([model], objective, loop.config_of(options), save=save,
                    checkpoint=loop.start(options, "speaker"))  # fmt: skip
    run.run()


def load(work: Path) -> Classifier:
    """The trained classifier."""
    weights, config = loop.load_weights(work / "speaker.safetensors")
    model = Classifier(SpeakerConfig(**config))
    model.load_state_dict(weights)
    return model.eval()


@torch.no_grad()
def evaluate(options: argparse.Namespace) -> None:
    """Accuracy on new clips of seen speakers; equal error rate between clips of speakers never seen."""
    torch.set_num_threads(options.threads)
    model, examples = load(options.work), Clips(options.work)
    right = [
        examples.speakers[int(model(whole(examples.rows[at])).argmax())] == examples.names[at]
        for at in examples.test
    ]
    print(f"accuracy {np.mean(right):.3f} of {len(right)} clips, {len(examples.speakers)} speakers")
    vectors = torch.cat([model.encoder(whole(examples.rows[at])) for at in examples.unseen])
    cosines = (F.normalize(vectors) @ F.normalize(vectors).T).numpy()
    names = np.array([examples.names[at] for at in examples.unseen])
    pairs = np.triu(np.ones_like(cosines, bool), 1)
    same = names[:, None] == names
    print(f"unseen: same {cosines[pairs & same].mean():.3f} different {cosines[pairs & ~same].mean():.3f} "
          f"equal error rate {equal_error(cosines[pairs & same], cosines[pairs & ~same]):.3f}")  # fmt: skip


def whole(rows: np.ndarray) -> Tensor:  # [T, 80] -> float32 [1, T, 80]
    """One clip as a batch."""
    return torch.from_numpy(rows.astype(np.float32))[None]


def equal_error(same: np.ndarray, different: np.ndarray) -> float:  # cosines
    """Where as many true pairs fall below the threshold as false ones above."""
    thresholds = np.sort(np.concatenate([same, different]))
    misses = np.searchsorted(np.sort(same), thresholds) / len(same)
    alarms = 1 - np.searchsorted(np.sort(different), thresholds) / len(different)
    at = int(np.abs(misses - alarms).argmin())
    return float((misses[at] + alarms[at]) / 2)


@torch.no_grad()
def voices(options: argparse.Namespace) -> None:
    """Writes the mean speaker vector of every teacher voice to voices.safetensors."""
    encoder = load(options.work).encoder
    vectors: dict[str, list[Tensor]] = {}
    for voice, rows in corpus_clips(options.work, 60, options.seed):
        vectors.setdefault(voice, []).append(F.normalize(encoder(whole(rows))[0], dim=0))
    means = {voice: F.normalize(torch.stack(found).mean(0), dim=0) for voice, found in vectors.items()}
    loop.save_weights(options.work / "voices.safetensors", means, {})
    for voice, mean in means.items():
        spread = torch.stack(vectors[voice]) @ mean
        print(f"{voice}: cosine to the mean {spread.mean():.3f}, lowest {spread.min():.3f}")


def export(options: argparse.Namespace) -> None:
    """Writes campplus.onnx, with the official file's input and output."""
    write_onnx(load(options.work).encoder, options.work / "campplus.onnx")


def write_onnx(encoder: SpeakerEncoder, path: Path) -> None:
    """The encoder as ONNX: float32 [1, T, 80] to float32 [1, 192]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder.eval(),
            (torch.zeros(1, 300, 80),),
            str(path),
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {1: "T"}},
            opset_version=17,
            dynamo=False,
        )


def main() -> None:
    """`python -m recipes.builtin_voice.speaker prepare|train|eval|voices|export --work DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["prepare", "train", "eval", "voices", "export"])
    loop.add_options(parser, batch=64, learning_rate=2e-3, minutes=2.0)
    parser.add_argument("--clips", type=int, default=1800)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    commands = {"prepare": prepare, "train": train, "eval": evaluate, "voices": voices, "export": export}
    commands[options.command](options)


if __name__ == "__main__":
    main()
