"""Ways to replicas without a cluster: real replicas in the process of the test, which can be lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from cosyrt.cluster.remote import LinkBroken
from cosyrt.cluster.replica import End, Part, Replica
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Load


class NearLink:
    """Replicas in this process, of which the first that is there speaks."""

    def __init__(self, *replicas: Replica) -> None:
        self.replicas = list(replicas)
        self.breaks_after: int | None = None  # parts, of the next request; None: never
        self.forgotten: list[str] = []

    async def speak(self, request: Request, key: str) -> AsyncGenerator[Part | End, None]:
        """Let the first replica speak; once it breaks, it is lost."""
        left, self.breaks_after = self.breaks_after, None
        if not self.replicas:
            raise LinkBroken("there is none")
        async with aclosing(self.replicas[0].speak(request, key)) as parts:
            async for part in parts:
                if left == 0:
                    del self.replicas[0]
                    raise LinkBroken("it was killed")
                left = None if left is None else left - 1
                yield part

    async def loads(self) -> list[Load]:
        """What each replica has to do."""
        return [await each.load() for each in self.replicas]

    async def forget(self, digest: str) -> None:
        """Remember that a voice was to be forgotten, and let the replicas forget it."""
        self.forgotten.append(digest)
        for each in self.replicas:
            await each.forget(digest)
