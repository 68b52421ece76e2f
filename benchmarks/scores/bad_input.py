"""S6: input that no program should send: as JSON, bare HTTP, WebSocket events, recordings, files of models.

Whatever it is, it is answered or refused: no status of 500 and more, no hang, no crash, no growing memory.
"""

from __future__ import annotations

import json
import random
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from benchmarks.scores import file_mutants
from benchmarks.scores.client import HOST
from benchmarks.scores.lives import Life, Lives
from benchmarks.scores.score import Score, Tell
from tests.service.forms import recording

NAME, TITLE = "S6", "Bad input"
MOST_S, MOST_BYTES = 3.0, 64 << 20
A_SOCKET = 50  # events
RECEIVE_S = 1.0  # a request must arrive in; what is never finished is cut by then
ROUTES = (
    ("POST", "/v1/audio/speech", {"input": "Hi.", "voice": "tom", "response_format": "pcm"}),
    ("POST", "/api/tts", {"text": "Hi.", "speaker": "tom"}),
    ("PUT", "/api/speaker", {"speaker": "tom"}),
    ("POST", "/v1/audio/voice_consents/cons_x", {"name": "me"}),
)
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 2**70, "", " ", "\0", "\ud800", "None", "x" * 5_000, "'; DROP TABLE voices; --",
    "../../etc/passwd", "<|endofprompt|>", "\u202e", "9" * 400, "(" * 2_000, [], {}, [[]] * 50, {"id": None},
    {"id": "x" * 500}, "data:audio/wav;base64,AAAA", "http://169.254.169.254/", "file:///etc/shadow",
    "😀" * 200,
)  # fmt: skip
FIELDS = (
    "input text voice speaker model response_format speed instructions stream stream_format seed language "
    "sample_rate ref_audio ref_text name statement"
).split()
_SPEECH = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\n"
_FORM = b"POST /v1/audio/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data"
_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
RAW = (
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",  # the beginning of TLS
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    _SPEECH + b"Content-Length: -5\r\n\r\n",
    _SPEECH + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n{}",
    _SPEECH + b"Content-Length: 99999999999\r\n\r\n{",
    _SPEECH + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    _SPEECH + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    _SPEECH + b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    _GET + b"X: y\r\n" * 2_000 + b"\r\n",
    _GET + b"X: " + b"y" * 30_000,
    b"GET /%ff%00%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    _FORM + b"\r\nContent-Length: 2\r\n\r\n{}",
    _FORM + b"; boundary=x\r\nContent-Length: 12\r\n\r\n--x\r\n\r\n--x--",
    b"\r\n" * 5_000,
    b"",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How many of each kind."""

    bodies: int
    raw: int
    events: int
    uploads: int
    files: int  # of models and sounds, in a process of their own
    seed: int = 0


FAST = Amount(bodies=20, raw=len(RAW), events=30, uploads=1, files=40)
FULL = Amount(bodies=1_500, raw=1_500, events=1_500, uploads=30, files=8_000)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Send it all to one service."""
    found = Score(NAME, TITLE)
    chance = random.Random(amount.seed)
    with lives.one(receive_s=RECEIVE_S, require_consent=False, max_queue=64) as life:
        life.speak()
        before = life.memory_bytes()
        statuses = Counter(
            _body(life, chance, number, amount, tell, found) for number in found.rounds(amount.bodies, 0.5)
        )
        _raw_all(life, chance, amount, tell, found)
        events = _events(life, chance, amount, tell, found)
        uploads = _uploads(life, chance, amount, tell, found)
        found.expect(life.wait_idle(), "something still runs")
        grown = life.memory_bytes() - before
        found.expect(grown < MOST_BYTES * 2, f"{grown >> 20} MB more memory")
        found.expect(life.speak().status == 200, "the service does not speak any more")
        log = life.log.read_text(errors="replace")
        found.expect("Traceback" not in log, f"a traceback: {log[log.find('Traceback') :][:600]}")
    kinds = lives.call(file_mutants.tried, amount.files, amount.seed)
    found.surprises += kinds.pop("surprises")
    bodies = statuses.total()
    tried = bodies + amount.raw + events + uploads + sum(kinds.values())
    found.figures.append(
        f"{tried} tried: {bodies} bodies ({_shares(statuses)}), {amount.raw} of bare bytes, "
        f"{events} events, {uploads} recordings, "
        f"{', '.join(f'{count} {kind}' for kind, count in kinds.items())}; {grown >> 20} MB more memory"
    )
    return found


def _shares(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))


