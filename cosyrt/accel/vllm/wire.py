"""Messages between the engine and its worker: a line of JSON, then as many bytes as it says.

No message is ever code: whatever either side sends, the other reads numbers and text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

DATA = "bytes"  # of a header: how many follow
LONGEST_LINE, MOST_DATA = 1 << 20, 1 << 30

Message = tuple[dict[str, Any], bytes]


def send(stream: BinaryIO, header: dict[str, Any], data: bytes = b"") -> None:
    """Write one message.

    Raises:
        OSError: the other side is gone.
    """
    stream.write(json.dumps(header | {DATA: len(data)}).encode() + b"\n" + data)
    stream.flush()


def messages(stream: BinaryIO) -> Iterator[Message]:
    """Read messages to the end of a stream, which may come in the middle of one.

    Raises:
        ValueError: what was read is no message.
    """
    while (line := stream.readline(LONGEST_LINE)).endswith(b"\n"):
        header = json.loads(line)
        size = header.pop(DATA)
        if not 0 <= size <= MOST_DATA:
            raise ValueError(f"a message of {size} bytes")
        data = stream.read(size)
        if len(data) < size:
            return
        yield header, data
