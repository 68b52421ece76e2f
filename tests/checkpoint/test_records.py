"""The records of an archive are found where they lie, or the archive is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch

from cosyrt.checkpoint.records import Records, _BoundedReads
from cosyrt.errors import WeightsError


def rewritten(path: Path, **changed: bytes) -> Path:
    """A saved file with some of its members replaced, by the names before their dots."""
    torch.save({"a": torch.arange(4)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, changed.get(name.partition("/")[2].partition(".")[0], content))
    return path


def test_records_lie_where_they_are_found(tmp_path: Path) -> None:
    """The bytes at a span are those that the archive holds under its name."""
    path = tmp_path / "llm.pt"
    torch.save({"a": torch.arange(4), "b": torch.ones(3)}, path)

    records, content = Records.of(path), path.read_bytes()

    with zipfile.ZipFile(path) as archive:
        for name, span in records.spans.items():
            assert content[span.start : span.start + span.size] == archive.read(f"llm/{name}")
    assert (
        records.program(10_000)
        == content[records.spans["data.pkl"].start :][: records.spans["data.pkl"].size]
    )


def test_a_big_program_is_refused_unread(tmp_path: Path) -> None:
    """The program's size is judged by the directory."""
    records = Records.of(rewritten(tmp_path / "llm.pt", data=b"N" * 5000))

    with pytest.raises(WeightsError, match="has 5000 bytes beside its tensors"):
        records.program(4999)


def test_a_foreign_byte_order_is_refused(tmp_path: Path) -> None:
    """Numbers with the high byte first would be read as others."""
    with pytest.raises(WeightsError, match="big-endian"):
        Records.of(rewritten(tmp_path / "llm.pt", byteorder=b"big")).program(10_000)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_record_twice_is_refused(tmp_path: Path) -> None:
    """Two readers of such an archive would take different ones."""
    path = rewritten(tmp_path / "llm.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("llm/data.pkl", b"N.")

    with pytest.raises(WeightsError, match=r"damaged at its record 'data\.pkl'"):
        Records.of(path)


def test_a_record_outside_the_file_is_refused(tmp_path: Path) -> None:
    """A directory that says more bytes than the file has is not believed."""
    path = rewritten(tmp_path / "llm.pt")
    content = path.read_bytes()
    at = content.index(b"PK\1\2") + 20
    path.write_bytes(content[:at] + (10**9).to_bytes(4, "little") * 2 + content[at + 8 :])

    with pytest.raises(WeightsError, match="is damaged at its record"):
        Records.of(path)


def test_a_large_directory_is_not_read(tmp_path: Path) -> None:
    """A sparse file whose directory would be four gigabytes costs nothing."""
    path = tmp_path / "llm.pt"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
        file.seek(0, io.SEEK_END)
        counts = (60_000).to_bytes(2, "little") * 2
        file.write(
            b"PK\5\6" + bytes(4) + counts + (3_000_000_000).to_bytes(4, "little") + bytes(4) + bytes(2)
        )

    with pytest.raises(zipfile.BadZipFile, match="its directory has 3000000000 bytes"):
        Records.of(path)


def test_reads_without_a_size_are_bounded(tmp_path: Path) -> None:
    """A read of all that is left gives a directory's bytes at most."""
    (tmp_path / "x").write_bytes(b"x" * 8_000_001)
    with _BoundedReads(io.FileIO(tmp_path / "x")) as file:
        assert len(file.read()) == 8_000_000
