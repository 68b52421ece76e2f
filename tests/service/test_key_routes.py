"""API keys over HTTP: made, listed and revoked by those who may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosyrt.engine.pipeline import Pipeline
from tests.service.served import Answer, Served, serving


@pytest.fixture
def fresh(tiny: Pipeline) -> Iterator[Served]:
    """A service that has no key yet."""
    with serving(tiny) as served:
        yield served


def make(served: Served, by: str = "", **fields: object) -> Answer:
    """Ask for a new key, with a key."""
    body = {"name": "ann", **fields}
    return served.ask("POST", "/admin/keys", body, content_type="application/json", **bearer(by))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def test_the_first_key_closes_the_service(fresh: Served) -> None:
    """The first key can be made without one; from then on only its owner may, and it is shown once."""
    made = make(fresh, scopes=["admin"]).json
    assert made["key"].startswith("cv_") and made["scopes"] == ["admin"] and made["state"] == "active"
    assert make(fresh).status == 401

    listed = fresh.ask("GET", "/admin/keys", **bearer(made["key"]))
    assert [each["id"] for each in listed.json["data"]] == [made["id"]]
    assert made["key"].encode() not in listed.body and b"sha256" not in listed.body


def test_a_key_without_the_scope_is_refused(fresh: Served) -> None:
    """A key that may speak neither sees the others nor makes or revokes one."""
    admin = make(fresh, scopes=["admin"]).json["key"]
    weak = make(fresh, admin, name="bot").json
    assert weak["scopes"] == ["speech", "voices"]
    for answer in (
        make(fresh, weak["key"]),
        fresh.ask("GET", "/admin/keys", **bearer(weak["key"])),
        fresh.ask("DELETE", f"/admin/keys/{weak['id']}", **bearer(weak["key"])),
    ):
        assert (answer.status, answer.error["code"]) == (403, "insufficient_permissions")


def test_a_revoked_key_is_no_key(fresh: Served) -> None:
    """From its revocation on it is refused; one that is not there is 404."""
    admin = make(fresh, scopes=["admin"]).json["key"]
    other = make(fresh, admin, name="bot").json
    assert fresh.ask("GET", "/v1/models", **bearer(other["key"])).status == 200
    revoked = fresh.ask("DELETE", f"/admin/keys/{other['id']}", **bearer(admin))

    assert revoked.json["state"] == "revoked"
    assert fresh.ask("POST", "/v1/audio/speech", {"input": "Hi."}, **bearer(other["key"])).status == 401
    assert fresh.ask("DELETE", "/admin/keys/nothing", **bearer(admin)).status == 404


def test_a_key_that_ends(fresh: Served) -> None:
    """The end of a key stands among its facts."""
    made = make(fresh, scopes=["admin"], expires_in_s=60).json
    assert 50 <= made["expires_at"] - made["created_at"] <= 61


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, None),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"expires_in_s": 1 << 60}, "expires_in_s"),
    ],
)
def test_a_key_that_cannot_be(served: Served, fields: dict[str, object], param: str | None) -> None:
    """What no key can have is 400, and none is made."""
    answer = make(served, **fields)
    assert answer.status == 400 and (param is None or answer.error["param"] == param)
    assert served.ask("GET", "/admin/keys").json["data"] == []


def test_strangers_cannot_make_the_first_key(tiny: Pipeline) -> None:
    """Where other machines may come without a key, none of them can lock the owner out."""
    with serving(tiny, open=True) as served:
        assert make(served).status == 403
        assert served.ask("GET", "/admin/keys").status == 403


def test_a_service_without_keys_has_none(tiny: Pipeline) -> None:
    """Where the settings say that there are no keys, there is nothing to make."""
    with serving(tiny, keys=False) as served:
        assert (make(served).status, make(served).error["code"]) == (404, "no_keys")
