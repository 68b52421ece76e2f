"""Trains the flow of the built-in voice: speech tokens and a speaker vector in, mel out.

The loss is upstream's conditional flow matching, plus a prior loss that makes the encoder alone already say
what the mel should be: it needs far fewer steps that way. There is no guidance, so nothing is dropped for it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.models.conformer import ConformerConfig
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.layers import at_mel_rate, attention_mask, valid_positions
from cosyrt.models.solver import begin, fixed_noise, solve, time_steps
from cosyrt.models.unet import UNetConfig
from cosyrt.models.velocity import FlowInputs
from recipes.builtin_voice.corpus import (
    FLOW_MEL,
    MEL,
    TOKENS,
    Corpus,
    Crop,
    Crops,
    Utterance,
    append,
    missing,
)
from recipes.builtin_voice.loop import Loop, add_options, config_of, load_weights, padded, save_weights, start
from recipes.builtin_voice.quantizer import SPEECH_VOCABULARY

CROP_TOKENS = 75
PROMPT_SHARE = 0.5
PRIOR_WEIGHT = 1.0
FAVOUR = {"en": 3.0}  # joined recordings are harder to follow than formants
SIGMA_MIN = 1e-6
TOKEN_S = 0.04
SPEAKER_NOISE = 0.02
# Starting noise is scaled by up to this: at these sizes a cooler start loses less than it gives away.
WARMEST = 0.06
CONFIG = FlowConfig(
    speech_vocabulary=SPEECH_VOCABULARY,
    guidance=0.0,
    temperature=0.01,
    steps=1,
    encoder=ConformerConfig(width=160, heads=4, feed_forward=512, layers=2, up_layers=3),
    velocity=UNetConfig(channels=160, head_width=40, heads=4, blocks=1, middle=3),
)


def speaker_vectors(options: argparse.Namespace) -> dict[str, np.ndarray]:  # voice → float32 [192], length 1
    """The mean speaker vector of every teacher voice, as the speaker encoder wrote them."""
    vectors, _ = load_weights(options.work / "voices.safetensors")
    return {name: F.normalize(vector, dim=0).numpy() for name, vector in vectors.items()}


class Objective:
    """Draws crops and computes the losses of one step."""

    def __init__(self, model: Flow, corpus: Corpus, vectors: dict[str, np.ndarray], batch: int) -> None:
        self.model, self.corpus, self.vectors, self.batch = model, corpus, vectors, batch
        self.device = model.encoder_proj.weight.device
        usable = corpus.having(MEL, TOKENS)
        self.crops = Crops([item for item in usable if not item.held_out], CROP_TOKENS, FAVOUR)

    def __call__(self, step: int, random: np.random.Generator) -> dict[str, Tensor]:
        crops = self.crops.draw(random, self.batch)
        tokens, mel, valid = self.stack(crops)
        speaker = self.speakers(crops, random)
        chunked = bool(random.random() < 0.5)
        return losses(self.model, tokens, mel, valid, speaker, chunked, random)

    def stack(
        self,
        crops: list[Crop],
    ) -> tuple[Tensor, Tensor, Tensor]:  # tokens [B, S], mel [B, 80, 2S], valid [B, S]
        """One padded batch."""
        longest = max(crop.tokens for crop in crops)
        tokens = padded((self.corpus.rows(TOKENS, crop) for crop in crops), longest).long()
        mel = padded((self.corpus.rows(MEL, crop) for crop in crops), 2 * longest).transpose(1, 2)
        lengths = torch.tensor([crop.tokens for crop in crops], device=self.device)
        return tokens.to(self.device), mel.to(self.device), valid_positions(lengths, longest)

    def speakers(
        self,
        crops: list[Crop],
        random: np.random.Generator,
    ) -> Tensor:  # [B, 192]
        """Each crop's speaker vector, slightly blurred so that neighbours of a teacher sound like it too."""
        vectors = np.stack([self.vectors[crop.utterance.voice] for crop in crops])
        blur = SPEAKER_NOISE * random.standard_normal(vectors.shape, np.float32)
        return torch.from_numpy(vectors + blur).to(self.device)


def losses(
    model: Flow,
    tokens: Tensor,  # [B, S]
    mel: Tensor,  # [B, 80, M]
    valid: Tensor,  # [B, S]
    speaker: Tensor,  # [B, 192]
    chunked: bool,
    random: np.random.Generator,
) -> dict[str, Tensor]:
    """Flow matching (L1 on the velocity) and the prior."""
    batch = len(mel)
    mask = attention_mask(valid, CONFIG.encoder.chunk_tokens if chunked else None)
    mu = model.encode(tokens, valid, mask).float()
    valid_frames = valid.repeat_interleave(2, dim=1)[:, None].float()
    count = valid_frames.sum() * mel.shape[1]
    prior = ((mu - mel).abs() * valid_frames).sum() / count
    asked = time_steps(CONFIG.steps)[:-1]  # the solver looks nowhere else
    t = asked[torch.from_numpy(random.integers(0, CONFIG.steps, batch))].to(mel)
    warmth = torch.from_numpy(random.random((batch, 1, 1), np.float32)).to(mel) * WARMEST
    noise = torch.randn_like(mel) * warmth
    mixed = (1 - (1 - SIGMA_MIN) * t)[:, None, None] * noise + t[:, None, None] * mel
    inputs = FlowInputs(
        x=mixed,
        valid=valid_frames,
        mask=at_mel_rate(mask, model.config.encoder.up),
        mu=mu,
        t=t,
        speaker=model.speaker(speaker),
        prompt=prompts(mel, random),
    )
    velocity = model.velocity(inputs)
    wanted = mel - (1 - SIGMA_MIN) * noise
    match = ((velocity.float() - wanted).abs() * valid_frames).sum() / count
    return {"loss": match + PRIOR_WEIGHT * prior, "match": match, "prior": prior}


