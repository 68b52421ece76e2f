"""One model and its scheduler in a process of a cluster: a request comes in, parts of audio go out.

Nothing here knows how it is called: Ray Serve and an actor pool run the same class.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import cosyrt
from cosyrt.accel.fingerprint import fingerprint
from cosyrt.accel.guard import GuardConfig
from cosyrt.accel.load import load
from cosyrt.engine.audio_stream import SpokenPiece
from cosyrt.engine.model import folder_of
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Load, Scheduler, SchedulerConfig
from cosyrt.engine.speech_scheduler import submitted
from cosyrt.errors import CosyrtError, ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaConfig:
    """Which model a replica loads, and how it schedules requests."""

    model: str | None = None  # a folder, the same on every machine; None: the built-in voice
    weights: str = ""
    device: str | None = None
    plan: bool = True
    watch: GuardConfig | None = None
    scheduling: SchedulerConfig = SchedulerConfig()

    @property
    def capacity(self) -> int:
        """Requests that a replica holds at once: those it speaks, and those that wait in it."""
        return self.scheduling.max_active + self.scheduling.max_queue


class Identity(NamedTuple):
    """What all machines must agree on: cosyrt itself, and the model to the last byte."""

    version: str
    model: str

    @classmethod
    def of(cls, config: ReplicaConfig) -> Identity:
        """The identity of the model that lies on this machine.

        Raises:
            ModelError: the folder cannot be used.
        """
        return cls(cosyrt.__version__, fingerprint(folder_of(config.model, config.weights)))


@dataclass(frozen=True, slots=True)
class Part:
    """Audio on its way, and the pieces of the text that have been spoken with it."""

    samples: np.ndarray  # float32 [N]
    pieces: tuple[SpokenPiece, ...]
    gap_s: float  # longest so far, for a listener who plays it from the first audio on


@dataclass(frozen=True, slots=True)
class End:
    """The last that is sent of a request: without it the speech is not whole."""

    pieces: tuple[SpokenPiece, ...] = ()  # that ended with no audio of their own
    error: CosyrtError | None = None


class Replica:
    """A loaded model that speaks requests of other machines.

    Raises:
        ModelError: the folder cannot be used here, or is not that of the machine that asks.
    """

    def __init__(self, config: ReplicaConfig, asker: Identity) -> None:
        _check_same(config, asker)
        model = load(
            config.model,
            device=config.device,
            weights=config.weights,
            plan=config.plan,
            watch=config.watch,
            streams=config.scheduling.max_active,
        )
        self.scheduler = Scheduler(model, config.scheduling)
        for _ in self.scheduler.submit(Request(text="Ready.", streamed=True)):
            pass  # once, so that no client waits for what is done only once

    async def speak(self, request: Request, key: str = "") -> AsyncGenerator[Part | End, None]:
        """Parts of a request's audio, then its end; closing the generator cancels the work."""
        try:
            ticket = await submitted(self.scheduler, request, key)
        except CosyrtError as error:
            yield End(error=error)
            return
        told = 0
        with ticket:
            try:
                async for audio in ticket:
                    pieces = tuple(ticket.pieces[told:])
                    told += len(pieces)
                    yield Part(audio.samples, pieces, ticket.gap_s)
            except CosyrtError as error:
                yield End(error=error)
            else:
                yield End(tuple(ticket.pieces[told:]))

    async def load(self) -> Load:
        """What there is to do at the moment."""
        return await asyncio.to_thread(self.scheduler.load)

    async def forget(self, digest: str) -> None:
        """Keep nothing of the voice of that content."""
        self.scheduler.forget(digest)

    def close(self) -> None:
        """Cancel what is being spoken, and wait until the scheduler has ended."""
        self.scheduler.close()


def _check_same(config: ReplicaConfig, asker: Identity) -> None:
    own = Identity.of(config)
    if own.version != asker.version:
        raise ModelError(
            f"a machine of the cluster has cosyrt {own.version}, this one {asker.version}; "
            "install the same version everywhere"
        )
    if own.model != asker.model:
        raise ModelError(
            f"{config.model or 'the built-in voice'} is another model on a machine of the cluster; "
            "put the same files at the same path everywhere"
        )
