"""Idempotency-Key: a client that did not hear the answer sends its request again, and it is done once.

The id of what a request has made is written in the transaction that makes it, so that a crash leaves both or
neither. A request with the key of another one is refused. Keys are kept for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from sqlalchemy import delete
from sqlalchemy.orm import Session

from cosyrt.service.callers import Caller
from cosyrt.service.errors import BadRequest, Conflict
from cosyrt.service.schema import IdempotencyRow
from cosyrt.service.store import Store

KEPT_S = 86_400
MAX_LENGTH = 255

GivenKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=MAX_LENGTH,
        description="Any text of the client's: a request that comes again with it within a day is done once.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request, and the key by which it is known when it comes again; without a key nothing is kept."""

    account_id: str
    key: str
    request_sha256: str
    at: int

    def note(self, session: Session, subject: str) -> None:
        """Write down what the request makes, in the transaction that makes it."""
        if not self.key:
            return
        session.add(
            IdempotencyRow(
                account_id=self.account_id,
                key=self.key,
                request_sha256=self.request_sha256,
                subject=subject,
                at=self.at,
            )
        )
        session.flush()


class IdempotencyKeys:
    """The keys of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def attempt(self, caller: Caller, key: str | None, *parts: str | bytes) -> Attempt:
        """A request of a caller that consists of these parts."""
        digest = hashlib.sha256()
        for part in parts:
            raw = part if isinstance(part, bytes) else part.encode(errors="replace")
            digest.update(len(raw).to_bytes(8, "big") + raw)
        return Attempt(
            account_id=caller.account_id,
            key=key or "",
            request_sha256=digest.hexdigest(),
            at=self._store.now(),
        )

    async def once(
        self,
        attempt: Attempt,
        make: Callable[[], Awaitable[dict[str, Any]]],
        find: Callable[[str], Awaitable[dict[str, Any]]],
    ) -> dict[str, Any]:
        """What `make` answers; for a request that was done already what `find` says of the thing it made.

        Raises:
            BadRequest: the key was used for another request. Else what the two functions raise.
        """
        made = await self._store.run(self.made_by, attempt)
        if made is None:
            try:
                return await make()
            except Conflict:  # perhaps with this very request, which came twice at the same time
                made = await self._store.run(self.made_by, attempt)
                if made is None:
                    raise
        return await find(made)

    def made_by(self, attempt: Attempt) -> str | None:
        """The id of what a request has made before.

        Raises:
            BadRequest: another request had its key.
        """
        if not attempt.key:
            return None
        row = self._store.read(lambda session: session.get(IdempotencyRow, (attempt.account_id, attempt.key)))
        if row is None or row.at <= self._store.now() - KEPT_S:
            return None
        if row.request_sha256 != attempt.request_sha256:
            raise BadRequest(
                "this Idempotency-Key was sent with another request; take a new one for a new request",
                code="idempotency_key_reused",
            )
        return row.subject

    def forget_old(self) -> None:
        """Delete the keys that are a day old."""
        before = self._store.now() - KEPT_S
        old = delete(IdempotencyRow).where(IdempotencyRow.at <= before)
        self._store.write(lambda session: session.execute(old))
