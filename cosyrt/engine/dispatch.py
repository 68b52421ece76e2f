"""The next turn of many requests: whom it serves, who shares its call, and how it is run.

The schedule says who is served. Whoever can share that call for little does: rows of the language model that
speak, streams whose chunk waits for the same stage, as long as nobody who has begun comes late by it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import inf
from typing import NamedTuple

import torch

from cosyrt.engine.active import SEEDS, Active, Work
from cosyrt.engine.need import Need
from cosyrt.engine.schedule import Claim, Costs, Due, dues_of, in_time, urgent
from cosyrt.engine.turns import Came, settle, work
from cosyrt.engine.utterance import Utterance

PART_POSITIONS = 64  # of a text that are read in one turn, so that a long one stalls nobody
PACKED = 4  # streams in one call of the flow
FEWER_S = 60.0  # that batches stay small after memory ran out
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is run next, for whom."""

    need: Need
    members: list[Active]
    most: int | None = None  # positions of a text that are read of each; None: all
    alone: bool = False  # nobody could do anything beside it: it may have all cores

    @property
    def utterances(self) -> list[Utterance]:
        """Utterances of its members."""
        return [each.utterance for each in self.members if each.utterance is not None]


class Done(NamedTuple):
    """What a turn that was run has brought."""

    came: list[Came]  # for each member
    sizes: dict[Work, int]  # how much work of each kind it was
    took_s: float | None  # None: it failed, and was run one by one


