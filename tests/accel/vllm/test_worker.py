"""The real vLLM, in an environment of its own that COSYRT_VLLM_PYTHON names, with the built-in voice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.accel.vllm.acceleration import PYTHON_VARIABLE, vllm
from cosyrt.accel.vllm.engine import VllmEngine
from cosyrt.engine.decoding import PrefillInput
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.sampling import NOTHING, distribution
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.token_engine import TokenRequest
from cosyrt.lab.own_tokens import verify_engine
from cosyrt.lab.together import crowd
from cosyrt.lab.workload import Workload
from cosyrt.models.kv_cache import KeyValueCache
from tests import tiny3
from tests.accel.vllm.test_engine import all_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON_VARIABLE not in os.environ, reason=f"{PYTHON_VARIABLE} names no environment"),
]

TEXT = "Hello there, how are you?"
CLOSE = 1e-3  # of log-probabilities: the order of float32 sums; 2e-5 was measured
CHOICES = 400  # of the first token


@pytest.fixture(scope="module")
def speaks() -> Iterator[Pipeline]:
    """The built-in voice, its language model in vLLM; the other process takes a minute to start."""
    pipeline = cosyrt.load(device="cpu", accelerate=vllm())
    yield pipeline
    engine_of(pipeline).close()


def engine_of(pipeline: Pipeline) -> VllmEngine:
    engine = pipeline.model.stages.engine
    assert isinstance(engine, VllmEngine)
    return engine


def prompt(pipeline: Pipeline, text: str = TEXT) -> PrefillInput:
    return PrefillInput(pipeline.tokenizer.encode(text), [], None)


def spoken(pipeline: Pipeline, least: int = 5, most: int = 60, seed: int = 0, text: str = TEXT) -> list[int]:
    """Tokens of a text, a stop among them."""
    engine = engine_of(pipeline)
    found = all_of(engine, engine.submit(TokenRequest(prompt(pipeline, text), least, most, seed)))
    assert all(isinstance(token, int) for token in found)
    return [int(token) for token in found if isinstance(token, int)]


def plain_logits(pipeline: Pipeline, tokens: list[int]) -> torch.Tensor:  # [tokens, V]
    """Log-probabilities of the plain stages before each of these tokens."""
    stages, given = pipeline.model.plain, prompt(pipeline)
    cache: KeyValueCache = stages.new_cache(1, given.end + len(tokens))
    text, none = torch.tensor([given.text]), torch.zeros(1, 0, dtype=torch.long)
    found = [stages.prefill(text, none, cache)]
    for place, token in enumerate(tokens[:-1], given.end):
        mask = torch.ones(1, 1, 1, place + 1, dtype=torch.bool)
        found.append(stages.step(torch.tensor([token]), torch.tensor([place]), mask, cache))
    return torch.cat(found)


def test_log_probabilities_are_ours(speaks: Pipeline) -> None:
    """Before every token of an utterance, for each token that is not next to impossible."""
    engine = engine_of(speaks)
    generation = engine.submit(TokenRequest(prompt(speaks), 5, 60, 7), log_probabilities=True)
    tokens = [int(token) for token in all_of(engine, generation) if isinstance(token, int)]
    theirs = torch.from_numpy(np.concatenate(generation.log_probabilities))
    ours = plain_logits(speaks, tokens)

    assert theirs.shape == ours.shape and len(tokens) > 10
    assert (theirs - ours)[ours > -14].abs().max() < CLOSE


def test_tokens_are_picked_from_our_distribution(speaks: Pipeline) -> None:
    """Frequencies of the first token over many seeds: no frequency is further off than chance makes it."""
    with ThreadPoolExecutor(16) as pool:
        first = list(pool.map(lambda seed: spoken(speaks, most=1, seed=seed)[0], range(CHOICES)))
    config = speaks.model.settings.decoding
    logp = plain_logits(speaks, [0])
    logp[:, config.end_token :] = -torch.inf  # the least is 5
    p = distribution(logp, torch.full((1, config.sampling.window), NOTHING), config.sampling)[0].numpy()
    counts = np.bincount(first, minlength=len(p))
    likely = p * CHOICES > 5

    assert counts[p == 0].sum() == 0
    chi2 = ((counts - p * CHOICES)[likely] ** 2 / (p * CHOICES)[likely]).sum()
    assert chi2 < likely.sum() + 5 * np.sqrt(2 * likely.sum()), "five deviations from what chance makes it"


def test_every_repetition_is_drawn_from_our_distribution(speaks: Pipeline) -> None:
    """No token of an utterance has a probability of zero, given the window before it."""
    config, tokens = speaks.model.settings.decoding, spoken(speaks, seed=3)
    logp, size = plain_logits(speaks, tokens), config.sampling.window
    logp[:5, config.end_token :] = -torch.inf
    recent = [([NOTHING] * size + tokens[:place])[-size:] for place in range(len(tokens))]
    p = distribution(logp, torch.tensor(recent), config.sampling)

    assert p[range(len(tokens)), tokens].min() > 0


def test_limits_and_seeds_are_kept(speaks: Pipeline) -> None:
    """A stop is the last token and not too soon; the most is the most; a seed gives the same again."""
    end = speaks.model.settings.decoding.end_token
    tokens = spoken(speaks, most=200, seed=1)

    assert tokens[-1] >= end and all(token < end for token in tokens[:-1])
    assert spoken(speaks, most=200, seed=1) == tokens != spoken(speaks, most=200, seed=2)
    assert len(spoken(speaks, least=8, most=8)) == 8 and len(spoken(speaks, least=120, most=200)) > 120


def test_who_cancels_leaves_room_for_others(speaks: Pipeline) -> None:
    """More requests than run at once, each cancelled after its first token; then one that is whole."""
    engine = engine_of(speaks)
    many = [
        engine.submit(TokenRequest(prompt(speaks), 2_000, 2_001, seed))
        for seed in range(2 * engine.config.max_requests)
    ]
    while many:
        engine.wait(many, 30.0)
        for each in [each for each in many if each.came]:
            each.cancel()
            many.remove(each)

    assert len(spoken(speaks)) > 5


def test_the_trial_of_a_tuning_passes(speaks: Pipeline) -> None:
    """What `cosyrt tune --streams` asks of an engine, several at once with prompts and without."""
    model = speaks.model
    parity = verify_engine(model, "exact", engine_of(speaks), crowd(Workload(model), 4))

    assert parity.passed, parity.why


def test_the_language_model_of_cosyvoice_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights in the layout of CosyVoice 3, with heads as wide as vLLM takes: our distribution."""
    monkeypatch.setattr(tiny3, "LLM", replace(tiny3.LLM, width=128, heads=2, kv_heads=1, feed_forward=256))
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    tiny3.write_model(tmp_path / "model")
    pipeline = cosyrt.load(tmp_path / "model", device="cpu", accelerate=vllm())
    try:
        parity = verify_engine(
            pipeline.model, "exact", engine_of(pipeline), crowd(Workload(pipeline.model), 3)
        )
        assert parity.passed, parity.why
        assert pipeline.say("hello there").seconds > 0.1
    finally:
        engine_of(pipeline).close()


def test_ten_speak_at_once(speaks: Pipeline) -> None:
    """Every one of ten requests of a scheduler is whole speech."""
    with Scheduler(speaks, SchedulerConfig(max_active=10)) as scheduler:
        tickets = [scheduler.submit(Request(text=TEXT, seed=seed)) for seed in range(10)]
        seconds = [sum(audio.seconds for audio in ticket) for ticket in tickets]

    assert min(seconds) > 0.8 and max(seconds) < 6
