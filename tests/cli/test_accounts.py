"""`cosyrt accounts`: a real database, the commands as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cosyrt.cli import main


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database of this test, named in the environment."""
    monkeypatch.setenv("COSYRT_SERVE_DATABASE", str(tmp_path / "service.db"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_an_account_is_listed_and_removed() -> None:
    """The list counts what each has; a removed account is not there any more, nor are its keys."""
    run("keys", "add", "laptop", "--account", "ann")
    rows = json.loads(run("accounts", "list", "--json").stdout)
    assert [(row["name"], row["keys"]) for row in rows] == [("local", 0), ("ann", 1)]
    assert "ann" in run("accounts", "list").stdout

    assert run("accounts", "remove", "ann").stdout == "removed ann (1 keys, 0 voices)\n"
    assert "ann" not in run("accounts", "list").stdout
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_an_account_that_is_none() -> None:
    """The error is one line that says how to list them."""
    result = run("accounts", "remove", "nobody")
    assert result.exit_code != 0
    assert result.stderr == "cosyrt: there is no account 'nobody'; list them: cosyrt accounts list\n"
