"""Rows of one key/value cache: utterances in a crowd against the same utterances alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyrt.engine import decoding
from cosyrt.engine.decoding import Decoder, LanguageModelInput, Pause, Stops, complete
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.rows import Outcome, Row, Rows, allowed
from cosyrt.engine.speech_tokens import speech_tokens
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.models.llm import SPEECH
from tests.cache_forms import FORMS
from tests.engine.scripted import CONFIG

CPU = torch.device("cpu")
EXACT_FORMS = [name for name in FORMS if "half" not in name]
TURNS = 10
INTERLEAVINGS = 200  # of all forms together


Models = dict[str, Model]  # by family


@pytest.fixture(scope="module")
def models(tiny: Pipeline, tiny1: Pipeline, tiny3: Pipeline) -> Models:
    return {tts.family: tts.model for tts in (tiny, tiny1, tiny3)}


@pytest.fixture(params=["cosyvoice2", "cosyvoice", "cosyvoice3"])
def model(request: pytest.FixtureRequest, models: Models) -> Model:
    return models[request.param]


def said(model: Model, number: int, length: int = 5, prompt: int = 0) -> Decoder:
    """A decoder of an utterance with so many text tokens and tokens of a prompt; the number says which."""
    config, random = model.settings.decoding, np.random.default_rng(number)
    text = random.integers(0, 80, length + prompt // 2).tolist()
    speech = random.integers(0, config.end_token, prompt).tolist()
    speaker = None
    if config.reads_speaker:
        speaker = torch.from_numpy(random.standard_normal((1, 192)).astype(np.float32))
    return complete(config, LanguageModelInput(text[:length], text[length:], speech, speaker))


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def alone(model: Model, number: int, stages: Stages | None = None) -> list[int]:
    """All speech tokens of an utterance that has the language model for itself."""
    return list(speech_tokens(stages or model.plain, said(model, number), seeded(number), CPU))


def rows_of(model: Model, stages: Stages | None = None, **sizes: int) -> Rows:
    return Rows(stages or model.plain, model.settings.decoding, CPU, **{"capacity": 4, **sizes})


def test_one_row_is_one_utterance_alone(model: Model) -> None:
    """A crowd of one picks the tokens that the loop around one utterance picks."""
    rows, found = rows_of(model, capacity=1), []
    row = rows.join(said(model, 3), seeded(3))
    while row.left:
        found += [token for token in rows.step([row]) if token is not None]

    assert found == alone(model, 3)


def drawn_crowd(model: Model, stages: Stages, many: int, seed: int) -> dict[int, list[int]]:
    """Speech tokens of utterances that join in turn, are read in parts, pause and leave, in any order."""
    random, rows = np.random.default_rng(seed), rows_of(model, stages)
    waiting, taken = list(range(many)), dict[Row, int]()
    spoken: dict[int, list[int]] = {number: [] for number in range(many)}
    while waiting or taken:
        if waiting and rows.free and random.random() < 0.5:
            number = waiting.pop(0)
            taken[rows.join(said(model, number), seeded(number))] = number
        some = [row for row in taken if random.random() < 0.7]
        for row, token in zip(some, rows.step(some, most=3), strict=True):
            assert not isinstance(token, SpeechError)
            spoken[taken[row]] += [] if token is None else [token]
        for row in [row for row in taken if not row.left]:
            rows.leave(row)
            del taken[row]
    assert rows.bytes == 0 and rows.free == 4
    return spoken


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_a_crowd_says_what_each_says_alone(form: str, models: Models) -> None:
    """Whatever the cache, the same tokens are picked: numbers depend on the seed, never on neighbours."""
    family, make = FORMS[form]
    model = models[family]
    stages = make(model)

    found = drawn_crowd(model, stages, many=9, seed=5)
    assert found == {number: alone(model, number, stages) for number in range(9)}


class Forced(Rows):
    """Rows whose tokens are given, with the log-probabilities that they had."""

    def __init__(self, model: Model, stages: Stages) -> None:
        super().__init__(stages, model.settings.decoding, CPU, capacity=4)
        self.seen: dict[Row, list[Tensor]] = {}

    def _spoken(self, rows: Sequence[Row], logp: Tensor) -> list[Outcome]:
        for row, each in zip(rows, logp, strict=True):
            self.seen.setdefault(row, []).append(each)
        tokens = [int(row.rng.initial_seed()) * 31 + 7 * row.decoder.spoken for row in rows]
        return [
            row.decoder.accept(token % self.config.end_token) for row, token in zip(rows, tokens, strict=True)
        ]


def forced_crowd(
    model: Model, stages: Stages, *, schedule: int, neighbours: int, mine: int = 0
) -> Tensor:  # [S, V]
    """Log-probabilities of one utterance among others; the schedule says when each joins, steps and leaves.

    `neighbours` says which the others are; the shapes are those of the schedule.
    """
    random, rows = np.random.default_rng(schedule), Forced(model, stages)
    me: Row | None = None
    start = random.integers(0, TURNS // 2)
    for turn in range(TURNS):
        others = [row for row in rows.taken if row is not me]
        for row in others:
            if random.random() < 0.2 or not row.left:
                rows.leave(row)
        if turn == start:
            me = rows.join(said(model, mine, 5, 4), seeded(mine))
        elif random.random() < 0.6 and rows.free > (me is None):
            length, prompt, other = (int(n) for n in random.integers((2, 0, 1), (9, 9, 1000)))
            rows.join(said(model, neighbours + other, length, prompt), seeded(neighbours + other))
        rows.step([row for row in rows.taken if random.random() < 0.7 or row is me], most=5)
    assert me is not None
    return torch.stack(rows.seen[me])


@pytest.mark.parametrize("count", [8, pytest.param(INTERLEAVINGS // len(FORMS), marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", FORMS)
def test_other_neighbours_change_nothing(form: str, count: int, models: Models) -> None:
    """In calls of the same shapes an utterance is the same to the last bit, whoever is beside it."""
    family, make = FORMS[form]
    stages = make(models[family])
    for schedule in range(count):
        one, other = (
            forced_crowd(models[family], stages, schedule=schedule, neighbours=first) for first in (0, 5000)
        )
        assert torch.equal(one, other), schedule


@pytest.mark.parametrize("form", EXACT_FORMS)
def test_log_probabilities_in_a_crowd_are_those_alone(form: str, models: Models) -> None:
    """A batch and parts of a prompt add up in another order: that is all, 1e-4 for given tokens."""
    family, make = FORMS[form]
    model, stages = models[family], make(models[family])
    rows = Forced(model, stages)
    row = rows.join(said(model, 0, 5, 4), seeded(0))
    for _ in range(TURNS):
        rows.step([row])
    wanted = torch.stack(rows.seen[row])
    for schedule in range(10):
        found = forced_crowd(model, stages, schedule=schedule, neighbours=schedule)
        torch.testing.assert_close(found, wanted[: len(found)], atol=1e-4, rtol=0)


class Watched:
    """Stages of a language model that note how many positions each call reads; some calls may fail."""

    def __init__(self, stages: Stages) -> None:
        self.plain, self.reads, self.broken, self.spoilt = stages, list[tuple[str, int, int]](), 0, 0
        named = {name: partial(self.call, name) for name in ("prefill", "step", "read")}
        self.stages = stages.replacing(**named)

    def call(self, name: str, tokens: Tensor, *rest: Any) -> Tensor:
        """Run a stage; the next `broken` calls of many rows raise when all is written."""
        logp: Tensor = getattr(self.plain, name)(tokens, *rest)
        self.reads.append((name, len(tokens), tokens.numel()))
        if self.broken and len(tokens) > 1:
            self.broken -= 1
            raise ZeroDivisionError("a broken stage")
        if self.spoilt and len(tokens) > 1:
            self.spoilt -= 1
            logp = logp.clone()
            logp[1] = torch.nan
        return logp


def test_a_prompt_is_read_in_parts(model: Model) -> None:
    """Between the parts others are stepped; only CosyVoice 1 encodes its text whole, and takes no parts."""
    watched = Watched(model.plain)
    rows = rows_of(model, watched.stages)
    first = rows.join(said(model, 1), seeded(1))
    rows.step([first], most=64)
    second = rows.join(said(model, 2, 40, 20), seeded(2))
    outcomes = []
    watched.reads.clear()
    while second.left > 1:
        outcomes.append(rows.step([first, second], most=16))

    assert all(isinstance(one, int) for one, _ in outcomes)
    assert [other is None for _, other in outcomes] == [True] * (len(outcomes) - 1) + [False]
    read = [each for each in watched.reads if each[0] != "step"]
    if model.settings.decoding.takes_parts:  # 50 text tokens, 20 speech tokens, two marks
        assert read == [("read", 1, 16)] * 4 + [("read", 1, 8)]
    else:
        assert [name for name, *_ in read] == ["prefill"]


def test_a_row_that_is_not_finite_ends_alone(model: Model) -> None:
    """Where log-probabilities are not numbers the outcome is the error; the other rows of the batch go on."""
    watched = Watched(model.plain)
    rows = rows_of(model, watched.stages)
    taken = [rows.join(said(model, number), seeded(number)) for number in range(3)]
    spoken = [rows.step(taken)]
    watched.spoilt = 1
    spoken.append(rows.step(taken))
    rows.leave(taken[1])
    spoken.append(rows.step([taken[0], taken[2]]))

    assert isinstance(spoken[1][1], SpeechError)
    assert [spoken[0][0], spoken[1][0], spoken[2][0]] == alone(model, 0)[:3]
    assert [spoken[0][2], spoken[1][2], spoken[2][1]] == alone(model, 2)[:3]


def test_a_batch_that_failed_may_be_tried_again(model: Model) -> None:
    """Row by row or together: nothing was picked, no number was used up, and nothing is read twice."""
    watched = Watched(model.plain)
    rows = rows_of(model, watched.stages)
    taken = [rows.join(said(model, number), seeded(number)) for number in range(3)]
    rows.step(taken)
    watched.broken = 2
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            rows.step(taken)
    found = [rows.step([row])[0] for row in reversed(taken)][::-1]
    again = rows.step(taken)

    for number in range(3):
        assert [found[number], again[number]] == alone(model, number)[1:3]


def test_a_batch_may_fail_behind_its_steps(model: Model) -> None:
    """Where a text cannot be read, rows that were stepped before it have spoken nothing, and lose nothing."""
    rows, broken = rows_of(model), [True]

    def prefill(text: Tensor, *rest: Any) -> Tensor:
        logp = model.plain.prefill(text, *rest)
        if broken and len(rows.taken) == 2:
            raise ZeroDivisionError("a broken stage")
        return logp

    rows.stages = model.plain.replacing(prefill=prefill)
    first = rows.join(said(model, 0), seeded(0))
    spoken = rows.step([first])
    second = rows.join(said(model, 1), seeded(1))
    with pytest.raises(ZeroDivisionError):
        rows.step([first, second])
    assert first.left == 1 and second.left == second.decoder.next_input().end  # type: ignore[union-attr]
    broken.clear()
    spoken += rows.step([first])
    others = rows.step([second])
    for found, row in ((spoken, first), (others, second)):
        found += rows.step([row])

    assert spoken == alone(model, 0)[:3]
    assert others == alone(model, 1)[:2]


def test_bytes_are_known_before_a_row_is_taken(model: Model) -> None:
    """The cache is as large as was said, has room for its longest row, and is given back at the end."""
    rows, taken = rows_of(model, positions=64), []
    for number, length in enumerate((4, 30, 8)):
        decoder = said(model, number, length)
        taken.append(rows.join(decoder, seeded(number)))
        assert rows.cache is not None and rows.cache.positions >= max(64, decoder.cache_positions)
        assert len(taken) <= rows.cache.rows <= 4
        assert rows.bytes == rows.bytes_for(len(taken)) <= rows.bytes_for(4)
    assert rows.bytes_for(4) == rows.bytes  # there are four by now
    for row in taken:
        assert rows.bytes > 0
        rows.leave(row)

    assert rows.bytes == 0 and rows.free == 4


def test_rows_stay_together(model: Model) -> None:
    """The last row moves into a hole, and rows that are stepped are the first ones of the cache."""
    rows = rows_of(model)
    taken = [rows.join(said(model, number), seeded(number)) for number in range(4)]
    rows.step(taken)
    rows.leave(taken[1])
    assert [row.index for row in taken if row is not taken[1]] == [0, 2, 1]
    rows.step([taken[2]])
    assert taken[2].index == 0
    rows.step([taken[2], taken[3]])

    assert sorted([taken[2].index, taken[3].index]) == [0, 1]
    assert [row.index for row in rows.taken] == [0, 1, 2]


@pytest.mark.parametrize("family", ["cosyvoice2", "cosyvoice3"])
def test_text_may_come_while_it_is_spoken(
    family: str, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interleaved utterances in a crowd, in a cache that grows, say what each says alone."""
    monkeypatch.setattr(decoding, "FIRST_POSITIONS", 16)
    model = models[family]
    rows, config = rows_of(model), model.settings.decoding
    texts = [list(range(1 + number, 18 + 5 * number)) for number in range(3)]
    decoders = [Decoder(config, LanguageModelInput([], [], []), interleaved=True) for _ in texts]
    taken = [rows.join(decoder, seeded(number)) for number, decoder in enumerate(decoders)]
    spoken: list[list[int]] = [[], [], []]
    arriving = [deque(text) for text in texts]
    while any(row.decoder.next_input() is not Pause.FINISHED for row in taken):
        for row, text in zip(taken, arriving, strict=True):
            if row.decoder.next_input() is Pause.AWAITS_TEXT:
                row.decoder.push([text.popleft()]) if text else row.decoder.end_of_text()
        ready = [row for row in taken if row.left]
        for row, token in zip(ready, rows.step(ready, most=4), strict=True):
            assert not isinstance(token, SpeechError)
            spoken[taken.index(row)] += [] if token is None else [token]

    monkeypatch.undo()  # alone, the cache is large from the beginning
    for number, text in enumerate(texts):
        decoder = Decoder(config, LanguageModelInput([], [], []), interleaved=True)
        assert spoken[number] == list(speech_tokens(model.plain, decoder, seeded(number), CPU, text))


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 12), st.integers(0, 12), st.integers(1, 9))
def test_reading_in_parts_is_reading_at_once(model: Model, length: int, prompt: int, most: int) -> None:
    """Whatever its length, a prompt in parts of any size gives the numbers of one pass."""
    found = []
    for size in (None, most):
        rows = Forced(model, model.plain)
        row = rows.join(said(model, 3, length, prompt), seeded(3))
        while row not in rows.seen:
            rows.step([row], most=size)
        found.append(rows.seen[row][0])

    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", ["cosyvoice2", "cosyvoice3"])
