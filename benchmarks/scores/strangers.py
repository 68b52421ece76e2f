"""S7: every route and WebSocket, asked by everybody who may not, in every disguise of its path.

Denied is denied: 401, or 429 after many wrong keys; 403 where a key is good but not for this. What belongs
to another account is 404. Never 2xx, never 5xx.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from starlette.routing import Route, WebSocketRoute

from benchmarks.scores.client import HOST
from benchmarks.scores.lives import Life, Lives
from benchmarks.scores.score import Score, Tell
from tests.service.forms import recording
from tests.service.served import WAIT_S

NAME, TITLE = "S7", "Strangers kept out"
KEYS = "/admin/keys"
VOICES, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"
DISGUISES = ("{}", "{}/", "/{}", "{}?key=1", "/health/..{}", "{}%2f", "{};x", "{}%00", "/./{}", "{}#")
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Host": "localhost/health?"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Original-URL": "/health"},
    {"X-HTTP-Method-Override": "GET"},
)
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many disguises of each request."""

    disguises: int
    headers: int


FAST = Amount(disguises=1, headers=1)
FULL = Amount(disguises=len(DISGUISES), headers=len(HEADERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Somebody with a key, or without one."""

    name: str
    key: str | None
    known: bool = False  # the key is good, for something


class Asking:
    """One connection that is used again and again."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.connection = HTTPConnection(HOST, life.port, timeout=WAIT_S)
        self.count = 0

    def status(self, method: str, path: str, key: str | None, headers: dict[str, str]) -> int:
        """The status of one request; 0 where the connection was closed instead of an answer."""
        self.count += 1
        given = {**headers, **({} if key is None else {"Authorization": f"Bearer {key}"})}
        body = b"{}" if method in ("POST", "PUT") else None
        if body:
            given["Content-Type"] = "application/json"
        try:
            self.connection.request(method, path, body, given)
            response = self.connection.getresponse()
            if response.status == 101:
                self.connection.close()
                return 101
            response.read()
        except (OSError, HTTPException):
            self.connection.close()
            return 0
        return response.status


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Ask for everything as everybody."""
    found = Score(NAME, TITLE)
    with lives.one() as life:
        askers = list(_askers(life))
        admin = next(each.key for each in askers if each.name == "admin")
        asking = Asking(life)
        with closing(asking.connection):
            _matrix(asking, askers, amount, tell, found)
            _sockets(asking, askers, found)
        others = _others(life, admin or "", found)
    found.figures.append(
        f"{asking.count} requests of {len(askers)} askers, {others} for what is another's: "
        f"{len(found.surprises)} let in"
    )
    return found


def _askers(life: Life) -> Iterator[Asker]:
    """Everybody, from nobody to an admin."""
    admin = life.ask("POST", KEYS, {"name": "admin", "scopes": ["admin"]}).json["key"]

    def key(name: str, **fields: Any) -> str:
        return str(life.ask("POST", KEYS, {"name": name, **fields}, admin).json["key"])

    short, revoked = key("short", expires_in_s=1), key("revoked")
    identifier = revoked.split("_")[1]
    life.ask("DELETE", f"{KEYS}/{identifier}", None, admin)
    time.sleep(1.1)
    yield Asker(name="nobody", key=None)
    yield Asker(name="empty", key="")
    yield Asker(name="malformed", key="cv_")
    yield Asker(name="unknown", key="cv_aaaaaaaaaa_" + "a" * 43)
    yield Asker(name="wrong secret", key=admin[:-4] + "AAAA")
    yield Asker(name="expired", key=short)
    yield Asker(name="revoked", key=revoked)
    yield Asker(name="speaks only", key=key("speaker", scopes=["speech"]), known=True)
    yield Asker(name="user", key=key("user"), known=True)
    yield Asker(name="admin", key=admin, known=True)


def requests() -> Iterator[tuple[str, str]]:
    """Method and path of every route, and of some that are none."""
    from cosyrt.service.app import ROUTERS

    for each in ROUTERS:
        for route in each.router.routes:
            if isinstance(route, Route):
                path = re.sub(r"\{\w+\}", "x", route.path)
                yield from ((method, path) for method in sorted((route.methods or set()) | {"OPTIONS"}))
    yield from (
        ("GET", "/nothing"),
        ("POST", "/v1"),
        ("DELETE", "/"),
        ("PATCH", KEYS),
        ("TRACE", "/v1/models"),
    )


def is_open(method: str, path: str, key: str | None) -> bool:
    """Whether a request is answered to everybody, or to everybody who shows no key."""
    from cosyrt.service import page
    from cosyrt.service.access import ALWAYS_OPEN, LISTS

    reads = method in ("GET", "HEAD")
    return reads and (path in ALWAYS_OPEN | page.paths() or (path in LISTS and not key))


def _matrix(asking: Asking, askers: list[Asker], amount: Amount, tell: Tell, found: Score) -> None:
    for asker in askers:
        tell(f"asking as {asker.name}")
        for method, plain in requests():
            if asker.name == "admin" and method not in ("GET", "HEAD", "OPTIONS"):
                continue  # who may do everything does it
            for disguise in DISGUISES[: amount.disguises]:
                for headers in HEADERS[: amount.headers]:
                    path = disguise.format(plain)
                    status = asking.status(method, path, asker.key, headers)
                    _judge(asker, method, path, plain, status, found)


def _judge(asker: Asker, method: str, path: str, plain: str, status: int, found: Score) -> None:
    where = f"{asker.name}: {method} {path} → {status}"
    found.expect(status < 500 or status == 501, where)
    if is_open(method, path.partition("?")[0].partition("#")[0], asker.key):
        return
    if not asker.known:
        found.expect(status in (0, 400, 401, 429), where)
    elif plain.startswith("/admin") and asker.name != "admin":
        found.expect(status in (0, 400, 403, 404, 405), where)


def _sockets(asking: Asking, askers: list[Asker], found: Score) -> None:
    from cosyrt.service.app import ROUTERS

    paths = [
        route.path for each in ROUTERS for route in each.router.routes if isinstance(route, WebSocketRoute)
    ]
    found.expect(len(paths) >= 2, "there are no WebSockets")
    for asker in askers:
        for path in paths:
            status = asking.status("GET", path, asker.key, UPGRADE)
            allowed = (101,) if asker.known else (401, 429)
            found.expect(status in allowed, f"{asker.name}: WebSocket {path} → {status}")


def _others(life: Life, admin: str, found: Score) -> int:
    """Ask as one account for everything of another; the number of requests is returned."""
    ann, bob = (str(life.ask("POST", KEYS, {"name": name}, admin).json["key"]) for name in ("ann", "bob"))
    sound = recording(seconds=1.0)
    consent = life.post(CONSENTS, ann, name="ann", language="en", recording=sound).json["id"]
    voice = life.post(VOICES, ann, name="hers", consent=consent, audio_sample=sound).json["id"]
    before = life.ask("GET", f"{VOICES}/{voice}", None, ann).json
    tries = [
        ("GET", f"{VOICES}/{voice}", None),
        ("DELETE", f"{VOICES}/{voice}", None),
        ("GET", f"{CONSENTS}/{consent}", None),
        ("POST", f"{CONSENTS}/{consent}", {"name": "mine"}),
        ("DELETE", f"{CONSENTS}/{consent}", None),
        ("GET", f"{CONSENTS}?after={consent}", None),
        ("PUT", "/api/speaker", {"speaker": voice}),
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": voice}),
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": {"id": voice}}),
        ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": "hers"}),
        ("POST", "/api/tts", {"text": "Hi.", "speaker": voice}),
    ]
    for method, path, body in tries:
        status = life.ask(method, path, body, bob).status
        found.expect(status == 404, f"bob, of what is ann's: {method} {path} → {status}")
    used = life.post(VOICES, bob, name="b", consent=consent, audio_sample=sound).status
    found.expect(used == 404, f"bob used ann's consent: {used}")
    for path in (VOICES, CONSENTS, "/api/speakers"):
        listed = life.ask("GET", path, None, bob).body.decode()
        found.expect(voice not in listed and consent not in listed, f"{path} lists ann's to bob")
    found.expect(life.ask("GET", f"{VOICES}/{voice}", None, ann).json == before, "ann's voice has changed")
    return len(tries) + 4