def prompts(
    mel: Tensor,  # [B, 80, M]
    random: np.random.Generator,
) -> Tensor:  # [B, 80, M]
    """In some utterances the first part of the mel is given, as a prompt would be."""
    share = np.where(random.random(len(mel)) < PROMPT_SHARE, random.uniform(0, 0.5, len(mel)), 0.0)
    upto = torch.from_numpy((share * mel.shape[2]).astype(np.int64)).to(mel.device)
    return mel * valid_positions(upto, mel.shape[2])[:, None]


@torch.inference_mode()
def copy(
    model: Flow,
    corpus: Corpus,
    item: Utterance,
    vector: np.ndarray,  # [192]
    chunked: bool = False,
) -> tuple[Tensor, Tensor]:  # mu and mel, each [1, 80, M]
    """An utterance's mel from its own tokens."""
    tokens = torch.from_numpy(corpus.rows(TOKENS, item).astype(np.int64))[None]
    valid = torch.ones_like(tokens, dtype=torch.bool)
    mask = attention_mask(valid, CONFIG.encoder.chunk_tokens if chunked else None)
    mu = model.encode(tokens, valid, mask)
    noise = fixed_noise()[:, :, : mu.shape[2]] * model.config.temperature
    speaker = model.speaker(torch.from_numpy(vector)[None])
    state = begin(
        noise,
        at_mel_rate(mask, model.config.encoder.up),
        mu,
        speaker,
        torch.zeros_like(mu),
        solver=model.config.solver,
    )
    return mu, solve(model.velocity, state)


def train(options: argparse.Namespace) -> None:
    """Runs the loop and keeps the averaged weights in flow.safetensors."""
    torch.manual_seed(options.seed)
    model, corpus = Flow(CONFIG), Corpus(options.work)
    if options.start_from is None:
        start_at_mean(model, corpus)
    else:
        model.load_state_dict(load_weights(options.start_from)[0])
    model.to(options.device)
    objective = Objective(model, corpus, speaker_vectors(options), options.batch)
    path = options.work / "flow.safetensors"
    loop = Loop(
        [model],
        objective,
        config_of(options, warmup_steps=200),
        checkpoint=start(options, "flow"),
        save=lambda: save_weights(path, loop.average, asdict(CONFIG)),
    )
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, "
        f"{len(objective.crops.utterances)} utterances"
    )
    loop.run()


@torch.no_grad()
def start_at_mean(model: Flow, corpus: Corpus) -> None:
    """Both outputs begin at the mean mel and with its spread: log-mels are far from zero, weights near it."""
    items = corpus.train[:: max(1, len(corpus.train) // 300)]
    frames = np.concatenate([corpus.rows(MEL, item) for item in items]).astype(np.float32)
    for head in (model.encoder_proj, model.velocity.final_proj):
        head.weight.mul_(float(frames.std(0).mean()))
        assert head.bias is not None
        head.bias.copy_(torch.from_numpy(frames.mean(0)))


def load(options: argparse.Namespace) -> Flow:
    """The trained flow."""
    weights, _ = load_weights(options.work / "flow.safetensors")
    model = Flow(CONFIG)
    model.load_state_dict(weights)
    return model.eval()


def write_mels(options: argparse.Namespace) -> None:
    """The flow's own mel of the first hours of the corpus: what the vocoder will be given."""
    torch.set_num_threads(options.threads)
    model, corpus, vectors = load(options), Corpus(options.work), speaker_vectors(options)
    ready = {item.id for item in corpus.having(TOKENS)}
    todo, written = [item for item in missing(corpus, FLOW_MEL) if item.id in ready], 0
    with (options.work / FLOW_MEL.file).open("ab") as file:
        for item in todo:
            if item.start_token * TOKEN_S > options.hours * 3600:
                break
            _, mel = copy(model, corpus, item, vectors[item.voice], chunked=item.id % 2 == 1)
            append(file, FLOW_MEL, item, mel[0].T.numpy())
            written += 1
            if written % 100 == 0:
                print(f"{item.start_token * TOKEN_S / 3600:.2f} of {options.hours} h", flush=True)


def evaluate(options: argparse.Namespace) -> None:
    """Mean distance to the teacher's mel on held-out utterances, of encoder and flow."""
    model, corpus, vectors = load(options), Corpus(options.work), speaker_vectors(options)
    held_out = [item for item in corpus.having(MEL, TOKENS) if item.held_out][: options.count]
    rows = []
    for item in held_out:
        mel = torch.from_numpy(corpus.rows(MEL, item).astype(np.float32)).T[None]
        rows.append(
            [(guess - mel).abs().mean().item() for guess in copy(model, corpus, item, vectors[item.voice])]
        )
    encoder, flow = np.mean(rows, axis=0)
    print(f"{len(rows)} utterances: mean |mu - mel| {encoder:.3f}, mean |flow - mel| {flow:.3f}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["train", "eval", "mels"])
    parser.add_argument("--count", type=int, default=40, help="utterances to measure")
    parser.add_argument("--hours", type=float, default=0.75, help="mels: how much of the corpus")
    parser.add_argument("--start-from", type=Path, help="weights to begin with, instead of random ones")
    add_options(parser, batch=12, learning_rate=6e-4)
    options = parser.parse_args()
    {"train": train, "eval": evaluate, "mels": write_mels}[options.action](options)


if __name__ == "__main__":
    main()