def test_a_step_is_a_read_of_one_speech_token(family: str, models: Models) -> None:
    """Both stages give the same numbers, so that a single token may take the faster one."""
    stages, found = models[family].plain, []
    for name in ("step", "read"):
        cache = stages.new_cache(1, 9)
        stages.prefill(torch.tensor([[4, 5]]), torch.tensor([[6]]), cache)
        token, position, mask = torch.tensor([7]), torch.tensor([5]), torch.ones(1, 1, 1, 6) > 0
        if name == "step":
            found.append(stages.step(token, position, mask, cache))
        else:
            kind = torch.tensor([[SPEECH]])
            found.append(stages.read(token[None], kind, position[None], mask, cache))

    torch.testing.assert_close(*found, atol=1e-5, rtol=0)


def test_only_stops_are_masked() -> None:
    """Speech tokens keep their log-probabilities, each row has its own mask; with none nothing is copied."""
    logp = torch.arange(13.0).repeat(3, 1)
    found = allowed(logp, [Stops.ANY, Stops.NONE, Stops.FILL], CONFIG)
    no = [float("-inf")]

    assert torch.equal(found[0], logp[0])
    assert found[1].tolist() == [*map(float, range(10)), *no * 3]
    assert found[2].tolist() == [*map(float, range(10)), *no * 2, 12.0]
    assert allowed(logp, [Stops.ANY] * 3, CONFIG) is logp