class Dispatcher:
    """Chooses turns and runs them, one at a time or one in each of several workers; learns what they cost.

    `run` may be called by any worker. All else is called by one at a time.
    """

    def __init__(
        self, *, groups_vocoder: bool = False, workers: int = 1, seeds: Mapping[Work, float] = SEEDS
    ) -> None:
        self.groups_vocoder = groups_vocoder  # whose calls are alike; a processor gains nothing by it
        self.workers = workers
        self.under_way: list[Turn] = []
        self.costs: Costs[Work] = Costs(seeds)
        self._most = 2**31  # members of a turn
        self._fewer_until_s = 0.0

    @property
    def reads(self) -> bool:
        """Whether rows are being read: no other may be read, join or leave meanwhile."""
        return any(turn.need is Need.READ for turn in self.under_way)

    def choose(self, ready: Sequence[Active], now_s: float) -> Turn | None:
        """The next turn of these; None where there is nothing to do, or others are at it."""
        if not self.reads:
            for each in ready:
                each.look()
        if len(ready) == 1 and self._may_begin(ready[0]) and ready[0].utterance is not None:
            need = ready[0].utterance.need  # there is nobody to reckon with
            return Turn(need, list(ready), alone=self._leaves_nothing(ready[0], need))
        readers = max(1, sum(map(_steps, ready)))
        claims = [replace(each.claim(self.costs, readers), ready=self._may_begin(each)) for each in ready]
        place = urgent(claims, now_s, self.workers)
        if place is None:
            return self._ahead(ready, now_s)
        lead = ready[place]
        assert lead.utterance is not None
        crowd = _Crowd(list(zip(ready, claims, strict=True)), place, now_s, self.workers)
        need = lead.utterance.need
        members = [lead, *([] if lead.exact else self._companions(lead, need, crowd))]
        in_parts = len(ready) > 1 and not lead.exact
        return Turn(need, members[: self._limit(now_s)], PART_POSITIONS if in_parts else None)

    def _may_begin(self, active: Active) -> bool:
        """Whether a worker may do what the audio of a request needs next."""
        if active.at_work or active.utterance is None:
            return False
        return not (active.utterance.need is Need.READ and self.reads)

    def _leaves_nothing(self, active: Active, need: Need) -> bool:
        """Whether another worker could do nothing beside a turn of one that is alone.

        A token is read as fast on a share of the cores.
        """
        if self.workers == 1 or self.under_way or need is Need.READ:
            return False
        return not active.left or _awaits_first(active)

    def _ahead(self, ready: Sequence[Active], now_s: float) -> Turn | None:
        """Speech tokens for later, while there is no other work; not beside the first audio of one alone."""
        rows = [each for each in ready if each.left and not each.exact]
        if self.reads or not rows or (len(ready) == 1 and _awaits_first(ready[0])):
            return None
        members = [each for each in rows if each.left == 1] or rows[:1]
        return Turn(Need.READ, members[: self._limit(now_s)], PART_POSITIONS)

    def is_free(self, active: Active) -> bool:
        """Whether all state of a request may be dropped: no worker is at it, or at the rows."""
        return not (active.at_work or self.reads)

    def abandon(self) -> None:
        """Forget what was under way: no worker is left."""
        for turn in self.under_way:
            for utterance in turn.utterances:
                utterance.at_work = False
        self.under_way = []

    def start(self, turn: Turn) -> None:
        """Note that a worker is about to run a turn."""
        self.under_way.append(turn)
        if turn.need is not Need.READ:
            for utterance in turn.utterances:
                utterance.at_work = True

    def finish(self, turn: Turn, done: Done) -> dict[Active, Exception]:
        """Let all go on whose turn was run; returned are the errors of those that failed."""
        self.under_way = [each for each in self.under_way if each is not turn]
        if turn.need is not Need.READ:
            for utterance in turn.utterances:
                utterance.at_work = False
        if done.took_s is not None and not turn.alone:  # with all cores, which tells nothing of a crowd
            self._learn(done.sizes, done.took_s)
        failures = settle(turn.need, turn.utterances, done.came)
        return {each: failures[each.utterance] for each in turn.members if each.utterance in failures}

    def _companions(self, lead: Active, need: Need, crowd: _Crowd) -> Iterable[Active]:
        """Who shares the call of the lead."""
        assert lead.utterance is not None
        others = [each for each in crowd.others if not each.exact]
        match need:
            case Need.READ if lead.row is not None:
                yield from filter(_steps, others)
                yield from self._text_of_another(others, crowd)
            case Need.ENCODE | Need.SOLVE if lead.utterance.packs:
                yield from crowd.as_time_allows(each for each in others if _needs(each, need))
            case Need.VOCODE if self.groups_vocoder:
                yield from crowd.as_time_allows(each for each in others if _fits_call(each, lead.utterance))

    def _text_of_another(self, others: Sequence[Active], crowd: _Crowd) -> Iterable[Active]:
        """One whose text is read, so that it speaks with the others soon; where there is time for it."""
        for each in others:
            if each.left > 1:
                part_s = self.costs.predict(Work.PREFILL, min(each.left, PART_POSITIONS))
                if crowd.has_time(part_s):
                    yield each
                return

    def run(self, turn: Turn) -> Done:
        """Do the work of a turn. A batch that raises is run again one by one, once."""
        sizes, began_s = _sizes(turn), time.monotonic()
        try:
            came = work(turn.need, turn.utterances, turn.most)
        except Exception as error:
            self._note(error, len(turn.members))
            return Done(self._one_by_one(turn, error), sizes, None)
        return Done(came, sizes, time.monotonic() - began_s)

    def _one_by_one(self, turn: Turn, error: Exception) -> list[Came]:
        if len(turn.members) == 1:
            return [error]
        log.warning("a batch of %d failed, it is run one by one: %r", len(turn.members), error)
        return [self._own(turn, utterance) for utterance in turn.utterances]

    def _own(self, turn: Turn, utterance: Utterance) -> Came:
        try:
            return work(turn.need, [utterance], turn.most)[0]
        except Exception as error:
            return error

    def _note(self, error: Exception, members: int) -> None:
        """Halve the batch for a while where memory ran out."""
        if is_out_of_memory(error):
            self._most = max(1, members // 2)
            self._fewer_until_s = time.monotonic() + FEWER_S

    def _limit(self, now_s: float) -> int:
        return self._most if now_s < self._fewer_until_s else 2**31

    def _learn(self, sizes: dict[Work, int], took_s: float) -> None:
        """Note what a turn took; of a text that was read beside rows that spoke, what is beyond those."""
        if Work.PREFILL in sizes and Work.STEP in sizes:
            took_s = max(0.0, took_s - self.costs.predict(Work.STEP, sizes.pop(Work.STEP)))
        for kind, size in sizes.items():
            self.costs.add(kind, size, took_s)


class _Crowd:
    """All that are ready, and how much time the turn of one of them has."""

    def __init__(self, ready: list[tuple[Active, Claim]], lead: int, now_s: float, workers: int) -> None:
        self.ready, self.now_s, self.workers = ready, now_s, workers
        self.spent = ready[lead][1]  # with the companions so far
        self.others = [active for place, (active, _) in enumerate(ready) if place != lead]
        self.begun = [
            claim for place, (_, claim) in enumerate(ready) if claim.deadline_s is not None and place != lead
        ]

    def has_time(self, work_s: float) -> bool:
        """Whether all that have begun come in time after so much work more, the lead among them."""
        deadline_s = inf if self.spent.deadline_s is None else self.spent.deadline_s
        lead = Due(deadline_s, self.spent.work_s + work_s, self.spent.shared_s)
        dues = sorted(due for claim in self.begun for due in islice(dues_of(claim, self.now_s), 1))
        return in_time([lead, *dues], self.now_s, workers=self.workers)

    def as_time_allows(self, candidates: Iterable[Active]) -> Iterable[Active]:
        """The most urgent of these, as long as nobody who has begun comes late."""
        claims = dict(self.ready)
        found = 1
        for each in sorted(candidates, key=lambda each: claims[each].deadline_s or float("inf")):
            claim = claims[each]
            if found == PACKED:
                return
            self.begun = [other for other in self.begun if other is not claim]
            if not self.has_time(claim.work_s):
                return
            self.spent = replace(self.spent, work_s=self.spent.work_s + claim.work_s)
            found += 1
            yield each


def _awaits_first(active: Active) -> bool:
    """Whether a listener waits for the first audio of a stream."""
    return active.playback.began_s is None and active.ticket.request.streamed


def _steps(active: Active) -> bool:
    """Whether its row can take a step in a batch."""
    return active.left == 1 and not active.exact


def _needs(active: Active, need: Need) -> bool:
    return active.utterance is not None and not active.at_work and active.utterance.need is need


def _fits_call(active: Active, lead: Utterance) -> bool:
    """Whether its vocoder call has the sizes of the lead's."""
    call = None if active.utterance is None or active.at_work else active.utterance.audio.call
    return call is not None and lead.audio.call is not None and call.is_like(lead.audio.call)


def _sizes(turn: Turn) -> dict[Work, int]:
    """How much work of each kind a turn is."""
    if turn.need is Need.READ:
        left = [each.row.left if each.row is not None else 1 for each in turn.members]
        text = sum(min(each, turn.most or each) for each in left if each > 1)
        sizes = {Work.STEP: sum(each == 1 for each in left), Work.PREFILL: text}
        return {kind: size for kind, size in sizes.items() if size}
    if turn.need is Need.READ_AGAIN:
        return {Work.STEP: len(turn.members)}
    kind = {Need.ENCODE: Work.ENCODE, Need.SOLVE: Work.SOLVE, Need.VOCODE: Work.VOCODE}[turn.need]
    return {kind: sum(each.frames for each in turn.members)}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on a device or on the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )
