"""Trains the language model of the built-in voice: pronunciation units in, speech tokens out.

One head is taught to look at the unit that is being spoken; without that push a model this small takes far
longer to find out that text and speech run side by side.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cosyrt.models.llm import START, TASK, LanguageModelConfig, Layer, SpeechLanguageModel
from cosyrt.text.pronounce import vocabulary
from recipes.builtin_voice.corpus import TOKENS, Buckets, Corpus, Utterance
from recipes.builtin_voice.loop import Loop, add_options, config_of, load_weights, save_weights, start
from recipes.builtin_voice.quantizer import SPEECH_VOCABULARY

ALIGNED_LAYER, ALIGNED_HEAD = 2, 0
ALIGNMENT_WEIGHT = 0.2
CORRUPTION = 0.06  # share of the speech tokens heard that are replaced: at test the model hears its own slips
SPARE_ROWS = 64  # for the special tokens that follow the vocabulary
TOKEN_S = 0.04


def config() -> LanguageModelConfig:
    """Sizes of the language model."""
    return LanguageModelConfig(
        width=256,
        feed_forward=640,
        layers=5,
        heads=4,
        kv_heads=4,
        text_vocabulary=len(vocabulary()) + SPARE_ROWS,
        rope_theta=1e4,
        speech_vocabulary=SPEECH_VOCABULARY,
    )


class Objective:
    """Draws whole utterances and computes the losses of one step."""

    def __init__(self, model: SpeechLanguageModel, corpus: Corpus, budget: int, seed: int) -> None:
        self.model, self.corpus = model, corpus
        self.numbers = {unit: number for number, unit in enumerate(vocabulary())}
        usable = corpus.having(TOKENS)
        self.utterances = [item for item in usable if not item.held_out and len(item.units) > 1]
        self.held_out = [item for item in usable if item.held_out and len(item.units) > 1]
        lengths = [item.tokens + len(item.units) + 2 for item in self.utterances]
        self.buckets = Buckets(lengths, budget, seed)

    def __call__(self, step: int, random: np.random.Generator) -> dict[str, Tensor]:
        items = [self.utterances[i] for i in self.buckets.batch(step)]
        return self.losses(items, random)

    def losses(self, items: list[Utterance], random: np.random.Generator | None) -> dict[str, Tensor]:
        """Cross entropy over the speech tokens and the alignment of one head."""
        device = self.model.llm_decoder.weight.device
        batch = Batch(items, self.corpus, self.numbers, self.model.config.end_token, device)
        heard = [speech.to(device) for speech in batch.heard(random)]
        hidden, scores = run(self.model, batch, heard)
        logits = self.model.llm_decoder(hidden[batch.speaks]).float()
        speech = F.cross_entropy(logits, batch.target[batch.speaks])
        align = F.nll_loss(scores[batch.spoken].float(), batch.unit_at[batch.spoken])
        right = (scores[batch.spoken].argmax(-1) == batch.unit_at[batch.spoken]).float().mean()
        return {"loss": speech + ALIGNMENT_WEIGHT * align, "speech": speech, "align": align, "hits": right}


class Batch:
    """Utterances side by side: start, units, task, speech; padding at the end."""

    def __init__(
        self, items: list[Utterance], corpus: Corpus, numbers: dict[str, int], end: int, device: torch.device
    ) -> None:
        self.text = [torch.tensor([numbers[unit] for unit in item.units]) for item in items]
        self.speech = [torch.from_numpy(corpus.rows(TOKENS, item).astype(np.int64)) for item in items]
        lengths = [len(t) + len(s) + 2 for t, s in zip(self.text, self.speech, strict=True)]
        self.longest = max(lengths)
        self.target = torch.full((len(items), self.longest), -100)
        self.unit_at = torch.zeros((len(items), self.longest), dtype=torch.long)
        self.spoken = torch.zeros((len(items), self.longest), dtype=torch.bool)
        for row, (item, text, speech) in enumerate(zip(items, self.text, self.speech, strict=True)):
            first = len(text) + 1  # the task mark predicts the first speech token
            self.target[row, first : first + len(speech) + 1] = torch.cat([speech, torch.tensor([end])])
            self.unit_at[row, first : first + len(speech)] = spoken_unit(item, len(speech)) + 1
            self.spoken[row, first : first + len(speech)] = True
        self.text = [text.to(device) for text in self.text]
        self.target, self.unit_at, self.spoken = (
            table.to(device) for table in (self.target, self.unit_at, self.spoken)
        )
        self.speaks = self.target >= 0

    def heard(self, random: np.random.Generator | None) -> list[Tensor]:
        """The speech tokens fed back, a few of them replaced when learning."""
        if random is None:
            return self.speech
        return [corrupt(speech, random) for speech in self.speech]


def spoken_unit(item: Utterance, tokens: int) -> Tensor:  # [tokens]
    """Which unit is being spoken in the middle of each speech token."""
    middle_s = (np.arange(tokens) + 0.5) * TOKEN_S
    at = np.searchsorted(item.unit_end_s, middle_s, side="right")
    return torch.from_numpy(np.minimum(at, len(item.units) - 1))


def corrupt(
    speech: Tensor,  # [S]
    random: np.random.Generator,
) -> Tensor:  # [S]
    """Replaces a few tokens by others of the same utterance."""
    hit = torch.from_numpy(random.random(len(speech)) < CORRUPTION)
    other = speech[torch.from_numpy(random.integers(0, len(speech), len(speech)))]
    return torch.where(hit, other, speech)


def run(
    model: SpeechLanguageModel,
    batch: Batch,
    heard: list[Tensor],
) -> tuple[Tensor, Tensor]:  # hidden [B, T, D], log-attention of the aligned head [B, T, T]
    """The backbone over whole sequences, with one head's attention on the side."""
    assert model.llm_embedding is not None
    marks = model.llm_embedding.weight
    rows = [
        torch.cat(
            [marks[START, None], model.backbone.embed_tokens(t), marks[TASK, None], model.speech_embedding(s)]
        )
        for t, s in zip(batch.text, heard, strict=True)
    ]
    x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    positions = torch.arange(x.shape[1], device=x.device).expand(len(rows), -1)
    rope = model.backbone.rope(positions, x.dtype)
    scores = x.new_zeros(0)
    for number, layer in enumerate(model.backbone.layers):
        assert isinstance(layer, Layer)
        if number == ALIGNED_LAYER:
            q, k, _ = layer.self_attn.project(layer.input_layernorm(x), rope)
            scores = causal_log_attention(q[:, ALIGNED_HEAD], k[:, ALIGNED_HEAD])
        x = layer(x, rope, None, None, positions)
    return model.backbone.norm(x), scores


