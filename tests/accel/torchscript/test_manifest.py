"""What is written beside an archive, read back, and refused when it is anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.accel.torchscript.manifest import Manifest, path_beside, sha256
from cosyrt.errors import ArchiveError

MANIFEST = Manifest(
    component="flow.encoder",
    precision="fp32",
    dtype="float32",
    methods=["forward"],
    archive_sha256="ab",
    checkpoint="flow.pt",
    checkpoint_sha256="cd",
    torch="2.13.0",
    cosyrt="0.1.0",
    error=1e-6,
    cases=24,
)


def test_it_reads_back_what_it_wrote(tmp_path: Path) -> None:
    """Every field survives; the name is the archive's with .json."""
    archive = tmp_path / "flow.encoder.fp32.zip"
    MANIFEST.write_beside(archive)

    assert path_beside(archive).name == "flow.encoder.fp32.json"
    assert Manifest.beside(archive) == MANIFEST


def test_upstreams_archives_have_none(tmp_path: Path) -> None:
    """No file is no error."""
    assert Manifest.beside(tmp_path / "flow.encoder.fp32.zip") is None


@given(st.text() | st.dictionaries(st.text(), st.integers()).map(json.dumps))
def test_nothing_else_is_taken_for_one(text: str) -> None:
    """Any other text or JSON is a ValueError, whatever it is."""
    with pytest.raises(ValueError):
        Manifest.from_json(text)


@pytest.mark.parametrize("change", [{"methods": "forward"}, {"error": "small"}, {"torch": None}, {"new": 1}])
def test_a_field_of_another_kind_is_refused_in_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    """The error names the file and what to do."""
    archive = tmp_path / "flow.encoder.fp32.zip"
    path_beside(archive).write_text(json.dumps(json.loads(MANIFEST.to_json()) | change))

    with pytest.raises(ArchiveError, match=r"manifest .*fp32\.json cannot be read: .*; export again"):
        Manifest.beside(archive)


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    """SHA-256, as every tool prints it."""
    (tmp_path / "x").write_bytes(b"abc")

    assert sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
