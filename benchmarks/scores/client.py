"""A plain client: whole answers, forms, and streams whose end is looked at closely."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.service.forms import BOUNDARY, encoded
from tests.service.served import Answer, asked

HOST = "127.0.0.1"


def ask(port: int, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> Answer:
    """Send a request and read all of the answer.

    Raises:
        OSError, HTTPException: there is no whole answer.
    """
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return asked(port, method, path, body, **headers)


def post(port: int, path: str, key: str = "", again: str = "", **fields: str | bytes) -> Answer:
    """Send a form, under an Idempotency-Key where one is given."""
    headers = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}
    if again:
        headers["Idempotency_Key"] = again
    return ask(port, "POST", path, encoded(fields), key, **headers)


@dataclass(slots=True, kw_only=True)
class Heard:
    """What a client heard of one stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    began: float = 0.0  # when it was asked for; points in time are of the monotonic clock
    answered: float = 0.0  # when the head of the answer came
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # and how many bytes came
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False  # it ended as HTTP says that a body ends

    @property
    def first_audio_s(self) -> float:
        """From the request to the first bytes of the body."""
        return self.arrivals[0][0] - self.began if self.arrivals else float("nan")

    def gap_s(self, bytes_a_second: float) -> float:
        """Longest silence of a player that began with the first bytes."""
        if not self.arrivals:
            return float("nan")
        longest, until = 0.0, self.arrivals[0][0]
        for at, count in self.arrivals:
            longest = max(longest, at - until)
            until = max(until, at) + count / bytes_a_second
        return longest


def request(path: str, body: dict[str, Any], key: str = "") -> bytes:
    """The bytes of a request for speech."""
    raw = json.dumps(body).encode()
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(raw)}\r\n{authorization}\r\n"
    return head.encode() + raw


async def hear(
    port: int, body: dict[str, Any], key: str = "", stop: Callable[[Heard], bool] | None = None
) -> Heard:
    """Ask for speech and hear it; where `stop` says so after some bytes, leave in the middle."""
    heard = Heard(began=time.monotonic())
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request("/v1/audio/speech", body, key))
        await _head(reader, heard)
        if "content-length" in heard.headers:
            heard.body += await reader.readexactly(int(heard.headers["content-length"]))
            heard.whole = True
        else:
            await _chunks(reader, heard, stop)
    except (asyncio.IncompleteReadError, OSError):
        pass  # not whole
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return heard


async def _head(reader: asyncio.StreamReader, heard: Heard) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    heard.status, heard.answered = int(head[0].split()[1]), time.monotonic()
    pairs = (line.partition(":") for line in head[1:] if line)
    heard.headers = {name.lower(): value.strip() for name, _, value in pairs}


async def _chunks(reader: asyncio.StreamReader, heard: Heard, stop: Callable[[Heard], bool] | None) -> None:
    while True:
        length = int(await reader.readuntil(b"\r\n"), 16)
        data = (await reader.readexactly(length + 2))[:-2]
        if not length:
            heard.whole = True
            return
        heard.arrivals.append((time.monotonic(), length))
        heard.body += data
        if stop is not None and stop(heard):
            return


def reset(raw: socket.socket) -> None:
    """Close a connection at once, as a client that crashed."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()
