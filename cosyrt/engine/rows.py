"""Several utterances in one language model: rows of one key/value cache, read in one batch.

An utterance that joins has a row until it leaves. One call of `step` reads the next input of any of them:
speech tokens in one batch, prompts and text one row after another and, where the caller says so, in parts, so
that a long prompt stalls nobody. A token takes one uniform number of its utterance's own generator: whoever
its neighbours are, an utterance is what it is alone.

Occupied rows lie together: the last one moves into the hole that another leaves. Rows that are stepped in one
batch are the first ones, so that the batch is a view of the cache and nothing is copied from step to step.

Shapes: B rows of a batch · T positions of an input · K positions that are shown · W window of recent tokens ·
V speech vocabulary with stops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cosyrt.engine.decoding import (
    Decoder,
    DecodingConfig,
    Input,
    Pause,
    PrefillInput,
    ReadInput,
    StepInput,
    Stops,
)
from cosyrt.engine.sampling import NOTHING, distribution, pick, uniforms
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError
from cosyrt.models.kv_cache import KeyValueCache

Outcome = int | SpeechError | None  # of a row: its speech token; why it is over; None: nothing was spoken


@dataclass(slots=True, eq=False)
class Row:
    """One utterance, and what it has in the cache."""

    decoder: Decoder
    rng: torch.Generator
    recent: deque[int]  # W speech tokens spoken last, NOTHING where there are none yet
    index: int  # row of the cache
    filled: int = 0  # positions that were read

    @property
    def left(self) -> int:
        """Positions to read before the next token: 1 for a step, 0 while the decoder pauses."""
        given = self.decoder.next_input()
        return 0 if isinstance(given, Pause) else given.end - self.filled

    def next_part(self, most: int | None) -> Input:
        """The input, or the rest of it, as far as `most` positions go; None: as far as there are any."""
        given = self.decoder.next_input()
        assert not isinstance(given, Pause), given.value
        if isinstance(given, StepInput):
            return given
        left = given.end - self.filled
        most = left if most is None or not self.decoder.config.takes_parts else most
        if self.filled == given.start and left <= most:
            return given
        mixed = given.mixed() if isinstance(given, PrefillInput) else given
        return mixed.part(self.filled, most)


class Rows:
    """The rows of one cache, at most `capacity`, which is there as long as any row is taken.

    It is made with room for one row, of `positions` or of all that this row may use. When a row needs more
    positions, all rows get more; when more rows are taken, there are twice as many.
    """

    def __init__(
        self,
        stages: Stages,
        config: DecodingConfig,
        device: torch.device,
        *,
        capacity: int = 1,
        positions: int = 0,
    ) -> None:
        self.stages, self.config, self.device = stages, config, device
        self.capacity, self.positions = capacity, positions
        self.longest = 1  # positions that any row has wanted so far
        self.taken: list[Row] = []  # by index
        self.cache: KeyValueCache | None = None

    @property
    def free(self) -> int:
        """Number of rows that are not taken."""
        return self.capacity - len(self.taken)

    @property
    def bytes(self) -> int:
        """Size of the cache in bytes; 0 while no row is taken."""
        return 0 if self.cache is None else self.cache.bytes

    def bytes_for(self, rows: int) -> int:
        """Size of the cache in bytes once so many rows are taken, none longer than the longest so far."""
        cache = self.cache or self.stages.new_cache(1, 1)
        positions = self._rows_for(rows) * self._positions_for(self.longest)
        return cache.bytes * positions // (cache.rows * cache.positions)

    def join(self, decoder: Decoder, rng: torch.Generator) -> Row:
        """Take a row for an utterance, with room for all that it may use, as far as that is known."""
        assert self.free, "every row is taken"
        window = self.config.sampling.window
        row = Row(decoder, rng, deque([NOTHING] * window, window), len(self.taken))
        self._with_room(decoder.cache_positions, len(self.taken) + 1)
        self.taken.append(row)
        return row

    def leave(self, row: Row) -> None:
        """Give a row back, whether its utterance is over or not; the last one moves to its place."""
        last = self.taken.pop()
        if last is not row:
            assert self.cache is not None
            self.cache.row(row.index).copy_from(self.cache.row(last.index), last.filled)
            self.taken[row.index], last.index = last, row.index
        if not self.taken:
            self.cache = None

    def step(self, rows: Sequence[Row], most: int | None = None) -> list[Outcome]:
        """Read the next input of each row, at most that many positions of it, and pick the tokens behind.

        Rows whose decoders pause may not be among them. Should a stage raise, the same rows may be tried
        again, one by one or with others.
        """
        found: dict[Row, Outcome] = dict.fromkeys(rows)
        for together, logp in self._all_read(rows, most):
            ready = [row for row in together if not row.left]
            if ready:
                found.update(zip(ready, self._spoken(ready, logp), strict=True))
        return list(found.values())

    def log_probabilities(self, rows: Sequence[Row]) -> Tensor:  # [B, V]
        """Read all of the next input of each row; no token is picked."""
        found = {
            row: logp
            for together, batch in self._all_read(rows, None)
            for row, logp in zip(together, batch, strict=True)
        }
        return torch.stack([found[row] for row in rows])

    def _all_read(self, rows: Sequence[Row], most: int | None) -> list[tuple[list[Row], Tensor]]:
        """Read the next input of each row, or of none: where a call raises, nothing counts as read."""
        before = [row.filled for row in rows]
        try:
            return list(self._reads(rows, most))
        except BaseException:
            for row, filled in zip(rows, before, strict=True):
                row.filled = filled
            raise

    def _reads(self, rows: Sequence[Row], most: int | None) -> Iterator[tuple[list[Row], Tensor]]:
        """Rows that are read in one call, and their log-probabilities."""
        parts = {row: row.next_part(most) for row in rows}
        steps = {row: part for row, part in parts.items() if isinstance(part, StepInput)}
        if steps:
            yield self._step(steps)
        for row, part in parts.items():
            if not isinstance(part, StepInput):
                yield [row], self._read(row, part)

    def _step(self, steps: dict[Row, StepInput]) -> tuple[list[Row], Tensor]:  # [B, V]
        """Read one token of each row in one call, and give the rows in the order of the batch."""
        cache = self._with_room(max(step.end for step in steps.values()))
        self._bring_to_front(steps)
        rows = self.taken[: len(steps)]
        given = torch.tensor([[steps[row].token, steps[row].position] for row in rows], device=self.device)
        token, position = given.unbind(1)
        mask = shown(position, [step.end for step in steps.values()])
        first = cache if len(rows) == cache.rows else cache.first(len(rows))
        logp = self.stages.step(token, position, mask, first)
        for row in rows:
            row.filled = steps[row].end
        return rows, logp

    def _read(self, row: Row, part: PrefillInput | ReadInput) -> Tensor:  # [1, V]
        """Read a prompt, or text and speech in any order, in one call."""
        cache = self._with_room(part.end)
        own = cache if cache.rows == 1 else cache.row(row.index)
        logp = self._prefilled(part, own) if isinstance(part, PrefillInput) else self._mixed(part, own)
        row.filled = part.end
        return logp

    def _prefilled(self, given: PrefillInput, cache: KeyValueCache) -> Tensor:  # [1, V]
        text = torch.tensor([given.text], device=self.device)
        speech = torch.tensor([given.speech], dtype=torch.long, device=self.device)
        speaker = () if given.speaker is None else (given.speaker,)
        return self.stages.prefill(text, speech, cache, *speaker)

    def _mixed(self, given: ReadInput, cache: KeyValueCache) -> Tensor:  # [1, V]
        numbers, kinds = (torch.tensor([each], device=self.device) for each in (given.numbers, given.kinds))
        positions = torch.arange(given.start, given.end, device=self.device)[None]
        mask = torch.arange(given.end, device=self.device) <= positions[0, :, None]
        return self.stages.read(numbers, kinds, positions, mask[None, None], cache)

    @torch.inference_mode()
    def _spoken(
        self,
        rows: Sequence[Row],
        logp: Tensor,  # [B, V]
    ) -> list[Outcome]:
        """Pick a token for each row, and let its decoder have it."""
        logp = allowed(logp, [row.decoder.stops for row in rows], self.config)
        recent = torch.tensor([row.recent for row in rows], device=self.device)
        chances = distribution(logp, recent, self.config.sampling)
        tokens = pick(chances, uniforms([row.rng for row in rows], self.device)).tolist()
        return [accepted(row, token) for row, token in zip(rows, tokens, strict=True)]

    def _with_room(self, positions: int, rows: int = 1) -> KeyValueCache:
        """The cache, made or grown so that it has room for so many rows of that many positions."""
        self.longest = max(self.longest, positions)
        length, rows = self._positions_for(positions), self._rows_for(rows)
        if self.cache is None:
            self.cache = self.stages.new_cache(rows, length)
        elif rows > self.cache.rows:
            self.cache = self._copied(self.cache, self.stages.new_cache(rows, length))
        elif length > self.cache.positions:
            self.cache = self.cache.grown(length)
        return self.cache

    def _copied(self, cache: KeyValueCache, larger: KeyValueCache) -> KeyValueCache:
        """The larger cache, with what the rows that are taken have in the other one."""
        for row in self.taken:
            larger.row(row.index).copy_from(cache.row(row.index), row.filled)
        return larger

    def _positions_for(self, wanted: int) -> int:
        """Positions of the cache once a row wants so many: it doubles, so that it seldom grows."""
        if self.cache is None:
            return max(self.positions, wanted)
        there = self.cache.positions
        return there if wanted <= there else max(2 * there, wanted)

    def _rows_for(self, wanted: int) -> int:
        """Rows of the cache once so many are taken: they double, too."""
        there = 0 if self.cache is None else self.cache.rows
        return there if wanted <= there else min(max(2 * there, wanted), self.capacity)

    def _bring_to_front(self, rows: Collection[Row]) -> None:
        """Make these rows the first ones; those that are in their way change places with them."""
        holes = [row.index for row in self.taken[: len(rows)] if row not in rows]
        behind = [row.index for row in rows if row.index >= len(rows)]
        for hole, index in zip(holes, behind, strict=True):
            self._swap(hole, index, max(self.taken[hole].filled, self.taken[index].filled))

    @torch.inference_mode()
    def _swap(self, one: int, other: int, positions: int) -> None:
        """Let two rows change places, with that many positions of each."""
        assert self.cache is not None
        layers = zip(self.cache.row(one).layers(), self.cache.row(other).layers(), strict=True)
        for tensors in layers:
            for ours, theirs in zip(*tensors, strict=True):
                kept = ours[:, :, :positions].clone()
                ours[:, :, :positions] = theirs[:, :, :positions]
                theirs[:, :, :positions] = kept
        taken = self.taken
        taken[one], taken[other] = taken[other], taken[one]
        taken[one].index, taken[other].index = one, other


def shown(
    position: Tensor,  # [B]
    ends: Collection[int],  # the same positions plus one, on the host
) -> Tensor:  # bool [B, 1, 1, longest end]
    """Which positions each row of a step sees: all up to its own."""
    longest = max(ends)
    if longest == min(ends):
        return torch.ones(len(ends), 1, 1, longest, dtype=torch.bool, device=position.device)
    return torch.arange(longest, device=position.device) <= position[:, None, None, None]


def accepted(row: Row, token: int) -> Outcome:
    """The speech token that a decoder takes; an error that ends its row alone."""
    try:
        spoken = row.decoder.accept(token)
    except SpeechError as error:
        return error
    if spoken is not None:
        row.recent.append(spoken)
    return spoken


def allowed(
    logp: Tensor,  # [B, V]
    stops: Sequence[Stops],  # of each row
    config: DecodingConfig,
) -> Tensor:  # [B, V]
    """Mask the stop tokens that may not come next."""
    if all(each is Stops.ANY for each in stops):
        return logp
    masked = logp.clone()
    for row, each in enumerate(stops):
        if each is not Stops.ANY:
            masked[row, config.end_token :] = float("-inf")
        if each is Stops.FILL:
            masked[row, config.fill_token] = logp[row, config.fill_token]
    return masked
