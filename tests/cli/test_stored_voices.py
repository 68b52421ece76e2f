"""`cosyrt voices … --account`: the service's database, worked on from the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import cosyrt
from cosyrt.service.accounts import Accounts
from cosyrt.service.consents import Consents
from cosyrt.service.errors import Gone
from cosyrt.service.store import Store
from cosyrt.service.voices import StoredVoices
from cosyrt.voice.library import VoiceLibrary
from tests.cli.test_voices import clip, library, loaded, refused, run, told

__all__ = ["clip", "library", "loaded"]  # fixtures


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the account ann, named in the environment."""
    path = str(tmp_path / "service.db")
    monkeypatch.setenv("COSYRT_SERVE_DATABASE", path)
    with Store(path) as store:
        Accounts(store).add_key("ann")
    return path


def listed(*arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = told("list", *arguments)
    return [row for row in rows if row["source"] in ("own", "shared")]


def test_a_voice_is_kept_for_an_account(
    library: VoiceLibrary, loaded: None, clip: Path, database: str, tiny: cosyrt.Pipeline
) -> None:
    """The account speaks with it, nothing was written into this user's folder; removed, it is gone."""
    given = ("--text", "My own words.", "--consent", "Ann, on paper", "--account", "ann")
    [facts] = told("add", "mine", clip, *given)
    assert (facts["name"], facts["account"]) == ("mine", "ann")
    assert library.names() == []
    [row] = listed("--account", "ann")
    assert (row["name"], row["source"], row["language"]) == ("mine", "own", "en") and row["prompt_s"] > 0

    with Store(database) as store:
        voices, caller = StoredVoices(store, tiny.family), Accounts(store).caller_named("ann")
        [stored] = asyncio.run(voices.listed(caller))
        assert stored.consent_id is not None
        assert Consents(store).get(caller, stored.consent_id).statement == "Ann, on paper"
        assert "called 'mine' already" in refused(8, "add", "mine", clip, *given)
        assert told("add", "mine", clip, *given, "--overwrite")[0]["name"] == "mine"

        assert run("remove", "mine", "--account", "ann").stdout == "removed mine\n"
        assert listed("--account", "ann") == []
        with pytest.raises(Gone):
            asyncio.run(StoredVoices(store, tiny.family).find(caller, stored.id))


def test_what_an_account_has_not_cannot_be_removed(library: VoiceLibrary, database: str) -> None:
    """An unknown account and an unknown voice are one line each."""
    assert "there is no account 'bob'" in refused(8, "list", "--account", "bob")
    assert "has no voice 'mine'; list them" in refused(8, "remove", "mine", "--account", "ann")
    assert json.loads(run("list", "--account", "ann", "--json").stdout)  # the model's own
