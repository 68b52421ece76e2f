"""Who gets in: every route and WebSocket is closed unless it is on a short list, however it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route, WebSocketRoute

from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import UsageError
from cosyrt.service import page
from cosyrt.service.access import ALWAYS_OPEN, LISTS
from cosyrt.service.accounts import Accounts
from cosyrt.service.app import routes
from cosyrt.service.settings import Settings
from cosyrt.service.start import check_bind
from cosyrt.service.store import Store
from tests.service.served import Served, serving


@pytest.fixture(scope="module")
def closed(tiny: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A service with a key, and that key."""
    database = str(tmp_path_factory.mktemp("closed") / "service.db")
    with Store(database) as store:
        _, key = Accounts(store).add_key("ann")
    with serving(tiny, database=database) as served:
        yield served, key


def test_every_route_is_closed_without_a_key(closed: tuple[Served, str]) -> None:
    """All routes but those that are meant to be open answer 401, and so do unknown ones."""
    served, _ = closed
    paths = [
        (route.path, method)
        for route in routes(served.service).routes
        if isinstance(route, Route)
        for method in route.methods or ()
    ]
    paths += [
        ("/nothing", "GET"),
        ("/v1/audio/speech", "OPTIONS"),
        ("/health", "POST"),
        ("/v1/models", "DELETE"),
    ]
    meant = ALWAYS_OPEN | LISTS | page.paths()

    assert len(paths) > 10
    for path, method in paths:
        status = served.ask(method, path.replace("{model}", "tts-1")).status
        is_open = path in meant and method in ("GET", "HEAD")
        assert (status != 401) == is_open, f"{method} {path}: {status}"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audio/speech/",
        "//v1/audio/speech",
        "/v1/audio%2fspeech",
        "/health/../v1/audio/speech",
        "/health%2f",
        "/v1/models/",
    ],
)
def test_a_path_in_disguise_is_closed(closed: tuple[Served, str], path: str) -> None:
    """Slashes, dots and escapes lead around no gate, and neither does a host with a path in it."""
    served, _ = closed

    assert served.ask("POST", path, {"input": "Hi."}).status == 401
    assert served.ask("POST", "/v1/audio/speech", {"input": "Hi."}, Host="localhost/health?").status in (
        400,
        401,
    )


@pytest.mark.parametrize("wrong", ["cv_", "cv_aaaaaaaaaa_" + "a" * 43, "x" * 5_000, "é"])
def test_a_wrong_key_is_refused(closed: tuple[Served, str], wrong: str) -> None:
    """The error is OpenAI's, and names the scheme; on an open list a wrong key is wrong all the same."""
    served, _ = closed
    answer = served.ask("POST", "/v1/audio/speech", {"input": "Hi."}, Authorization=f"Bearer {wrong}")

    assert (answer.status, answer.error["type"]) == (401, "authentication_error")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert served.ask("GET", "/v1/models", Authorization=f"Bearer {wrong}").status == 401


def test_a_key_lets_in(closed: tuple[Served, str]) -> None:
    """A key is taken from either header; without one only the lists are answered."""
    served, key = closed

    assert (
        served.ask("POST", "/v1/audio/speech", {"input": "Hi."}, Authorization=f"Bearer {key}").status == 200
    )
    assert served.ask("GET", "/metrics", X_Api_Key=key).status == 200
    assert served.ask("GET", "/v1/audio/voices").status == 200
    assert (
        served.ask("GET", "/v1/models", Authorization="Bearer ").status == 200
    )  # as SillyTavern without a key


@pytest.mark.parametrize("path", ["/v1/models/", "/admin/keys/", "/v1/audio/speech/"])
def test_nothing_is_redirected(closed: tuple[Served, str], path: str) -> None:
    """A path with a slash too many is none: a redirect would lead wherever the Host header says."""
    served, key = closed
    answer = served.ask("GET", path, Authorization=f"Bearer {key}", Host="evil.example")

    assert answer.status == 404 and "location" not in answer.headers


def test_a_key_may_do_what_its_scopes_say(tiny: Pipeline, tmp_path: Path) -> None:
    """A key without the scope of speech is known, and refused."""
    from cosyrt.service.keys import Scope

    with serving(tiny, database=str(tmp_path / "service.db")) as served:
        accounts = served.service.accounts
        assert isinstance(accounts, Accounts)
        _, key = accounts.add_key("bob", scopes=[Scope.VOICES])
        answer = served.ask("POST", "/v1/audio/speech", {"input": "Hi."}, Authorization=f"Bearer {key}")

    assert (answer.status, answer.error["type"]) == (403, "permission_error")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://[::1", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("https://page.example", 200),
        (None, 200),
    ],
)
def test_web_pages_of_others(tiny: Pipeline, origin: str | None, status: int) -> None:
    """A page may call the service if it was named, or comes from the service itself."""
    headers = {} if origin is None else {"Origin": origin}
    with serving(tiny, origins="https://page.example") as served:
        assert served.ask("GET", "/v1/models", **headers).status == status
        assert served.ask("GET", "/v1/models", Origin=served.url).status == 200


@pytest.mark.parametrize(
    ("host", "status"), [("[::1", 403), ("evil.example", 403), ("mirror.lan:80", 200), ("[::1]", 200)]
)
def test_a_name_that_is_not_ours(tiny: Pipeline, host: str, status: int) -> None:
    """Without keys, a page that makes its own name point to this machine is refused."""
    with serving(tiny, hosts="mirror.lan") as served:
        assert served.ask("GET", "/v1/models", Host=host).status == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "mirror.lan"])
def test_other_machines_need_keys(host: str) -> None:
    """Without keys an address that others can reach is refused, in one line that says how."""
    with pytest.raises(UsageError, match="cosyrt keys add NAME"):
        check_bind(Settings(host=host), has_keys=False)
    check_bind(Settings(host=host), has_keys=True)
    check_bind(Settings(host=host, open=True), has_keys=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_this_machine_needs_none(host: str) -> None:
    """Loopback is open without keys."""
    check_bind(Settings(host=host), has_keys=False)


def test_no_socket_is_forgotten(closed: tuple[Served, str]) -> None:
    """WebSocket routes are part of the application, so that the gate stands before them."""
    served, _ = closed
    sockets = [route for route in routes(served.service).routes if isinstance(route, WebSocketRoute)]
    for route in sockets:
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        assert served.ask("GET", route.path, **upgrade).status == 401


def test_a_page_that_was_named_can_read_the_answer(tiny: Pipeline) -> None:
    """Browsers ask first, without the key, and show a page only the headers that it may see."""
    page = {"Origin": "https://page.example", "Access_Control_Request_Method": "POST"}
    with serving(tiny, origins="https://page.example") as served:
        asked = served.ask(
            "OPTIONS", "/v1/audio/speech", **page, Access_Control_Request_Headers="authorization"
        )
        other = served.ask("OPTIONS", "/v1/audio/speech", **{**page, "Origin": "http://evil.example"})
        answer = served.ask("GET", "/v1/models", Origin="https://page.example")

    assert (asked.status, asked.headers["access-control-allow-origin"]) == (200, "https://page.example")
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-origin" not in other.headers
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
