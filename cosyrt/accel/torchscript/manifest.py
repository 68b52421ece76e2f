"""What is written beside an exported archive, so that it is never run where it does not belong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cosyrt.errors import ArchiveError, one_line
from cosyrt.files import replace_file

MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Where an archive is from and what was measured when it was made."""

    component: str  # such as flow.encoder
    precision: str  # fp32 or fp16
    dtype: str  # of its weights
    methods: list[str]
    archive_sha256: str
    checkpoint: str  # the file of weights it was made from
    checkpoint_sha256: str
    torch: str  # the release that made it
    cosyrt: str
    error: float  # largest distance from the plain model, in units of its largest output
    cases: int  # calls compared

    @classmethod
    def beside(cls, archive: Path) -> Manifest | None:
        """The manifest of an archive, or None where there is none.

        Raises:
            ArchiveError: it cannot be read.
        """
        path = path_beside(archive)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"larger than {MAX_BYTES} bytes")
            return cls.from_json(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            reason = one_line(error, 120)
            raise ArchiveError(f"the manifest {path} cannot be read: {reason}; export again") from error

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is not an object of exactly these fields.
        """
        read = json.loads(text)
        names = {field.name for field in fields(cls)}
        if not isinstance(read, dict) or set(read) != names:
            raise ValueError("it does not hold the fields of a manifest")
        kinds: dict[str, type] = {"error": float, "cases": int, "methods": list}
        for name, value in read.items():
            if not isinstance(value, kinds.get(name, str)):
                raise ValueError(f"{name!r} is a {type(value).__name__}")
        return cls(**read)

    def to_json(self) -> str:
        """One field a line."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def write_beside(self, archive: Path) -> None:
        """Write it; it appears whole or not at all."""
        replace_file(path_beside(archive), self.to_json().encode())


def path_beside(archive: Path) -> Path:
    """Where the manifest of an archive lies: flow.encoder.fp32.zip → flow.encoder.fp32.json."""
    return archive.with_suffix(".json")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
