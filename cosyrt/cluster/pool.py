"""Replicas by Ray actors, for a batch: a fixed number of them, each started again when it dies.

A batch needs less than a service: one program asks, it knows how many requests each actor has, and it alone
keeps the ledger. That is why this is not Ray Data, which writes its own files, and which begins a block again
with all in it that was finished.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from cosyrt.cluster.fleet import Fleet
from cosyrt.cluster.homes import homes
from cosyrt.cluster.remote import LinkBroken
from cosyrt.cluster.replica import End, Identity, Part, Replica, ReplicaConfig
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Load
from cosyrt.errors import Busy, UsageError, reason_in
from cosyrt.voice.voice import Voice

log = logging.getLogger(__name__)

LOOK_S = 2.0  # that an actor has to tell its load
AGAIN_S = 1.0  # before a request that found all actors full is offered again


def started(config: ReplicaConfig, fleet: Fleet) -> dict[str, Any]:
    """Start the actors, and wait until all may speak.

    Raises:
        UsageError: one does not start.
    """
    options = {"num_cpus": fleet.cpus, "num_gpus": fleet.gpus, "max_restarts": -1}
    actor, identity = ray.remote(Replica).options(**options), Identity.of(config)
    actors = {f"actor {number}": actor.remote(config, identity) for number in range(fleet.replicas)}
    try:
        ray.get([each.load.remote() for each in actors.values()])
    except RayActorError as error:
        raise UsageError(f"an actor does not start: {reason_in(str(error))}") from error
    return actors


@dataclass(slots=True)
class PoolLink:
    """The way to the actors of a pool."""

    actors: dict[str, Any]
    rows: int  # requests that an actor speaks at once
    capacity: int  # requests that it holds
    own_voices: Collection[str] = ()  # digests of the model's voices, which every actor keeps
    _running: Counter[str] = field(default_factory=Counter)
    _down: set[str] = field(default_factory=set)

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        """Let an actor speak; closing the generator cancels the work there.

        Raises:
            Busy: all are full. LinkBroken: the actor went away.
        """
        name = self._chosen(request)
        self._running[name] += 1
        stream = self.actors[name].speak.options(num_returns="streaming").remote(request, key)
        try:
            async for part in stream:
                yield await part
        except RayTaskError:
            raise  # a bug in the replica, which goes on
        except RayError as error:
            self._down.add(name)
            raise LinkBroken(f"{name}: {reason_in(str(error))}") from error
        finally:
            self._running[name] -= 1
            ray.cancel(stream)

    def _chosen(self, request: Request) -> str:
        """A home of the voice where it has a free row, else the actor that has least to do.

        Raises:
            Busy: all are full.
        """
        up = [name for name in self.actors if name not in self._down and self._running[name] < self.capacity]
        if not up:
            raise Busy("all actors are full", AGAIN_S)
        voice = request.voice
        if isinstance(voice, Voice) and voice.digest not in self.own_voices:
            up = [name for name in homes(voice.digest, up) if self._running[name] < self.rows] or up
        return min(up, key=lambda name: self._running[name])

    async def loads(self) -> list[Load]:
        """What each actor that is up has to do; one that was down and answers is up again.

        Raises:
            TimeoutError: one that is up did not answer in time.
        """
        answers = await asyncio.gather(*map(self._load, self.actors))
        return [each for each in answers if each is not None]

    async def _load(self, name: str) -> Load | None:
        try:
            load: Load = await asyncio.wait_for(_awaited(self.actors[name].load.remote()), LOOK_S)
        except TimeoutError:
            if name in self._down:  # it is being started
                return None
            raise
        except RayError:
            self._down.add(name)
            return None
        self._down.discard(name)
        return load

    async def forget(self, digest: str) -> None:
        """Let every actor keep nothing of a voice."""
        await asyncio.gather(*(_awaited(each.forget.remote(digest)) for each in self.actors.values()))


async def _awaited(reference: Any) -> Any:
    """The value of a reference, as a coroutine."""
    return await reference
