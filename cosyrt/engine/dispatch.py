"""The next turn of many requests: whom it serves, who shares its call, and how it is run.

The schedule says who is served. Whoever can share that call for little does: rows of the language model that
speak, streams whose chunk waits for the same stage, as long as nobody who has begun comes late by it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from cosyrt.engine.active import SEEDS, Active, Work
from cosyrt.engine.need import Need
from cosyrt.engine.schedule import Claim, Costs, in_time, urgent
from cosyrt.engine.turns import Failures, take_turn
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


class Dispatcher:
    """Chooses turns and runs them; learns what they cost."""

    def __init__(self, *, groups_vocoder: bool = False) -> None:
        self.groups_vocoder = groups_vocoder  # whose calls are alike; a processor gains nothing by it
        self.costs: Costs[Work] = Costs(SEEDS)
        self._most = 2**31  # members of a turn
        self._fewer_until_s = 0.0

    def choose(self, ready: Sequence[Active], now_s: float) -> Turn | None:
        """The next turn of these; None where there is nothing to do."""
        readers = max(1, sum(map(_steps, ready)))
        claims = [each.claim(self.costs, readers) for each in ready]
        place = urgent(claims, now_s)
        if place is None:
            return None
        lead, crowd = ready[place], _Crowd(list(zip(ready, claims, strict=True)), place, now_s)
        assert lead.utterance is not None
        need = lead.utterance.need
        members = [lead, *([] if lead.exact else self._companions(lead, need, crowd))]
        in_parts = len(ready) > 1 and not lead.exact
        return Turn(need, members[: self._limit(now_s)], PART_POSITIONS if in_parts else None)

    def _companions(self, lead: Active, need: Need, crowd: _Crowd) -> Iterable[Active]:
        """Who shares the call of the lead."""
        assert lead.utterance is not None
        others = [each for each in crowd.others if not each.exact]
        match need:
            case Need.READ if lead.row is not None and lead.utterance.audio.retry is None:
                yield from filter(_steps, others)
                yield from self._text_of_another(others, crowd)
            case Need.ENCODE | Need.SOLVE if lead.utterance.packs:
                yield from crowd.as_time_allows(each for each in others if _needs(each, need))
            case Need.VOCODE if self.groups_vocoder:
                yield from crowd.as_time_allows(each for each in others if _fits_call(each, lead.utterance))

    def _text_of_another(self, others: Sequence[Active], crowd: _Crowd) -> Iterable[Active]:
        """One whose text is read, so that it speaks with the others soon; where there is time for it."""
        for each in others:
            if each.row is not None and each.row.left > 1 and not _is_retrying(each):
                part_s = self.costs.predict(Work.PREFILL, min(each.row.left, PART_POSITIONS))
                if crowd.has_time(part_s):
                    yield each
                return

    def run(self, turn: Turn) -> dict[Active, Exception]:
        """Run a turn; returned are the errors of those that failed.

        A batch that raises is run again one by one, once. Where memory ran out batches stay small a while.
        """
        active = {each.utterance: each for each in turn.members if each.utterance is not None}
        sizes, began_s = _sizes(turn), time.monotonic()
        try:
            failures = take_turn(turn.need, list(active), turn.most)
        except Exception as error:
            self._note(error, len(active))
            failures = self._one_by_one(turn, list(active), error)
        else:
            self._learn(sizes, time.monotonic() - began_s)
        return {active[utterance]: error for utterance, error in failures.items()}

    def _one_by_one(self, turn: Turn, utterances: Sequence[Utterance], error: Exception) -> Failures:
        if len(utterances) == 1:
            return {utterances[0]: error}
        log.warning("a batch of %d failed, it is run one by one: %r", len(utterances), error)
        failures = Failures()
        for utterance in utterances:
            try:
                failures |= take_turn(turn.need, [utterance], turn.most)
            except Exception as own:
                failures[utterance] = own
        return failures

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
        for work, size in sizes.items():
            self.costs.add(work, size, took_s)


class _Crowd:
    """All that are ready, and how much time the turn of one of them has."""

    def __init__(self, ready: list[tuple[Active, Claim]], lead: int, now_s: float) -> None:
        self.ready, self.now_s = ready, now_s
        self.spent = ready[lead][1]  # with the companions so far
        self.others = [active for place, (active, _) in enumerate(ready) if place != lead]
        self.begun = sorted(
            (
                claim
                for place, (_, claim) in enumerate(ready)
                if claim.deadline_s is not None and place != lead
            ),
            key=lambda claim: claim.deadline_s or 0.0,
        )

    def has_time(self, work_s: float) -> bool:
        """Whether all that have begun come in time after so much work more, the lead among them."""
        spent = replace(self.spent, work_s=self.spent.work_s + work_s)
        return in_time([spent, *self.begun], self.now_s)

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


def _steps(active: Active) -> bool:
    """Whether its row can take a step in a batch."""
    return active.row is not None and active.row.left == 1 and not (active.exact or _is_retrying(active))


def _is_retrying(active: Active) -> bool:
    """Whether it reads a piece again, in a cache of its own."""
    return active.utterance is not None and active.utterance.audio.need is Need.READ


def _needs(active: Active, need: Need) -> bool:
    return active.utterance is not None and active.utterance.need is need


def _fits_call(active: Active, lead: Utterance) -> bool:
    """Whether its vocoder call has the sizes of the lead's."""
    call = None if active.utterance is None else active.utterance.audio.call
    return call is not None and lead.audio.call is not None and call.is_like(lead.audio.call)


def _sizes(turn: Turn) -> dict[Work, int]:
    """How much work of each kind a turn is."""
    if turn.need is Need.READ:
        left = [each.row.left if each.row is not None else 1 for each in turn.members]
        text = sum(min(each, turn.most or each) for each in left if each > 1)
        sizes = {Work.STEP: sum(each == 1 for each in left), Work.PREFILL: text}
        return {work: size for work, size in sizes.items() if size}
    work = {Need.ENCODE: Work.ENCODE, Need.SOLVE: Work.SOLVE, Need.VOCODE: Work.VOCODE}[turn.need]
    return {work: sum(each.frames for each in turn.members)}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on a device or on the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )
