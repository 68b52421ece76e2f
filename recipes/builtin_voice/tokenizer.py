"""Trains the speech tokenizer, measures it, exports it and tokenises the corpus with it."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recipes.builtin_voice import corpus as data
from recipes.builtin_voice import loop
from recipes.builtin_voice.pitch import log_pitch, track
from recipes.builtin_voice.quantizer import Encoder, Tokenizer, TokenizerConfig, straight_through


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Padded crops; frames beyond a length are to be ignored."""

    features: Tensor  # [B, 128, 4S]
    mel: Tensor  # [B, 2S, 80]
    phones: Tensor  # int64 [B, 2S], -1 beyond the end
    pitch: Tensor  # [B, 2S] log pitch, 0 when unvoiced
    voices: Tensor  # int64 [B]
    lengths: Tensor  # int64 [B] tokens


class Examples:
    """Crops of the corpus as batches of tensors."""

    def __init__(self, corpus: data.Corpus, phones: list[str], voices: list[str], device: str) -> None:
        self.corpus, self.device = corpus, device
        self.phones = {name: number for number, name in enumerate(phones)}
        self.voices = {name: number for number, name in enumerate(voices)}

    def batch(self, crops: list[data.Crop]) -> Batch:
        """The crops, padded to the longest."""
        tokens = max(crop.tokens for crop in crops)
        phones = torch.full((len(crops), 2 * tokens), -1)
        for at, crop in enumerate(crops):
            labels = crop.utterance.labels(self.phones, 2 * crop.start, 2 * crop.tokens)
            phones[at, : len(labels)] = torch.from_numpy(labels)
        return Batch(
            features=self._table(data.WHISPER, crops, tokens).transpose(1, 2),
            mel=self._table(data.MEL, crops, tokens),
            phones=phones.to(self.device),
            pitch=log_pitch(self._table(data.F0, crops, tokens)),
            voices=torch.tensor([self.voices.get(crop.utterance.voice, 0) for crop in crops]).to(self.device),
            lengths=torch.tensor([crop.tokens for crop in crops]).to(self.device),
        )

    def _table(self, table: data.Table, crops: list[data.Crop], tokens: int) -> Tensor:
        rows = (self.corpus.rows(table, crop) for crop in crops)
        return loop.padded(rows, tokens * table.rows_per_token).to(self.device)


def losses(model: Tokenizer, batch: Batch) -> loop.Losses:
    """Phone cross-entropy, mel L1 (the low bins, where the tones are, twice), voicing and pitch."""
    code = straight_through(model.encoder.continuous(batch.features, batch.lengths))
    phones, mel, pitch = (item.float() for item in model.read(code, batch.voices, batch.lengths))
    inside = batch.phones >= 0
    phone_loss = F.cross_entropy(phones.transpose(1, 2), batch.phones, ignore_index=-1, label_smoothing=0.05)
    target = (batch.mel - model.mel_mean) / model.mel_std
    weight = torch.linspace(2, 1, 80, device=mel.device)
    mel_loss = ((mel - target).abs() * weight).mean(-1)[inside].mean()
    voiced = inside & (batch.pitch > 0)
    voicing_loss = F.binary_cross_entropy_with_logits(pitch[..., 0][inside], voiced[inside].float())
    pitch_loss = (pitch[..., 1] - 4 * (batch.pitch - 5))[voiced].abs().sum() / voiced.sum().clamp(min=1)
    right = (phones.argmax(-1) == batch.phones)[inside].float().mean()
    total = phone_loss + mel_loss + 0.2 * voicing_loss + 0.3 * pitch_loss
    return {
        "loss": total,
        "phone": phone_loss,
        "mel": mel_loss,
        "voicing": voicing_loss,
        "pitch": pitch_loss,
        "right": right,
    }


def normalise(model: Tokenizer, corpus: data.Corpus) -> None:
    """Sets the mean and deviation of the mel bins from a sample of the corpus."""
    every = max(1, len(corpus.train) // 300)
    frames = np.concatenate([corpus.rows(data.MEL, item) for item in corpus.train[::every]]).astype(
        np.float32
    )
    model.mel_mean.copy_(torch.from_numpy(frames.mean(0)))
    model.mel_std.copy_(torch.from_numpy(frames.std(0) + 0.1))


def whisper_features(samples: np.ndarray) -> np.ndarray:  # float32 [N] at 24 kHz -> [4 S, 128]
    """The official tokenizer's input for one whole utterance."""
    from cosyrt.audio import Audio
    from cosyrt.mel import whisper_log_mel

    return whisper_log_mel(Audio(samples, 24_000).resample(16_000).samples, n_mels=128).T


def prepare(options: argparse.Namespace) -> None:
    """The whisper features and the pitch of every utterance that lacks them."""
    corpus = data.Corpus(options.work)
    for table, function in ((data.WHISPER, whisper_features), (data.F0, track)):
        count = data.derive(corpus, table, function, options.processes)
        print(f"{table.file}: {count} utterances added", flush=True)


def train(options: argparse.Namespace) -> None:
    """Trains and writes tokenizer.safetensors."""
    corpus = data.Corpus(options.work)
    ready = corpus.having(data.WHISPER, data.F0)
    names = {"phones": corpus.phones, "voices": corpus.voices}
    config = TokenizerConfig(width=options.width, phones=len(corpus.phones), voices=len(corpus.voices))
    torch.manual_seed(options.seed)
    model = Tokenizer(config)
    normalise(model, corpus)
    model.to(options.device)
    examples = Examples(corpus, corpus.phones, corpus.voices, options.device)
    crops = data.Crops([item for item in ready if not item.held_out], options.crop_tokens)

    def objective(step: int, random: np.random.Generator) -> loop.Losses:
        return losses(model, examples.batch(crops.draw(random, options.batch)))

    def save() -> None:
        loop.save_weights(options.work / "tokenizer.safetensors", run.average, asdict(config) | names)

    run = loop.Loop(
        [model], objective, loop.config_of(options), save=save, checkpoint=loop.start(options, "tokenizer")
    )
    run.run()


def load(work: Path) -> tuple[Tokenizer, dict[str, Any]]:
    """The trained tokenizer and its description."""
    weights, config = loop.load_weights(work / "tokenizer.safetensors")
    names = {key: config.pop(key) for key in ("phones", "voices")}
    sizes = {key: config[key] for key in ("dims", "width")}
    model = Tokenizer(TokenizerConfig(**sizes, phones=len(names["phones"]), voices=len(names["voices"])))
    model.load_state_dict(weights)
    return model.eval(), names


@torch.no_grad()
def ids_of(
    model: Tokenizer,
    corpus: data.Corpus,
    items: list[data.Utterance],
    seconds: int = 160,
) -> Iterator[tuple[data.Utterance, np.ndarray]]:
    """Every utterance with its speech tokens (int16 [S]), shortest first."""
    items = sorted(items, key=lambda item: item.tokens)
    while items:
        count = max(1, min(len(items), 25 * seconds // items[min(len(items), 64) - 1].tokens))
        group, items = items[:count], items[count:]
        rows = (corpus.rows(data.WHISPER, item) for item in group)
        features = loop.padded(rows, 4 * group[-1].tokens).transpose(1, 2)
        code = model.encoder.continuous(features, torch.tensor([item.tokens for item in group]))
        for item, ids in zip(group, model.encoder.ids(code).numpy(), strict=True):
            yield item, ids[: item.tokens].astype(np.int16)


def tokenize(options: argparse.Namespace) -> None:
    """Writes the tokens of every utterance that has none; `--fresh` starts over."""
    torch.set_num_threads(options.threads)
    model, _ = load(options.work)
    corpus = data.Corpus(options.work)
    if options.fresh:
        (options.work / data.TOKENS.file).unlink(missing_ok=True)
    todo = data.missing(corpus, data.TOKENS)
    with (options.work / data.TOKENS.file).open("ab") as file:
        for first in range(0, len(todo), 1024):
            group = todo[first : first + 1024]
            found = {item.id: ids for item, ids in ids_of(model, corpus, group)}
            for item in group:
                data.append(file, data.TOKENS, item, found[item.id])
            print(f"{first + len(group)} of {len(todo)} utterances", flush=True)


@torch.no_grad()
def evaluate(options: argparse.Namespace) -> None:
    """Phone accuracy, losses, code usage and perplexity on the held-out utterances."""
    torch.set_num_threads(options.threads)
    model, names = load(options.work)
    corpus = data.Corpus(options.work)
    examples = Examples(corpus, names["phones"], names["voices"], "cpu")
    items = [item for item in corpus.having(data.WHISPER, data.F0) if item.held_out]
    for lang in sorted({item.lang for item in items}):
        chosen = [item for item in items if item.lang == lang]
        found = [losses(model, examples.batch([data.Crop(item, 0, item.tokens)])) for item in chosen]
        weights = np.array([item.tokens for item in chosen])
        for name in found[0]:
            value = np.average([float(one[name]) for one in found], weights=weights)
            print(f"{lang} {name} {value:.4f}")
        usage(lang, np.concatenate([ids for _, ids in ids_of(model, corpus, chosen)]), model.config.vocab)


def usage(lang: str, ids: np.ndarray, vocab: int) -> None:  # int [S]
    """Prints how many of the codes occur and the perplexity of their distribution."""
    share = np.bincount(ids, minlength=vocab) / len(ids)
    used = share[share > 0]
    perplexity = np.exp(-(used * np.log(used)).sum())
    print(f"{lang} codes {len(used)}/{vocab} perplexity {perplexity:.0f} over {len(ids)} tokens")


def export(options: argparse.Namespace) -> None:
    """Writes speech_tokenizer_v2.onnx, with the official file's inputs and output."""
    model, _ = load(options.work)
    write_onnx(model.encoder, options.work / "speech_tokenizer_v2.onnx")


def write_onnx(encoder: Encoder, path: Path) -> None:
    """The encoder as ONNX: float32 [1, 128, T] and int32 [1] = T to int32 [1, ceil(T / 4)]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder.eval(),
            (torch.zeros(1, 128, 400), torch.tensor([400], dtype=torch.int32)),
            str(path),
            input_names=["feats", "feats_length"],
            output_names=["indices"],
            dynamic_axes={"feats": {2: "T"}, "indices": {1: "S"}},
            opset_version=17,
            dynamo=False,
        )


def main() -> None:
    """`python -m recipes.builtin_voice.tokenizer prepare|train|eval|tokenize|export --work DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["prepare", "train", "eval", "tokenize", "export"])
    loop.add_options(parser, batch=16, learning_rate=2e-3, minutes=5.0)
    parser.add_argument("--width", type=int, default=176)
    parser.add_argument("--crop-tokens", type=int, default=64)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    commands = {"prepare": prepare, "train": train, "eval": evaluate, "tokenize": tokenize, "export": export}
    commands[options.command](options)


if __name__ == "__main__":
    main()
