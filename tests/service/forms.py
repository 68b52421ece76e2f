"""Forms as clients send them, and recordings to put into them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from cosyrt.audio import Audio
from tests.service.served import Answer, Served

BOUNDARY = "cosyrt-test-boundary"


def recording(format: str = "wav", seconds: float = 2.0) -> bytes:
    """A recording of noise that passes for speech, in a format."""
    samples = np.random.default_rng(0).standard_normal(int(seconds * 24_000)).astype(np.float32) / 10
    return written(Audio(samples, 24_000), format)


def written(audio: Audio, format: str) -> bytes:
    """The bytes of a file of that format."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{format}")
        audio.write(path)
        return path.read_bytes()


def encoded(fields: dict[str, str | bytes]) -> bytes:
    """A form: text fields as text, bytes as files."""
    out = io.BytesIO()
    for name, value in fields.items():
        is_file = isinstance(value, bytes)
        out.write(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode())
        out.write(b'; filename="a.wav"\r\nContent-Type: audio/x-wav' if is_file else b"")
        out.write(b"\r\n\r\n" + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")
    out.write(f"--{BOUNDARY}--\r\n".encode())
    return out.getvalue()


def post(served: Served, path: str, *, key: str = "", **fields: Any) -> Answer:
    """Send a form."""
    headers = {"content_type": f"multipart/form-data; boundary={BOUNDARY}"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    return served.ask("POST", path, encoded(fields), **headers)
