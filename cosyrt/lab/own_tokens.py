"""Parity and time of an engine that makes speech tokens by itself, such as vLLM.

It takes no tokens that are given. So it speaks, and the plain stages are asked afterwards what they would
have expected before each of its tokens. Both are timed by the rows that the scheduler has, the choice of
tokens included.

Shapes: S speech tokens · V speech vocabulary with stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosyrt.accel.contract import Precision
from cosyrt.accel.distance import divergence, finite_distance
from cosyrt.engine.decoding import DecodingConfig, PrefillInput, complete
from cosyrt.engine.engine_rows import rows_on
from cosyrt.engine.model import Model
from cosyrt.engine.rows import Row
from cosyrt.engine.sampling import NOTHING, distribution
from cosyrt.engine.stages import Stages
from cosyrt.engine.token_engine import Generation, TokenEngine, TokenRequest
from cosyrt.errors import SpeechError
from cosyrt.lab.parity import Distances, Parity, why_not
from cosyrt.lab.workload import StageCall, WorkloadUtterance, log_probabilities

SPOKEN_TOKENS = 40  # of each utterance, for parity
STEPS_TIMED = 16  # the others cost the same
WAIT_S = 30.0


class TellingGeneration(Generation, Protocol):
    """Tokens of one request, and what was expected before each of them."""

    log_probabilities: list[NDArray[np.float32]]  # [tokens, V] each


class TellingEngine(TokenEngine, Protocol):
    """An engine that tells what it expected, where it is asked to."""

    def submit(self, request: TokenRequest, *, log_probabilities: bool = False) -> TellingGeneration:
        """Begin a request."""


def verify_engine(
    model: Model, precision: Precision, engine: TokenEngine, utterances: Sequence[WorkloadUtterance]
) -> Parity:
    """Let an engine speak all utterances at once, and hold its tokens against the plain stages.

    Raises:
        SpeechError: it failed.
    """
    telling = cast(TellingEngine, engine)
    config, made = model.settings.decoding, list[TellingGeneration]()
    for seed, each in enumerate(utterances):
        given = complete(config, each.llm_input).next_input()
        assert isinstance(given, PrefillInput)
        request = TokenRequest(given, SPOKEN_TOKENS, SPOKEN_TOKENS, seed)
        made.append(telling.submit(request, log_probabilities=True))
    distances, why = Distances(), ""
    for utterance, generation in zip(utterances, made, strict=True):
        tokens = _all_of(telling, generation)
        theirs = torch.from_numpy(np.concatenate(generation.log_probabilities))
        spoken = replace(utterance, speech=tokens)
        plain = log_probabilities(model, model.plain, spoken, len(tokens)).float().cpu()
        apart = finite_distance(plain, theirs, divergence)
        distances = distances.worst(Distances(expectation=apart))
        why = why or _unlikely(config, plain, tokens)
    return Parity(precision=precision, distances=distances, why=why_not(precision, distances) or why)


def _all_of(engine: TellingEngine, generation: TellingGeneration) -> list[int]:
    """All tokens of a generation.

    Raises:
        SpeechError: there was an error in place of one, or nothing came.
    """
    return [_next(engine, generation) for _ in range(SPOKEN_TOKENS)]


def _next(engine: TellingEngine, generation: TellingGeneration) -> int:
    until_s = time.monotonic() + WAIT_S
    while (token := generation.take()) is None:
        if time.monotonic() > until_s:
            raise SpeechError(f"no token came in {WAIT_S:g} s")
        engine.wait([generation], WAIT_S)
    if isinstance(token, SpeechError):
        raise token
    return token


def _unlikely(
    config: DecodingConfig,
    plain: Tensor,  # [S, V]
    tokens: Sequence[int],
) -> str:
    """Why tokens were not picked from our distribution; empty if each of them may be."""
    logp, size = plain.clone(), config.sampling.window
    logp[:, config.end_token :] = -torch.inf  # before the least of tokens
    recent = [([NOTHING] * size + list(tokens[:place]))[-size:] for place in range(len(tokens))]
    p = distribution(logp, torch.tensor(recent), config.sampling)
    never = int((p[range(len(tokens)), list(tokens)] == 0).sum())
    return f"{never} of {len(tokens)} tokens are none that may be picked" if never else ""


def calls_of_rows(
    model: Model,
    stages: Stages,
    utterance: WorkloadUtterance,
    streams: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[StageCall]:
    """Time the prompt and a few steps of so many rows that speak one text with other seeds."""
    config = endless(model.settings.decoding, len(utterance.llm_input.text), STEPS_TIMED)
    rows = rows_on(stages, config, model.device, capacity=streams)
    began_s = clock()
    mine = [
        rows.join(complete(config, utterance.llm_input), torch.Generator().manual_seed(seed))
        for seed in range(streams)
    ]
    try:
        first_s = _until(rows.step, mine, 1, clock)
        last_s = _until(rows.step, mine, STEPS_TIMED, clock)
    finally:
        for row in mine:
            rows.leave(row)
    positions = mine[0].decoder.cache_positions
    step = StageCall("step", positions, (last_s - first_s) / (STEPS_TIMED - 1))
    return [StageCall("prefill", positions, first_s - began_s), step]


def _until(
    step: Callable[[Sequence[Row]], object], rows: Sequence[Row], tokens: int, clock: Callable[[], float]
) -> float:
    """When every row has spoken so many tokens."""
    while short := [row for row in rows if row.decoder.spoken < tokens]:
        step(short)
    return clock()


def endless(config: DecodingConfig, text_tokens: int, tokens: int) -> DecodingConfig:
    """Settings under which a text becomes so many tokens and more: no stop, and none is cut before."""
    ratio = (tokens + 1) / text_tokens
    return replace(config, least_per_text=ratio, most_per_text=ratio, repetition_window=10 * tokens)
