"""Accounts and keys: who is let in, at once and in every process, and what they may do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from cosyrt.service.accounts import Accounts
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.errors import (
    BadRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
)
from cosyrt.service.keys import Scope, new_key
from cosyrt.service.schema import AuditRow
from cosyrt.service.store import Store
from tests.service.conftest import Clock


@pytest.fixture
def accounts(store: Store) -> Accounts:
    return Accounts(store)


def let_in(accounts: Accounts, key: str | None) -> Caller:
    return asyncio.run(accounts.authenticate(key))


def refused(accounts: Accounts, key: str | None) -> str | None:
    """The code with which a key is refused."""
    with pytest.raises(NotAuthenticated) as error:
        let_in(accounts, key)
    assert error.value.status == 401
    return error.value.code


def test_without_keys_everybody_on_this_machine_may_do_everything(accounts: Accounts) -> None:
    """Before a key is made any key, or none, is the local account; many programs send one always."""
    for key in (None, "", "sk-anything", new_key().text):
        assert let_in(accounts, key) == LOCAL_CALLER
    assert not accounts.has_keys()


def test_a_key_lets_its_account_in_and_nobody_else(accounts: Accounts) -> None:
    """With the first key the service is closed: none, a wrong and a similar one are refused."""
    facts, key = accounts.add_key("laptop", account="ann", scopes={Scope.SPEECH})
    caller = let_in(accounts, key)

    assert (caller.key_id, caller.scopes) == (facts.id, {Scope.SPEECH})
    assert caller.account_id.startswith("acct_")
    for wrong in (
        None,
        "",
        "sk-anything",
        new_key().text,
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        key * 9,
    ):
        assert refused(accounts, wrong) == "invalid_api_key"


def test_two_keys_of_an_account_are_one_user(accounts: Accounts) -> None:
    """Keys of the same account name share the account; another name is another account."""
    keys = [
        accounts.add_key(name, account=account)[1]
        for name, account in (("a", "ann"), ("b", "ann"), ("c", ""))
    ]
    first, second, third = (let_in(accounts, key).account_id for key in keys)
    assert first == second != third
    assert [each.account for each in accounts.list_keys()] == ["ann", "ann", "c"]


def test_a_revoked_key_ends_at_once_and_the_service_stays_closed(accounts: Accounts) -> None:
    """The next request with the key is refused; that it was the only one does not open the service."""
    facts, key = accounts.add_key("laptop")
    let_in(accounts, key)
    accounts.revoke_key(facts.id)
    assert refused(accounts, key) == refused(accounts, None) == "invalid_api_key"
    assert accounts.revoke_key(key).state(0) == "revoked"  # a second time, by the key itself
    assert accounts.has_keys()


def test_another_process_revokes_a_key(
    accounts: Accounts, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `cosyrt keys` does is known to a running service as soon as it looks at the number of changes."""
    from cosyrt.service import shared_cache

    facts, key = accounts.add_key("laptop")
    let_in(accounts, key)
    with Store(database) as other:
        Accounts(other).revoke_key(facts.id)
    assert let_in(accounts, key).key_id == facts.id  # for less than a second
    monkeypatch.setattr(shared_cache, "CHECK_S", 0.0)
    assert refused(accounts, key) == "invalid_api_key"


def test_a_key_expires(accounts: Accounts, clock: Clock) -> None:
    """From its last second on a key is refused, though it was just in use."""
    facts, key = accounts.add_key("guest", expires_at=clock.now + 10)
    assert let_in(accounts, key).key_id == facts.id
    clock.now += 10
    assert refused(accounts, key) == "expired_api_key"
    assert accounts.list_keys()[0].state(clock.now) == "expired"
    with pytest.raises(BadRequest, match="expired already"):
        accounts.add_key("guest", expires_at=clock.now)


def test_scopes_say_what_a_key_may_do(accounts: Accounts) -> None:
    """A scope that the key lacks is refused by name; an admin may do everything."""
    _, key = accounts.add_key("laptop", scopes={Scope.SPEECH})
    caller = let_in(accounts, key)
    caller.require(Scope.SPEECH)
    with pytest.raises(NotAllowed, match="'voices'"):
        caller.require(Scope.VOICES)
    _, key = accounts.add_key("boss", scopes={Scope.ADMIN})
    for scope in Scope:
        let_in(accounts, key).require(scope)


def test_a_key_that_worked_goes_on_while_the_database_is_gone(
    accounts: Accounts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During an outage a known key is let in, an unknown one is told that the service cannot say."""
    from cosyrt.service import shared_cache

    _, key = accounts.add_key("laptop")
    let_in(accounts, key)
    monkeypatch.setattr(shared_cache, "CHECK_S", 0.0)

    def gone(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "read", gone)
    assert let_in(accounts, key).key_id
    with pytest.raises(StoreUnavailable):
        let_in(accounts, new_key().text)


def test_no_secret_is_kept_anywhere(tmp_path: Path) -> None:
    """Neither a key nor its secret is in any file of the database."""
    with Store(str(tmp_path / "service.db")) as store:
        _, key = Accounts(store).add_key("laptop")
        secret = key.split("_", 2)[2].encode()  # which may have an underscore in it
        assert [path for path in tmp_path.iterdir() if secret in path.read_bytes()] == []


def test_what_is_done_to_keys_is_written_down(accounts: Accounts, store: Store) -> None:
    """Making and revoking a key leave a row each, with who did it."""
    facts, _ = accounts.add_key("laptop", account="ann", by=LOCAL_CALLER)
    accounts.revoke_key(facts.id)
    rows = store.read(lambda session: list(session.scalars(select(AuditRow).order_by(AuditRow.action))))
    assert [(row.action, row.subject, row.account_id) for row in rows] == [
        ("key.add", facts.id, "local"),
        ("key.revoke", facts.id, "local"),
    ]


def test_a_key_that_is_not_there_cannot_be_revoked(accounts: Accounts) -> None:
    """An unknown id is named in one line, cut where it is long."""
    with pytest.raises(NotFound, match=r"there is no key 'xxxxxxxxxxxxxxxxxxxx'; list them"):
        accounts.revoke_key("x" * 1_000)


@pytest.mark.parametrize("name", ["", "\x1b[31m", "x" * 65])
def test_a_key_has_a_name(accounts: Accounts, name: str) -> None:
    """A name that cannot be shown is refused, and nothing was made."""
    with pytest.raises(BadRequest):
        accounts.add_key(name)
    assert accounts.list_keys() == []


def test_whoever_tries_keys_is_slowed_down(accounts: Accounts) -> None:
    """After ten wrong keys an address is told to wait; a good key is let in, and other addresses are."""
    facts, key = accounts.add_key("laptop")

    async def main() -> None:
        for _ in range(10):
            with pytest.raises(NotAuthenticated):
                await accounts.authenticate(new_key().text, "192.0.2.1")
        with pytest.raises(TooManyRequests) as refused:
            await accounts.authenticate(new_key().text, "192.0.2.1")
        assert refused.value.status == 429 and 0 < (refused.value.retry_after_s or 0) <= 6
        assert (await accounts.authenticate(key, "192.0.2.1")).key_id == facts.id
        with pytest.raises(NotAuthenticated):
            await accounts.authenticate(new_key().text, "192.0.2.2")

    asyncio.run(main())


def test_keys_of_a_new_account_may_be_made_at_once(accounts: Accounts) -> None:
    """Programs that make the first keys of an account at the same moment all get one, of one account."""
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda number: accounts.add_key(f"k{number}", account="ann")[1], range(12)))
    assert len({let_in(accounts, key).account_id for key in made}) == 1
