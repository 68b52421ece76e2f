"""Several threads that speak on one pipeline at once: they share turns as the requests of a scheduler do.

There is no thread of its own. A caller that asks for audio takes turns until it has some, for itself and for
all others that ask at the same time; these wait, and find their audio made. What nobody asks for at the
moment stands still, as it does alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import numpy as np

from cosyrt.engine.active import Active
from cosyrt.engine.audio_stream import Made
from cosyrt.engine.dispatch import Dispatcher, Turn
from cosyrt.engine.engine_rows import rows_on
from cosyrt.engine.feed import OpenFeed
from cosyrt.engine.model import Model
from cosyrt.engine.need import Need
from cosyrt.engine.ticket import Ticket
from cosyrt.engine.utterance import Utterance
from cosyrt.errors import SpeechError

MANY = 2**31  # rows: as many as there are callers


class Callers:
    """All who speak on one pipeline at the moment, and the rows that they share."""

    def __init__(self, model: Model) -> None:
        self.rows = rows_on(model.stages, model.settings.decoding, model.device, capacity=MANY)
        self._sample_hz = model.settings.rates.sample_hz
        self._dispatcher = Dispatcher(groups_vocoder=model.device.type != "cpu")
        self._changed = threading.Condition()  # of all below, and of the rows
        self._inside = False  # whoever holds the lock is changing something, even if it is this thread
        self._asking: list[Active] = []
        self._over: list[Utterance] = []  # whose rows are given back when nobody is at work
        self._errors: dict[Active, BaseException] = {}

    def speak(self, utterance: Utterance) -> Generator[Made, None, None]:
        """Audio of an utterance on the rows that are shared; closing the generator stops all work.

        Raises:
            Exception: what went wrong for it, in whoever's thread that was.
        """
        active = Active(Ticket(utterance.source.request, "", _nobody_waits), OpenFeed(utterance.source))
        active.utterance = utterance
        try:
            while utterance.need is not Need.NOTHING:
                if utterance.need is Need.TEXT:
                    item = next(utterance.source.items, None)  # which may keep this thread waiting, alone
                    with self._held():
                        while self._dispatcher.under_way:
                            self._wait()
                        utterance.push(item)
                else:
                    self._ask(active)
                while utterance.made:
                    yield self._given(active, utterance.made.popleft())
        finally:
            self._leave(active, utterance)

    def _given(self, active: Active, made: Made) -> Made:
        """Note that the caller has this now."""
        if isinstance(made, np.ndarray):
            active.served_s = time.monotonic()
            active.playback.give(len(made) / self._sample_hz, active.served_s)
        return made

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock, and give back the rows of those that are over."""
        with self._changed:
            self._inside = True
            try:
                yield
            finally:
                self._let_go()
                self._inside = False

    def _wait(self) -> None:
        """Wait until something has changed; the lock is let go meanwhile."""
        self._changed.wait()
        self._inside = True

    def _leave(self, active: Active, utterance: Utterance) -> None:
        """Drop an utterance: at once, or when those that are at work are done.

        A generator may be collected at any moment, in the middle of a turn of this very thread.
        """
        with self._changed:
            self._over.append(utterance)
            self._errors.pop(active, None)
            if not self._inside:
                self._let_go()

    def _let_go(self) -> None:
        while self._over and not self._dispatcher.under_way:
            self._over.pop().close()

    def _ask(self, active: Active) -> None:
        """Take turns, or wait while others do, until there is audio or nothing more to run for it."""
        with self._held():
            self._asking.append(active)
            try:
                while self._waits(active):
                    if self._dispatcher.under_way:
                        self._wait()
                    else:
                        self._take_turn()
            finally:
                self._asking.remove(active)
                self._changed.notify_all()
            if active in self._errors:
                raise self._errors[active]

    def _waits(self, active: Active) -> bool:
        """Whether it has no audio yet, or somebody is at it."""
        utterance = active.utterance
        assert utterance is not None
        if any(active in turn.members for turn in self._dispatcher.under_way):
            return True
        runs = utterance.need not in (Need.TEXT, Need.NOTHING)
        return runs and not utterance.made and active not in self._errors

    def _take_turn(self) -> None:
        """Run the next turn of all who ask; the lock, which is held, is let go meanwhile."""
        self._let_go()
        turn = self._next_turn()
        self._dispatcher.start(turn)
        self._changed.release()
        try:
            done = self._dispatcher.run(turn)
        except BaseException:  # an interrupt: what the turn has changed so far is not known
            self._changed.acquire()
            self._inside = True
            self._dispatcher.abandon()
            self._errors |= {each: SpeechError("another thread was interrupted") for each in turn.members}
            raise
        self._changed.acquire()
        self._inside = True
        self._errors |= self._dispatcher.finish(turn, done)
        self._changed.notify_all()

    def _next_turn(self) -> Turn:
        ready = [each for each in self._asking if self._waits(each)]
        turn = self._dispatcher.choose(ready, time.monotonic())
        assert turn is not None, "whoever asks waits for a turn"
        return turn


def _nobody_waits() -> None:
    """Wake nobody: a caller takes its audio itself."""
