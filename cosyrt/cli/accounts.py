"""cosyrt accounts: whose keys and voices the service keeps."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click

from cosyrt.cli.options import verbose_option
from cosyrt.cli.store import database_option, open_store
from cosyrt.cli.terminal import table

COLUMNS = ("name", "keys", "voices", "consents", "created")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.group()
def accounts() -> None:
    """List and remove the accounts of the service; the first key of one makes it (`cosyrt keys add`).

    \b
    cosyrt accounts list
    cosyrt accounts remove ann                 with all keys, voices and consents
    """


@accounts.command("list")
@database_option
@json_option
@verbose_option
def list_accounts(database: str | None, as_json: bool) -> None:
    """List the accounts, and how much each has."""
    with open_store(database) as store:
        from cosyrt.service import account_list

        rows = [asdict(facts) for facts in account_list.list_accounts(store)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    click.echo(table(COLUMNS, [_cells(row) for row in rows]))


@accounts.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@database_option
@json_option
@verbose_option
def remove(names: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Delete accounts with their keys, voices, consents and requests; there is no way back.

    What was done by them and to them stays in the audit, for as long as that is kept.
    """
    with open_store(database) as store:
        from cosyrt.service import account_list

        rows = [asdict(account_list.remove_account(store, name)) for name in dict.fromkeys(names)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"removed {row['name']} ({row['keys']} keys, {row['voices']} voices)")


def _cells(row: dict[str, str | int]) -> list[object]:
    created = row["created_at"]
    day = datetime.fromtimestamp(int(created), UTC).strftime("%Y-%m-%d %H:%M") if created else ""
    return [row["name"], row["keys"], row["voices"], row["consents"], day]
