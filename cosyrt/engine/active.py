"""One request while the scheduler serves it: its ticket, its text, its utterance, and what it will cost."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cached_property
from statistics import median

from cosyrt.audio import Audio
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.feed import Feed
from cosyrt.engine.model import Model
from cosyrt.engine.need import Need
from cosyrt.engine.rows import Row
from cosyrt.engine.schedule import FIRST_AUDIO_S, PATIENCE_S, Claim, Costs, Later, Playback
from cosyrt.engine.ticket import Ticket, TicketState
from cosyrt.engine.token_stream import TokenStream
from cosyrt.engine.utterance import Utterance

AHEAD_TOKENS = 250  # speech tokens that may wait for their chunk: 10 s
MARGIN = 1.2  # of time, for what takes longer than it should
PIECE_TOKENS = 100  # of a piece whose length is not known


class Work(Enum):
    """What is run, and what its size is counted in."""

    PREFILL = "positions of a text"
    STEP = "rows that take a step"
    ENCODE = "mel frames of a chunk that is encoded"
    SOLVE = "mel frames of an Euler step"
    VOCODE = "mel frames of a chunk that becomes samples"


# Seconds of each for a size of 1, until they are measured.
SEEDS = {Work.PREFILL: 2e-4, Work.STEP: 2e-3, Work.ENCODE: 2e-4, Work.SOLVE: 7e-4, Work.VOCODE: 1e-3}
STAGES = {
    Work.PREFILL: "prefill",
    Work.STEP: "step",
    Work.ENCODE: "encode",
    Work.SOLVE: "velocity",
    Work.VOCODE: "vocode",
}


def seeds_of(model: Model) -> dict[Work, float]:
    """Seconds of each kind of work for a size of 1: as measured with the plan of the model, else a guess."""
    flow, rates = model.settings.flow, model.settings.rates
    units = {  # of a call's size, in one of the work's
        Work.PREFILL: 1.0,
        Work.ENCODE: 1 / rates.frames(1),
        Work.SOLVE: flow.branches * flow.mel_bins,
        Work.VOCODE: flow.mel_bins,
    }
    seeds = dict(SEEDS)
    for work, stage in STAGES.items():
        calls = model.calls.get(stage, ())
        each_s = [seconds if work is Work.STEP else seconds * units[work] / size for size, seconds in calls]
        if each_s:
            seeds[work] = median(each_s)
    return seeds


class Active:
    """A request that is served; without an utterance until its text has been opened."""

    def __init__(self, ticket: Ticket, feed: Feed) -> None:
        self.ticket, self.feed = ticket, feed
        self.utterance: Utterance | None = None
        self.playback = Playback()
        self.served_s = ticket.submitted  # when it last had new audio
        self.left = 0  # positions that its row has to read next, when it was last looked at

    @property
    def exact(self) -> bool:
        """Whether it shares no batch."""
        return self.ticket.request.exact

    def read_text(self) -> None:
        """Give the utterance what is there of its text, as far as it needs it.

        Raises:
            Exception: what went wrong when the text was opened or read.
        """
        utterance = self.utterance
        while utterance is not None and utterance.tokens.need is Need.TEXT and self.feed.ready:
            if len(utterance.tokens.made) >= AHEAD_TOKENS:
                return
            utterance.push(self.feed.take())

    def may_run(self, queued_audio_s: float) -> bool:
        """Whether there is something to run for it; it is parked while its reader has enough."""
        parked = self.ticket.unread_s >= queued_audio_s
        self.ticket.move(TicketState.PARKED if parked else TicketState.ACTIVE)
        return not parked and self.utterance is not None and self.utterance.need is not Need.TEXT

    @property
    def row(self) -> Row | None:
        """The row of the language model that it reads, unless its tokens are far ahead of its audio."""
        tokens = None if self.utterance is None else self.utterance.tokens
        if not isinstance(tokens, TokenStream) or len(tokens.made) >= AHEAD_TOKENS:
            return None
        return tokens.row if tokens.need is Need.READ else None

    def look(self) -> None:
        """Note what its row has to read; not while any row is read, for that changes it."""
        self.left = 0 if self.row is None else self.row.left

    @property
    def at_work(self) -> bool:
        """Whether a turn of its audio is under way."""
        return self.utterance is not None and self.utterance.at_work

    def settle(self, now_s: float) -> float:
        """Give what was made to the reader; return how many seconds of audio that is."""
        assert self.utterance is not None
        made_s = 0.0
        while self.utterance.made:
            made = self.utterance.made.popleft()
            if isinstance(made, SpokenPiece):
                self.ticket.pieces.append(made)
                continue
            audio = Audio(made, self.utterance.model.settings.rates.sample_hz)
            self.playback.give(audio.seconds, now_s)
            self.ticket.give(audio, self.playback.gap_s)
            self.served_s, made_s = now_s, made_s + audio.seconds
        if not self.at_work and self.utterance.need is Need.NOTHING:
            self.ticket.end(TicketState.DONE)
        return made_s

    def claim(self, costs: Costs[Work], readers: int) -> Claim:
        """The claim that it has on the device, where so many rows are read together."""
        streamed = self.ticket.request.streamed
        shared_s = self.shared_s(costs, readers)
        alone = self.exact or self.row is None
        return Claim(
            arrived_s=self.ticket.submitted,
            work_s=MARGIN * (self.work_s(costs) + shared_s * alone),
            shared_s=MARGIN * shared_s * (not alone),
            deadline_s=self.playback.ends_s if streamed else self.served_s + PATIENCE_S,
            later=tuple(self.later(costs, readers)) if streamed else (),
            key=self.ticket.key,
        )

    def later(self, costs: Costs[Work], readers: int) -> Iterator[Later]:
        """The chunks behind the next one, as long as they grow, should its piece be so long."""
        assert self.utterance is not None
        settings, tokens = self.utterance.model.settings, self.utterance.audio.chunk_tokens
        if tokens not in self.hops:
            return  # the rest of a piece
        token_s = 1 / settings.rates.token_hz / self.ticket.request.speed
        step_s = costs.slowest(Work.STEP, 1 if self.exact else readers)
        ahead = len(self.utterance.tokens.made)
        given_s = FIRST_AUDIO_S if self.playback.began_s is None else tokens * token_s
        for hop in self.hops[self.hops.index(tokens) + 1 :]:
            missing, ahead = max(0, hop - ahead), max(0, ahead - hop)
            work_s = self.chunk_s(costs, settings.rates.frames(hop))
            yield Later(given_s, MARGIN * work_s, MARGIN * missing * step_s)
            given_s = hop * token_s

    @cached_property
    def hops(self) -> list[int]:
        """Speech tokens of the chunks of a piece, up to the first that has the length of all later ones."""
        assert self.utterance is not None
        prompt_tokens = self.utterance.audio.condition.tokens.shape[1]
        boundaries = self.utterance.model.settings.chunking.boundaries(prompt_tokens)
        hops = [next(boundaries)]
        before = hops[0]
        for boundary in boundaries:
            if len(hops) > 1 and boundary - before == hops[-1]:
                return hops
            hops.append(boundary - before)
            before = boundary
        return hops

    def chunk_s(self, costs: Costs[Work], frames: int) -> float:
        """Seconds of work for a chunk, once the tokens are there."""
        assert self.utterance is not None
        steps_s = self.utterance.model.settings.flow.solver.steps * costs.slowest(Work.SOLVE, frames)
        return costs.slowest(Work.ENCODE, frames) + steps_s + costs.slowest(Work.VOCODE, frames)

    def shared_s(self, costs: Costs[Work], readers: int) -> float:
        """Seconds until it has the speech tokens of its next chunk, for which others are read at once."""
        assert self.utterance is not None
        if self.utterance.need is not Need.READ:
            return 0.0
        missing = self.utterance.audio.missing_tokens or PIECE_TOKENS
        return missing * costs.slowest(Work.STEP, 1 if self.exact else readers)

    def work_s(self, costs: Costs[Work]) -> float:
        """Seconds of work for it alone until its next audio."""
        assert self.utterance is not None
        need, frames, state = self.utterance.need, self.frames, self.utterance.audio.state
        work_s = costs.slowest(Work.VOCODE, frames)
        if need is not Need.VOCODE:
            steps = self.utterance.model.settings.flow.solver.steps
            left = steps if state is None else steps - state.step
            work_s += left * costs.slowest(Work.SOLVE, frames)
        if need in (Need.ENCODE, Need.READ):
            work_s += costs.slowest(Work.ENCODE, frames)
        if need is Need.READ and self.left > 1:
            work_s += costs.slowest(Work.PREFILL, self.left)
        return work_s

    @property
    def frames(self) -> int:
        """Mel frames of its next chunk."""
        assert self.utterance is not None
        tokens = self.utterance.audio.chunk_tokens or PIECE_TOKENS
        return self.utterance.model.settings.rates.frames(tokens)

    def close(self) -> None:
        """Stop reading its text, and drop all state of its utterance."""
        self.feed.close()
        if self.utterance is not None:
            self.utterance.close()
