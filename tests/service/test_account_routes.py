"""Accounts over HTTP: listed and deleted by an admin, and gone at once."""

from __future__ import annotations

from cosyrt.engine.pipeline import Pipeline
from tests.service.forms import recording
from tests.service.served import serving
from tests.service.test_key_routes import bearer, make
from tests.service.test_voice_routes import VOICES, create


def test_an_account_is_deleted_with_its_voices(tiny: Pipeline) -> None:
    """Key and voice are gone at once, the name is free again; only an admin may do this."""
    with serving(tiny) as served:
        boss = make(served, name="boss", scopes=["admin"]).json["key"]
        ann = make(served, boss, name="ann").json["key"]
        voice = create(served, ann, "mine", audio_sample=recording()).json["id"]
        assert served.ask("DELETE", "/admin/accounts/ann", **bearer(ann)).status == 403
        listed = served.ask("GET", "/admin/accounts", **bearer(boss)).json["data"]
        assert {each["name"]: each["voices"] for each in listed} == {"local": 0, "boss": 0, "ann": 1}

        deleted = served.ask("DELETE", "/admin/accounts/ann", **bearer(boss))
        assert deleted.json["deleted"] and deleted.json["voices"] == 1
        assert served.ask("GET", VOICES, **bearer(ann)).status == 401
        assert served.ask("GET", f"{VOICES}/{voice}", **bearer(boss)).status == 404
        assert served.ask("DELETE", "/admin/accounts/ann", **bearer(boss)).status == 404
        assert served.ask("DELETE", "/admin/accounts/boss", **bearer(boss)).status == 400
        again = make(served, boss, name="ann").json["key"]
        assert all(
            each["kind"] == "model" for each in served.ask("GET", VOICES, **bearer(again)).json["data"]
        )
