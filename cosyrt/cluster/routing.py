"""Which replica a request goes to: a stored voice to one of the two that keep it, anything else to any.

A replica prepares a voice once and keeps it (`Conditions`). When both homes of a voice are full, all other
replicas are asked.
"""

from __future__ import annotations

import random
from typing import Any

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

from cosyrt.cluster.homes import homes

CHOICES = 2  # replicas that are compared by their queues where any will do


class StickyRouter(RequestRouter):  # type: ignore[misc]  # Ray's classes have no types
    """Sends requests of one session, which is the digest of a voice, to the homes of that voice."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Replicas to be tried, in ranks: of each rank the one with the shortest queue is taken."""
        any_will_do = random.sample(candidate_replicas, min(CHOICES, len(candidate_replicas)))
        voice = "" if pending_request is None else pending_request.metadata.session_id
        if not voice:
            return [any_will_do]
        named: dict[str, Any] = {each.replica_id.unique_id: each for each in candidate_replicas}
        return [[named[name] for name in homes(voice, named)], any_will_do]