def causal_log_attention(
    q: Tensor,  # [B, T, E]
    k: Tensor,  # [B, T, E]
) -> Tensor:  # [B, T, T]
    """Log of where each position looks."""
    scores = (q @ k.transpose(1, 2)).float() / q.shape[-1] ** 0.5
    future = ~torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).tril()
    return F.log_softmax(scores.masked_fill(future, -1e4), dim=-1)


def train(options: argparse.Namespace) -> None:
    """Runs the loop and keeps the averaged weights in language_model.safetensors."""
    torch.manual_seed(options.seed)
    model, corpus = SpeechLanguageModel(config()), Corpus(options.work)
    small_start(model)
    model.to(options.device)
    objective = Objective(model, corpus, options.batch, options.seed)
    path = options.work / "language_model.safetensors"
    loop = Loop(
        [model],
        objective,
        config_of(options),
        checkpoint=start(options, "language_model"),
        save=lambda: save_weights(path, loop.average, asdict(config())),
    )
    print(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, "
        f"{len(objective.utterances)} utterances"
    )
    loop.run()


def small_start(model: SpeechLanguageModel) -> None:
    """Embeddings and matrices start small, as transformers like it."""
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.02 if "embed" in name else weight.shape[1] ** -0.5 * 0.7)


def load(options: argparse.Namespace) -> SpeechLanguageModel:
    """The trained language model."""
    weights, _ = load_weights(options.work / "language_model.safetensors")
    model = SpeechLanguageModel(config())
    model.load_state_dict(weights)
    return model.eval()


@torch.inference_mode()
def evaluate(options: argparse.Namespace) -> None:
    """Held-out cross entropy and alignment, a language at a time."""
    objective = Objective(load(options), Corpus(options.work), options.batch, options.seed)
    for lang in sorted({item.lang for item in objective.held_out}):
        items = [item for item in objective.held_out if item.lang == lang][: options.count]
        rows = [objective.losses([item], None) for item in items]
        means = {name: float(np.mean([float(row[name]) for row in rows])) for name in rows[0]}
        print(lang, len(items), " ".join(f"{name} {value:.3f}" for name, value in means.items()))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["train", "eval"])
    parser.add_argument("--count", type=int, default=60, help="utterances to measure")
    add_options(parser, batch=2800, learning_rate=2e-3)
    options = parser.parse_args()
    {"train": train, "eval": evaluate}[options.action](options)


if __name__ == "__main__":
    main()
