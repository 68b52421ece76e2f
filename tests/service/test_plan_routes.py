"""The plan over HTTP: what is used, what has failed, and the way back, for admins alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosyrt.accel import guard
from cosyrt.accel.plan import Plan, Planned
from cosyrt.engine.pipeline import Pipeline
from cosyrt.service import start
from cosyrt.service.accounts import Accounts
from cosyrt.service.keys import Scope
from tests.service.served import Served, serving

MODEL = "a model of these tests"


@pytest.fixture
def planned(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Served, str, str]]:
    """A service whose model has a plan of one part, the key of an admin and that of a user."""
    monkeypatch.setattr(guard, "_disabled", set())
    monkeypatch.setattr(guard, "events", type(guard.events)())
    plan = Plan(made_for={"model": MODEL}, parts={"vocode": Planned(backend="torchscript", speedup=1.5)})
    monkeypatch.setattr(start, "plan_of", lambda *_: plan)
    with serving(tiny) as served:
        accounts = served.service.accounts
        assert isinstance(accounts, Accounts)
        _, admin = accounts.add_key("boss", scopes=[Scope.ADMIN])
        _, user = accounts.add_key("ann")
        yield served, f"Bearer {admin}", f"Bearer {user}"


def test_a_rollback_makes_every_part_plain(planned: tuple[Served, str, str]) -> None:
    """The part is shown as used, rolled back once, counted, and shown as plain everywhere."""
    served, admin, _ = planned
    before = served.ask("GET", "/admin/plan", Authorization=admin).json
    first = served.ask("POST", "/admin/plan/rollback", Authorization=admin).json
    second = served.ask("POST", "/admin/plan/rollback", Authorization=admin).json
    figures = served.ask("GET", "/metrics", Authorization=admin).body.decode()

    assert before["parts"] == [{"part": "vocode", "backend": "torchscript", "speedup": 1.5, "used": True}]
    assert (first["rolled_back"], second["rolled_back"]) == (["vocode"], [])
    assert second["parts"][0]["used"] is False
    assert second["events"] == [
        {"part": "vocode", "backend": "torchscript", "kind": "rolled back", "count": 1}
    ]
    assert guard.disabled(MODEL, "vocode")
    assert 'cosyrt_fallbacks_total{backend="torchscript",kind="rolled back",part="vocode"} 1.0' in figures
    assert 'cosyrt_plan{backend="torchscript",part="vocode"} 0.0' in figures
    ready = served.ask("GET", "/ready").json
    assert (ready["plan"], ready["rolled_back"]) == ({}, ["vocode"])


def test_it_is_for_admins(planned: tuple[Served, str, str]) -> None:
    """A user's key is refused, and nothing changes."""
    served, _, user = planned

    assert served.ask("GET", "/admin/plan", Authorization=user).status == 403
    assert served.ask("POST", "/admin/plan/rollback", Authorization=user).status == 403
    assert not guard.disabled(MODEL, "vocode")


def test_without_a_plan_there_is_nothing_to_roll_back(served: Served) -> None:
    """The answer is empty, not an error."""
    assert served.ask("POST", "/admin/plan/rollback").json == {"rolled_back": [], "parts": [], "events": []}
