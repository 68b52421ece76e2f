"""`cosyrt keys`: a real database, the commands as they are typed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cosyrt.cli import main
from cosyrt.service.accounts import Accounts
from cosyrt.service.store import Store


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of this test, named in the environment."""
    path = str(tmp_path / "service.db")
    monkeypatch.setenv("COSYRT_SERVE_DATABASE", path)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def told(*arguments: str) -> Any:
    """What a command prints with --json."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_key_is_made_listed_and_revoked(database: str) -> None:
    """The key is printed alone and once, works, and ends when it is revoked."""
    result = run("add", "laptop", "--account", "ann")
    assert result.exit_code == 0
    key = result.stdout.strip()
    assert "not shown again" in result.stderr

    with Store(database) as store:
        caller = asyncio.run(Accounts(store).authenticate(key))
    [row] = told("list")
    assert (row["id"], row["account"], row["state"]) == (caller.key_id, "ann", "active")
    assert row["scopes"] == ["speech", "voices"] and row["expires_at"] is None
    assert key not in run("list").stdout

    assert run("revoke", row["id"]).stdout == f"revoked {row['id']} (laptop)\n"
    assert [each["state"] for each in told("list")] == ["revoked"]


def test_a_key_may_be_limited(database: str) -> None:
    """Scopes and days are kept; JSON has the key itself."""
    made = told("add", "boss", "--scopes", "admin", "--days", "0.5")
    assert made["scopes"] == ["admin"] and made["key"].startswith(f"cv_{made['id']}_")
    assert made["expires_at"] - made["created_at"] == 43_200


def test_a_table_has_a_row_for_each_key(database: str) -> None:
    """Without --json the list is for people; an empty one says what to do."""
    assert "make one: cosyrt keys add NAME" in run("list").stderr
    told("add", "laptop")
    head, row = run("list").stdout.splitlines()
    assert head.split()[:4] == ["id", "name", "account", "scopes"]
    assert "laptop" in row and "active" in row


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("revoke", "nothing"), 8, "there is no key 'nothing'; list them"),
        (("add", "x", "--scopes", "root"), 8, "choose of speech, voices, admin"),
        (("add", " "), 8, "a key cannot be called ''"),
        (("list", "--database", "mysql://u:secret@h/d"), 2, "mysql://u:***@h/d; give sqlite:///PATH"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    database: str, arguments: tuple[str, ...], code: int, line: str
) -> None:
    """A mistake ends with its exit code and one line that says what to do."""
    result = run(*arguments)
    assert result.exit_code == code and line in result.stderr
    assert result.stderr.count("\n") == 1 and result.stdout == ""


def test_without_the_extra_the_line_names_it(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLAlchemy is not installed one line says what to install."""
    for name in [name for name in sys.modules if name.startswith("cosyrt.service")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    result = run("list")
    assert result.exit_code == 7
    assert "pip install 'cosyrt[serve]'" in result.stderr
