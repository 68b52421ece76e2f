"""cosyrt keys: who may use the service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.options import verbose_option
from cosyrt.cli.store import database_option, open_store
from cosyrt.cli.terminal import table

if TYPE_CHECKING:
    from cosyrt.service.accounts import KeyFacts

COLUMNS = ("id", "name", "account", "scopes", "state", "created", "expires", "last used")
DAY_S = 86_400

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys of the service.

    Without any key, `cosyrt serve` answers this machine alone. Once a key was made, every request needs one.

    \b
    cosyrt keys add ann                        the key is shown once
    cosyrt keys revoke k7w2mz9dqa              it ends within a second
    """


@keys.command()
@click.argument("name")
@click.option("--account", default="", help="Whose key it is: one name for several keys.  [default: NAME]")
@click.option(
    "--scopes",
    default="speech,voices",
    show_default=True,
    help="What it may do: speech, voices (make and delete them), admin (everything).",
)
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), help="How long it lasts.  [default: for ever]"
)
@database_option
@json_option
@verbose_option
def add(
    name: str, account: str, scopes: str, days: float | None, database: str | None, as_json: bool
) -> None:
    """Make a key called NAME and show it, this once."""
    with open_store(database) as store:
        from cosyrt.service.accounts import Accounts
        from cosyrt.service.keys import parse_scopes

        expires_at = None if days is None else store.now() + max(1, round(days * DAY_S))
        facts, key = Accounts(store).add_key(
            name, account=account, scopes=parse_scopes(scopes), expires_at=expires_at
        )
        now = store.now()
    if as_json:
        click.echo(json.dumps({**_shown(facts, now), "key": key}, ensure_ascii=False))
        return
    click.echo(key)
    click.echo("cosyrt: keep it now, it is not shown again", err=True)


@keys.command("list")
@database_option
@json_option
@verbose_option
def list_keys(database: str | None, as_json: bool) -> None:
    """List the keys: whose they are, what they may do, until when. None of them can be shown again."""
    with open_store(database) as store:
        from cosyrt.service.accounts import Accounts

        rows = [_shown(facts, store.now()) for facts in Accounts(store).list_keys()]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
    elif rows:
        click.echo(table(COLUMNS, [_cells(row) for row in rows]))
    else:
        click.echo("cosyrt: there is no key; make one: cosyrt keys add NAME", err=True)


@keys.command()
@click.argument("identifiers", metavar="ID...", nargs=-1, required=True)
@database_option
@json_option
@verbose_option
def revoke(identifiers: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """End keys, by their id or by the whole key; there is no way back."""
    with open_store(database) as store:
        from cosyrt.service.accounts import Accounts

        accounts = Accounts(store)
        rows = [_shown(accounts.revoke_key(each), store.now()) for each in dict.fromkeys(identifiers)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"revoked {row['id']} ({row['name']})")


def _shown(facts: KeyFacts, now: int) -> dict[str, Any]:
    return {
        "id": facts.id,
        "name": facts.name,
        "account": facts.account,
        "scopes": sorted(facts.scopes),
        "state": facts.state(now),
        "created_at": facts.created_at,
        "expires_at": facts.expires_at,
        "last_used_at": facts.last_used_at,
    }


def _cells(row: dict[str, Any]) -> list[object]:
    times = [_day(row[key]) for key in ("created_at", "expires_at", "last_used_at")]
    return [row["id"], row["name"], row["account"], " ".join(row["scopes"]), row["state"], *times]


def _day(at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
