"""Voices by name: own names before OpenAI's, which stand for voices of the text's language."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import VoiceNotFound
from cosyrt.service.access import NOBODY
from cosyrt.service.callers import LOCAL_CALLER, Caller
from cosyrt.service.keys import DEFAULT_SCOPES
from cosyrt.service.wire import OPENAI_VOICES
from tests.service.forms import recording
from tests.service.served import Served, serving


def named(
    served: Served, name: str, text: str = "Hi.", language: str | None = None, by: Caller = LOCAL_CALLER
) -> str:
    """The name of the voice that is chosen."""
    return asyncio.run(served.service.catalogue.voice(by, name, text, language)).name


def test_openai_names_speak_the_language_of_the_text(served: Served) -> None:
    """All 13 names are voices, each always the same one; so is no name."""
    for name in ("", *OPENAI_VOICES):
        assert named(served, name) == "ann"
        assert named(served, name, "你好。") == "mei"
        assert named(served, name, "Hi.", "zh-CN") == "mei"


def test_a_language_without_a_voice(served: Served) -> None:
    """The default voice speaks it."""
    assert named(served, "alloy", "Bonjour.", "fr") == "ann"


def test_names_and_aliases(tiny: Pipeline) -> None:
    """An alias stands for a voice, also one of OpenAI's names; the default is that of the settings."""
    with serving(tiny, voice="mei", voice_aliases={"alloy": "mei", "mother": "ann"}) as served:
        assert named(served, "") == "mei"
        assert named(served, "alloy") == "mei"
        assert named(served, "mother") == "ann"
        assert named(served, "ash") == "ann"
        with pytest.raises(VoiceNotFound, match="there is no voice 'nobody'"):
            named(served, "nobody")


def test_a_stored_voice_is_its_owners(tiny: Pipeline) -> None:
    """A voice called like one of OpenAI's is its owner's; others hear what stands for the name."""
    ann, bob = (Caller(account_id=name, scopes=DEFAULT_SCOPES) for name in ("acct_ann", "acct_bob"))
    with serving(tiny) as served:
        store = served.service.store
        from sqlalchemy import insert

        from cosyrt.service.schema import AccountRow

        rows = [{"id": each.account_id, "name": each.account_id, "created_at": 0} for each in (ann, bob)]
        store.write(lambda session: session.execute(insert(AccountRow), rows))
        voice = replace(tiny.voice_from(recording(), "Some words.", "x"), name="nova")
        served.service.voices.add(ann, voice)

        assert named(served, "nova", by=ann) == "nova"
        assert named(served, "nova", by=bob) == "ann"
        lists = [asyncio.run(served.service.catalogue.listed(each)) for each in (ann, bob, NOBODY)]
        assert ["nova" in [each.name for each in listed] for listed in lists] == [True, False, False]
