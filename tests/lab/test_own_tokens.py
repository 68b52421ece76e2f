"""Parity and time of an engine that makes speech tokens by itself, held against the plain stages."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cosyrt.engine.decoding import LanguageModelInput, complete
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.rows import Rows
from cosyrt.engine.sampling import NOTHING, distribution
from cosyrt.engine.token_engine import Generation, TokenRequest
from cosyrt.errors import SpeechError
from cosyrt.lab.own_tokens import SPOKEN_TOKENS, STEPS_TIMED, calls_of_rows, verify_engine
from cosyrt.lab.together import crowd
from cosyrt.lab.workload import Length, Workload, seconds_of


class Told:
    """Tokens that are all there, and what was expected before each."""

    def __init__(self, tokens: Sequence[int | SpeechError], expected: NDArray[np.float32]) -> None:
        self.tokens, self.log_probabilities = deque(tokens), [expected]

    def take(self) -> int | SpeechError | None:
        return self.tokens.popleft() if self.tokens else None

    def cancel(self) -> None:
        self.tokens.clear()


class PlainEngine:
    """An engine that reads by the plain stages; it may be off, pick by other rules, or fail."""

    def __init__(self, model: Model, *, off: float = 0.0, wild: bool = False, fails: bool = False) -> None:
        self.model, self.off, self.wild, self.fails = model, off, wild, fails

    def takes(self, positions: int) -> bool:
        return True

    def wait(self, generations: Sequence[Generation], timeout_s: float) -> None:
        raise AssertionError("everything is there")

    def submit(self, request: TokenRequest, *, log_probabilities: bool = False) -> Told:
        if self.fails:
            return Told([SpeechError("the process of vLLM ended with 3")], np.zeros((0, 1), np.float32))
        config, rng = self.model.settings.decoding, torch.Generator().manual_seed(request.seed)
        given = LanguageModelInput(request.given.text, [], request.given.speech)
        decoder, rows = complete(config, given), Rows(self.model.plain, config, self.model.device, capacity=1)
        row, tokens, expected = rows.join(decoder, rng), list[int](), list[torch.Tensor]()
        while len(tokens) < request.most:
            expected.append(rows.log_probabilities([row])[0])
            tokens.append(self._picked(expected[-1], tokens, rng))
            decoder.accept(tokens[-1])
        noise = self.off * torch.randn(len(tokens), len(expected[0]), generator=rng)
        return Told(tokens, (torch.stack(expected) + noise).numpy())

    def _picked(self, logp: torch.Tensor, tokens: list[int], rng: torch.Generator) -> int:
        config = self.model.settings.decoding
        speech, window = logp[None].clone(), config.sampling.window
        speech[:, config.end_token :] = -torch.inf
        recent = torch.tensor([([NOTHING] * window + tokens)[-window:]])
        ours = distribution(speech, recent, config.sampling)
        p = (ours == 0).double() * speech.isfinite() if self.wild else ours
        return int(torch.multinomial(p, 1, generator=rng))


@pytest.mark.parametrize("family", [2, 3])
def test_an_engine_that_expects_what_the_plain_stages_do_passes(
    tiny: Pipeline, tiny3: Pipeline, family: int
) -> None:
    """Before each of the tokens that the engine made its expectations are ours, and each may be picked."""
    model = {2: tiny, 3: tiny3}[family].model
    parity = verify_engine(model, "exact", PlainEngine(model), crowd(Workload(model), 2))

    assert parity.passed and parity.distances.expectation < 1e-9


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        ({"off": 0.1}, "expectation: "),
        ({"wild": True}, f"{SPOKEN_TOKENS} of {SPOKEN_TOKENS} tokens"),
    ],
)
def test_an_engine_that_is_wrong_is_refused(workload: Workload, engine: dict[str, Any], why: str) -> None:
    """Other expectations, or a choice by other rules: each is told."""
    other = PlainEngine(workload.model, **engine)
    parity = verify_engine(workload.model, "exact", other, crowd(workload, 1))

    assert parity.why.startswith(why)


def test_an_engine_that_fails_is_an_error(workload: Workload) -> None:
    """What the engine says ends the trial."""
    with pytest.raises(SpeechError, match="ended with 3"):
        verify_engine(workload.model, "exact", PlainEngine(workload.model, fails=True), crowd(workload, 1))


def test_rows_are_timed_by_their_tokens(workload: Workload) -> None:
    """The prompt and a step of all streams, from which the seconds of a whole utterance follow."""
    ticks, utterance = count(), workload.utterance(Length(100, 0, False))
    calls = calls_of_rows(workload.model, workload.model.plain, utterance, 3, lambda: float(next(ticks)))

    assert [each.stage for each in calls] == ["prefill", "step"]
    assert calls[0].seconds == 1 and calls[1].seconds == pytest.approx(1 / (STEPS_TIMED - 1))
    seconds = seconds_of(workload.model, "llm", utterance, calls)
    assert seconds == pytest.approx(1 + 99 / (STEPS_TIMED - 1))
