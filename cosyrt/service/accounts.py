"""Who is calling: accounts, their keys, and what a key may do.

Deny by default: a request has a key that is known, not over and not revoked, or the service has no keys at
all and is bound to this machine alone. A service that ever had a key never opens again by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cosyrt.service.audit import audit
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.errors import BadRequest, NotAuthenticated, NotFound, TooManyRequests
from cosyrt.service.keys import DEFAULT_SCOPES, NewKey, Scope, id_of, matches, new_key, parse_scopes
from cosyrt.service.names import check_label
from cosyrt.service.schema import AccountRow, KeyRow, Topic
from cosyrt.service.shared_cache import SharedCache
from cosyrt.service.store import Store, mark_changed
from cosyrt.service.token_buckets import TokenBuckets

FAILURES_PER_MINUTE = 10
LONGEST_KEY = 200  # characters of what is looked at as a key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """All that may be shown of a key."""

    id: str
    name: str
    account: str  # its name
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    def state(self, now: int) -> str:
        """One word: active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class _KnownKey:
    sha256: bytes
    caller: Caller
    expires_at: int | None
    revoked: bool


class Accounts:
    """The accounts and keys of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: SharedCache[str, _KnownKey | None] = SharedCache(store, Topic.KEYS, self._known_key)
        self._failures = TokenBuckets(FAILURES_PER_MINUTE)  # by address
        self._closed: SharedCache[None, bool] = SharedCache(store, Topic.KEYS, self._any_key)

    async def authenticate(self, text: str | None, peer: str = "") -> Caller:
        """The caller with that key; without one the local account, where the service has no keys.

        Raises:
            NotAuthenticated: no key, or one that is not known, is over or was revoked.
            TooManyRequests: from this address came many wrong keys; a key that is good is still let in.
            StoreUnavailable: the database does not answer, and did not tell of this key lately.
        """
        if not text:
            if await self.needs_keys():
                raise NotAuthenticated("a key is needed; send Authorization: Bearer cv_…")
            return LOCAL_CALLER
        known = await self._known(id_of(text[:LONGEST_KEY]))
        if known is None or not matches(text, known.sha256) or known.revoked:
            if not await self.needs_keys():
                return LOCAL_CALLER  # many programs cannot be told to send no key
            self._count_failure(peer)
            raise NotAuthenticated("this key is not known or was revoked; check it, or ask for another")
        if known.expires_at is not None and known.expires_at <= self._store.now():
            raise NotAuthenticated("this key has expired; ask for another", code="expired_api_key")
        return known.caller

    async def needs_keys(self) -> bool:
        """Whether any key was ever made; revoked ones count, so that the service does not open again."""
        known = self._closed.fresh(None)
        return known if known is not None else await self._store.run(self._closed.get, None)

    def has_keys(self) -> bool:
        """Whether any key was ever made, for a program that has no event loop yet."""
        return self._closed.get(None)

    def add_key(
        self,
        name: str,
        *,
        account: str = "",
        scopes: Collection[Scope] = DEFAULT_SCOPES,
        expires_at: int | None = None,
        by: Caller = LOCAL_CALLER,
    ) -> tuple[KeyFacts, str]:
        """Make a key for the account of that name, which is made too if it is new; only here is it shown.

        Raises:
            BadRequest: a name that cannot be used, no scope, or an end that has passed.
        """
        name = check_label(name, "a key")
        account = check_label(account or name, "an account")
        now, key = self._store.now(), new_key()
        if expires_at is not None and expires_at <= now:
            raise BadRequest("the key would have expired already; choose a later end")
        if not scopes:
            parse_scopes("")

        def work(session: Session) -> KeyFacts:
            row = _key_row(key, _account_of(session, account, now), name, scopes, now, expires_at)
            session.add(row)
            mark_changed(session, Topic.KEYS)
            audit(session, by, now, "key.add", key.id, account=account, scopes=sorted(scopes))
            return _facts(row, account)

        try:
            facts = self._store.write(work)
        except IntegrityError:  # another process has just made the account: now it is there
            facts = self._store.write(work)
        self.forget()
        return facts, key.text

    def caller_named(self, account: str) -> Caller:
        """Whoever works on this machine for the account of that name, and may do everything for it.

        Raises:
            NotFound: there is no such account.
        """
        identifier = self._store.read(lambda session: account_named(session, account))
        if identifier is None:
            raise NotFound(f"there is no account {account[:80]!r}; the first key makes it: cosyrt keys add")
        return Caller(account_id=identifier, scopes=frozenset(Scope))

    def list_keys(self) -> list[KeyFacts]:
        """All keys, oldest first."""
        query = select(KeyRow, AccountRow.name).join(AccountRow, KeyRow.account_id == AccountRow.id)
        ordered = query.order_by(KeyRow.created_at, KeyRow.name, KeyRow.id)
        return self._store.read(lambda session: [_facts(*each) for each in session.execute(ordered)])

    def revoke_key(self, identifier: str, *, by: Caller = LOCAL_CALLER) -> KeyFacts:
        """End a key, at once in this process and within a second in others; a second time changes nothing.

        Raises:
            NotFound: there is no such key.
        """
        now = self._store.now()

        def work(session: Session) -> KeyFacts:
            row = session.get(KeyRow, id_of(identifier) or identifier)
            if row is None:
                raise NotFound(f"there is no key {identifier[:20]!r}; list them: cosyrt keys list")
            if row.revoked_at is None:
                row.revoked_at = now
                mark_changed(session, Topic.KEYS)
                audit(session, by, now, "key.revoke", row.id)
            return _facts(row, session.get_one(AccountRow, row.account_id).name)

        facts = self._store.write(work)
        self.forget()
        return facts

    def _count_failure(self, peer: str) -> None:
        """Slow down whoever tries keys."""
        if wait_s := self._failures.take(peer):
            raise TooManyRequests(
                f"too many wrong keys came from this address; come back in {wait_s:.0f} s",
                code="too_many_wrong_keys",
                retry_after_s=wait_s,
            )

    async def _known(self, identifier: str | None) -> _KnownKey | None:
        if identifier is None:
            return None
        known = self._keys.fresh(identifier)
        return known if known is not None else await self._store.run(self._keys.get, identifier)

    def _known_key(self, identifier: str) -> _KnownKey | None:
        row = self._store.read(lambda session: session.get(KeyRow, identifier))
        if row is None:
            return None
        caller = Caller(account_id=row.account_id, key_id=row.id, scopes=parse_scopes(row.scopes))
        return _KnownKey(
            sha256=row.sha256,
            caller=caller,
            expires_at=row.expires_at,
            revoked=row.revoked_at is not None,
        )

    def _any_key(self, _: None) -> bool:
        return self._store.version(Topic.KEYS) > 0  # grows with each key and outlives accounts

    def forget(self) -> None:
        """Read everything again: this process has changed it."""
        self._keys.clear()
        self._closed.clear()


def account_named(session: Session, name: str) -> str | None:
    """The id of the account of that name."""
    return session.scalar(select(AccountRow.id).where(AccountRow.name == name))


def _account_of(session: Session, name: str, now: int) -> str:
    """The id of the account of that name, which is made if it is new."""
    known = account_named(session, name)
    if known is not None:
        return known
    row = AccountRow(id=f"acct_{uuid4().hex}", name=name, created_at=now)
    session.add(row)
    session.flush()
    return row.id


def _key_row(
    key: NewKey, account_id: str, name: str, scopes: Collection[Scope], now: int, expires_at: int | None
) -> KeyRow:
    return KeyRow(
        id=key.id,
        account_id=account_id,
        name=name,
        sha256=key.sha256,
        scopes=" ".join(sorted(scopes)),
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        last_used_at=None,
    )


def _facts(row: KeyRow, account: str) -> KeyFacts:
    return KeyFacts(
        id=row.id,
        name=row.name,
        account=account,
        scopes=parse_scopes(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