def _body(life: Life, chance: random.Random, number: int, amount: Amount, tell: Tell, found: Score) -> int:
    """Spoil a good body in one or two places; what it was answered."""
    method, path, good = chance.choice(ROUTES)
    body = {**good, **{chance.choice(FIELDS): chance.choice(VALUES) for _ in range(chance.randint(1, 2))}}
    raw = json.dumps(body).encode()
    if chance.random() < 0.2:
        raw = file_mutants.mutated(raw, chance)
    began = time.monotonic()
    answer = life.ask(method, path, raw, content_type="application/json")
    took = time.monotonic() - began
    found.expect(answer.status < 500, f"{answer.status} to {path} {raw[:200]!r}")
    found.expect(answer.status == 200 or took < MOST_S, f"{took:.1f} s for {path} {raw[:200]!r}")
    if number % 50 == 0:
        tell(f"{number} of {amount.bodies} bodies")
    return answer.status


def _raw_all(life: Life, chance: random.Random, amount: Amount, tell: Tell, found: Score) -> None:
    """Send bare bytes: the known ones, then spoilt ones; many wait at once for what never comes."""
    from concurrent.futures import ThreadPoolExecutor

    spoilt = [file_mutants.mutated(chance.choice(RAW), chance) for _ in range(amount.raw - len(RAW))]
    sent = [*RAW, *spoilt]
    with ThreadPoolExecutor(32) as threads:
        for number, (raw, (took, head)) in enumerate(
            zip(sent, threads.map(lambda each: _raw(life.port, each), sent), strict=True)
        ):
            found.expect(took < MOST_S + RECEIVE_S, f"{took:.1f} s for {raw[:100]!r}")
            server_error = head.startswith(b"HTTP/1.1 5") and not head.startswith(b"HTTP/1.1 503")
            found.expect(not server_error, f"{head[:30]!r} to {raw[:100]!r}")
            if number % 50 == 0:
                tell(f"{number} of {amount.raw} of bare bytes")


def _raw(port: int, data: bytes) -> tuple[float, bytes]:
    """How long a connection lived that sent these bytes, and how its answer begins."""
    began, head = time.monotonic(), b""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=30) as raw:
        raw.sendall(data)
        if not data:
            raw.shutdown(socket.SHUT_WR)
        head = raw.recv(65_536)
    return time.monotonic() - began, head


def _events(life: Life, chance: random.Random, amount: Amount, tell: Tell, found: Score) -> int:
    """Send events to both sockets, each of which is closed and opened again; how many were sent."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    kinds = (
        "session.config input.text input.flush input.done input.cancel session.update response.create "
        "response.cancel conversation.item.create nothing"
    ).split()
    sent = 0
    for _ in found.rounds(max(1, amount.events // A_SOCKET), 0.8):
        path = chance.choice(("/v1/audio/speech/stream", "/v1/realtime"))
        with connect(f"ws://{HOST}:{life.port}{path}", max_size=None) as client:
            try:
                for _ in range(min(A_SOCKET, amount.events)):
                    event: Any = {"type": chance.choice(kinds)}
                    event |= {chance.choice((*FIELDS, "session", "response", "item")): chance.choice(VALUES)}
                    text = json.dumps(event)
                    damaged = chance.random() < 0.1
                    client.send(file_mutants.mutated(text.encode(), chance) if damaged else text)
                    sent += 1
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 0
                found.expect(code not in (1011, 0), f"a socket ended with {code} after {text[:200]}")
        tell(f"{sent} of {amount.events} events")
    return sent


def _uploads(life: Life, chance: random.Random, amount: Amount, tell: Tell, found: Score) -> int:
    """Send damaged recordings; one that can still be heard becomes a voice. How many were sent."""
    number = 0
    for number in found.rounds(amount.uploads, 0.9):
        sound = file_mutants.mutated(recording(chance.choice(("wav", "flac", "mp3")), 1.0), chance)
        answer = life.post("/v1/audio/voices", name=f"voice {number}", audio_sample=sound)
        found.expect(answer.status in (200, 400), f"{answer.status} to a recording: {answer.body[:200]!r}")
        tell(f"{number + 1} of {amount.uploads} recordings")
    return number + 1
