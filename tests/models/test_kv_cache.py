"""What every key/value cache promises, for each form: plain, in 16 bits, growing, for CUDA graphs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.models.kv_cache import KeyValueCache, RelativeCache
from tests.cache_forms import FORMS

LENGTHS = (9, 4, 13)  # of the texts of three rows
STEPS = 4


class Form:
    """One form of cache, the stages that run on it, and the plain ones."""

    def __init__(self, name: str, model: Model, stages: Stages) -> None:
        self.plain, self.stages = model.plain, stages
        self.vocabulary = model.settings.decoding.end_token
        # 16 bits round the sums of a batch and of a row alone in their own ways.
        self.tolerance = 0.1 if "half" in name else 1e-4

    def text(self, row: int) -> Tensor:  # [1, T]
        return torch.arange(LENGTHS[row])[None] + 3 * row

    def speech(self, row: int) -> Tensor:  # [1, S]
        return (torch.arange(2 * row)[None] * 37 + row) % self.vocabulary

    def end(self, row: int) -> int:
        """First position behind the prompt of a row."""
        return LENGTHS[row] + 2 * row + 2

    def prefill(self, cache: KeyValueCache, row: int) -> Tensor:  # [1, V]
        return self.stages.prefill(self.text(row), self.speech(row), cache)

    def step(
        self, cache: KeyValueCache, rows: list[int], count: int, stages: Stages | None = None
    ) -> Tensor:  # [B, V]
        """The token number `count` of these utterances, which lie in the rows of the cache."""
        token = torch.tensor([(11 * row + 5 * count) % self.vocabulary for row in rows])
        position = torch.tensor([self.end(row) + count for row in rows])
        mask = torch.arange(int(position.max()) + 1) <= position[:, None]
        return (stages or self.stages).step(token, position, mask[:, None, None], cache)

    def alone(self, row: int) -> Tensor:  # [1 + STEPS, V]
        """Log-probabilities of one utterance in a cache of its own."""
        cache = self.stages.new_cache(1, 40)
        return torch.cat([self.prefill(cache, row), *(self.step(cache, [row], n) for n in range(STEPS))])

    def check(self, found: Tensor, wanted: Tensor) -> None:
        torch.testing.assert_close(found, wanted, atol=self.tolerance, rtol=0)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, tiny: Pipeline, tiny1: Pipeline, tiny3: Pipeline) -> Form:
    family, make = FORMS[request.param]
    model = {tts.family: tts.model for tts in (tiny, tiny1, tiny3)}[family]
    return Form(request.param, model, make(model))


def test_the_sizes_are_those_that_were_asked(form: Form) -> None:
    """Rows, at least so many positions, bytes that the rows share, a type; views have as many positions."""
    cache = form.stages.new_cache(3, 40)

    assert isinstance(cache, KeyValueCache)
    assert cache.rows == 3 and cache.positions >= 40
    assert (cache.first(2).rows, cache.row(2).rows) == (2, 1)
    assert cache.first(2).positions == cache.row(2).positions == cache.positions
    assert 0 < cache.row(2).bytes <= cache.first(2).bytes < cache.bytes
    assert cache.dtype.itemsize == (2 if form.tolerance > 0.01 else 4)


def test_rows_are_each_alone(form: Form) -> None:
    """Rows that join one after another, at positions of their own, give what each gives alone."""
    cache = form.stages.new_cache(4, 40)
    found = [[form.prefill(cache.row(row), row)] for row in range(3)]
    for count in range(STEPS):
        for row, logp in enumerate(form.step(cache.first(3), [0, 1, 2], count)):
            found[row].append(logp[None])

    for row in range(3):
        form.check(torch.cat(found[row]), form.alone(row))


def test_other_neighbours_change_nothing(form: Form) -> None:
    """In calls of the same shapes a row is the same to the last bit, whatever the rows beside it hold."""
    found = []
    for rows in ([0, 1, 2], [0, 2, 1]):
        cache = form.stages.new_cache(3, 40)
        for place, row in enumerate(rows):
            form.prefill(cache.row(place), row)
        found.append(torch.stack([form.step(cache, rows, count)[0] for count in range(STEPS)]))

    assert torch.equal(*found)


def test_fewer_rows_may_go_on(form: Form) -> None:
    """A view of the first rows is written through: the whole cache goes on from what it left, and back."""
    cache, wanted = form.stages.new_cache(2, 40), [form.alone(row) for row in range(2)]
    for row in range(2):
        form.prefill(cache.row(row), row)
    form.check(form.step(cache.first(1), [0], 0), wanted[0][[1]])
    form.check(form.step(cache.row(1), [1], 0), wanted[1][[1]])
    form.check(form.step(cache, [0, 1], 1), torch.stack([wanted[0][2], wanted[1][2]]))
    form.check(form.step(cache.first(1), [0], 2), wanted[0][[3]])


def test_a_row_moves_into_a_hole(form: Form) -> None:
    """Copied to the place of one that has ended, an utterance goes on as if it had always been there."""
    cache = form.stages.new_cache(3, 40)
    for row in range(3):
        form.prefill(cache.row(row), row)
    form.step(cache, [0, 1, 2], 0)
    cache.row(0).copy_from(cache.row(2), form.end(2) + 1)
    found = form.step(cache.first(2), [2, 1], 1)

    form.check(found, torch.stack([form.alone(2)[2], form.alone(1)[2]]))


def test_positions_are_kept_and_given_back(form: Form) -> None:
    """A snapshot, put back after other tokens were written, gives the same numbers again."""
    cache, snapshot = form.stages.new_cache(2, 40), form.stages.new_cache(1, 30)
    form.prefill(cache.row(1), 1)
    snapshot.copy_from(cache.row(1), form.end(1))
    first = form.step(cache.row(1), [1], 0)
    form.prefill(cache.row(1), 2)
    cache.row(1).copy_from(snapshot, form.end(1))

    form.check(form.step(cache.row(1), [1], 0), first)


def test_a_cache_grows(form: Form) -> None:
    """A copy with more positions goes on where the cache stopped; the cache is left as it was."""
    cache = form.stages.new_cache(1, form.end(0) + 1)
    form.prefill(cache, 0)
    first = form.step(cache, [0], 0)
    wide = cache.grown(600)
    wanted = form.alone(0)

    assert type(wide) is type(cache) and wide.positions >= 600 and wide.dtype == cache.dtype
    for count in range(1, STEPS):
        form.check(form.step(wide, [0], count), wanted[[1 + count]])
    form.check(form.step(cache, [0], 0), first)


def test_a_cleared_row_may_have_held_anything(form: Form) -> None:
    """What is not a number is gone, so that a row can be used again where it is masked."""
    cache = form.stages.new_cache(2, 40)
    form.prefill(cache.row(0), 0)
    with torch.inference_mode():
        for keys, values, *_ in cache.row(1).layers():
            keys.fill_(torch.nan)
            values.fill_(torch.nan)
    cache.row(1).clear()
    found = form.prefill(cache.row(1), 1)

    form.check(found, form.alone(1)[[0]])
    form.check(form.step(cache, [0, 1], 0)[:1], form.alone(0)[[1]])


def test_plain_stages_go_on_from_any_cache(form: Form) -> None:
    """Copied to a plain cache, whatever the type, an utterance is spoken on by the plain stages."""
    cache, plain = form.stages.new_cache(2, 40), form.plain.new_cache(1, 40)
    form.prefill(cache.row(1), 1)
    plain.copy_from(cache.row(1), form.end(1))

    form.check(form.step(plain, [1], 0, form.plain), form.step(cache.row(1), [1], 0))


@pytest.mark.parametrize("form", [name for name in FORMS if "half" not in name], indirect=True)
def test_plain_stages_run_on_a_cache_of_float32_as_it_is(form: Form) -> None:
    """In turns with the stages that it was made for, each seeing what the other wrote."""
    cache, found = form.stages.new_cache(1, 100), []
    found.append(form.prefill(cache, 0))
    for count in range(STEPS):
        found.append(form.step(cache, [0], count, form.plain if count % 2 else form.stages))

    form.check(torch.cat(found), form.alone(0))


def test_rows_that_share_distances_may_be_of_any_length(tiny1: Pipeline) -> None:
    """CosyVoice 1: a short row that is copied in leaves the distances of a longer one as they are."""
    form = Form("relative", tiny1.model, tiny1.model.plain)
    cache, short = form.stages.new_cache(2, 40), form.stages.new_cache(1, 40)
    assert isinstance(cache, RelativeCache)
    form.prefill(cache.row(0), 2)
    form.prefill(short, 1)
    cache.row(1).copy_from(short, form.end(1))

    found = form.step(cache, [2, 1], 0)
    form.check(found, torch.stack([form.alone(2)[1], form.alone(1)[1]]))


def test_rows_of_different_lengths_are_read_at_once(form: Form) -> None:
    """Padded and with a mask, each row has the numbers that it has alone, then and at the next step."""
    vectors = torch.randn(3, 192, generator=torch.Generator().manual_seed(1))
    reads_speaker = isinstance(form.stages.new_cache(1, 1), RelativeCache)
    (text, text_valid), (speech, speech_valid) = (
        padded([get(row)[0] for row in range(3)]) for get in (form.text, form.speech)
    )
    valid = torch.cat([text_valid, speech_valid], dim=1)
    for speaker in (None, vectors) if reads_speaker else (None,):
        cache, next_token = form.stages.new_cache(3, 40), int(speaker is not None)
        found = form.stages.prefill(text, speech, cache, speaker, valid)
        prefilled, stepped = [], []
        for row in range(3):
            own, vector = form.stages.new_cache(1, 40), None if speaker is None else speaker[[row]]
            prefilled.append(form.stages.prefill(form.text(row), form.speech(row), own, vector))
            stepped.append(form.step(own, [row], next_token))

        form.check(found, torch.cat(prefilled))
        form.check(form.step(cache, [0, 1, 2], next_token), torch.cat(stepped))


def padded(rows: list[Tensor]) -> tuple[Tensor, Tensor]:  # [B, T] and which of it is valid [B, T]
    """Rows of tokens side by side, zeros behind the shorter ones."""
    valid = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), valid.bool()
