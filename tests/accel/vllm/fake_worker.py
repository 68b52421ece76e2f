"""A worker without vLLM: a process that talks as the real one does and counts in place of speaking.

Its argument is a mode. A request is given 0, 1, 2 … and an end, two tokens
in each message but for the last; the mode says what is different.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import cosyrt
from cosyrt.accel.vllm.wire import messages, send

END = 4_000


def speak(mode: str, header: dict[str, Any], data: bytes, cancelled: int) -> None:
    """Answer one request."""
    name = header["request"]
    positions = len(data) // 4 // header["width"]
    if mode == "refuse":
        send(sys.stdout.buffer, {"kind": "error", "request": name, "reason": f"{positions} positions"})
        return
    if mode == "die":
        sys.stderr.write("Traceback\nMemoryError: no room for the cache\n")
        sys.stderr.flush()
        os._exit(3)
    tokens = [cancelled] if mode == "endless" else [*range(header["most"] - 1), END]
    for start in range(0, len(tokens), 2):
        some = tokens[start : start + 2]
        over = mode != "endless" and some[-1] == END
        told = {"kind": "tokens", "request": name, "tokens": some, "over": over}
        send(sys.stdout.buffer, told | {"failed": mode == "fail" and over})


def main() -> None:
    mode, cancelled = sys.argv[1], 0
    if mode == "broken":
        send(sys.stdout.buffer, {"kind": "failed", "reason": "ValueError: no such model"})
        return
    if mode == "torchvision":
        reason = "RuntimeError: operator torchvision::nms does not exist"
        send(sys.stdout.buffer, {"kind": "failed", "reason": reason})
        return
    if mode == "silent":
        return
    version = "0.0.1" if mode == "old" else cosyrt.__version__
    send(sys.stdout.buffer, {"kind": "ready", "version": version})
    for header, data in messages(sys.stdin.buffer):
        if header["kind"] == "cancel":
            cancelled += 1
        else:
            speak(mode, header, data, cancelled)


if __name__ == "__main__":
    main()
