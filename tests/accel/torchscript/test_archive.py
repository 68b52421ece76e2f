"""An archive that does not belong here is refused, each time with its own line; one that does runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.accel.torchscript.archive import Archive, Manifest, path_beside, read, weight_dtype
from cosyrt.accel.torchscript.cosyvoice2 import ScriptedUpsampleConformer
from cosyrt.errors import ArchiveError
from cosyrt.files import file_sha256
from cosyrt.lab.export import Exported, optimised
from tests.tiny import flow

Change = Callable[..., Manifest]


@pytest.fixture
def archive(exported: dict[str, Exported], tmp_path: Path) -> Path:
    """A float32 archive and its manifest, to be spoilt."""
    path = tmp_path / "flow.encoder.fp32.zip"
    shutil.copy(exported["fp32"].path, path)
    shutil.copy(path_beside(exported["fp32"].path), path_beside(path))
    return path


@pytest.fixture
def checkpoint(tiny_folder: Path) -> Path:
    return tiny_folder / "flow.safetensors"


def rewrite(archive: Path, **fields: object) -> None:
    """Change what the manifest says."""
    manifest = Manifest.beside(archive)
    assert manifest is not None
    replace(manifest, **fields).write_beside(archive)  # type: ignore[arg-type]


def refusal(archive: Path, checkpoint: Path, needs: tuple[str, ...] = ("forward",)) -> str:
    """The one line that says why."""
    with pytest.raises(ArchiveError) as caught:
        Archive.open(archive, checkpoint=checkpoint, needs=needs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_one_opens(archive: Path, checkpoint: Path) -> None:
    """Component and precision come from its name, the rest from its manifest."""
    opened = Archive.open(archive, checkpoint=checkpoint)

    assert (opened.component, opened.precision, opened.dtype) == ("flow.encoder", "fp32", torch.float32)
    assert opened.has("forward_chunk")
    assert opened.arguments("forward")[:3] == ["xs", "xs_lens", "context"]


def test_a_missing_one_names_the_command(tmp_path: Path, checkpoint: Path) -> None:
    """The line can be pasted into a shell."""
    line = refusal(tmp_path / "flow.encoder.fp16.zip", checkpoint)

    assert "there is no" in line
    assert "cosyrt export --format torchscript --precision fp16" in line


def test_another_torch(archive: Path, checkpoint: Path) -> None:
    """Both releases are named."""
    rewrite(archive, torch="1.13.1")

    assert f"made by torch 1.13.1, this is {torch.__version__.partition('+')[0]}" in refusal(
        archive, checkpoint
    )


def test_another_checkpoint(archive: Path, tmp_path: Path) -> None:
    """The weights beside it are not those it was made from."""
    other = tmp_path / "flow.safetensors"
    other.write_bytes(b"other weights")

    assert "another checkpoint" in refusal(archive, other)


def test_a_mislabelled_precision(archive: Path, checkpoint: Path, exported: dict[str, Exported]) -> None:
    """float16 under the name fp32, with a manifest that agrees with the name: the weights decide."""
    shutil.copy(exported["fp16"].path, archive)
    rewrite(archive, archive_sha256=exported["fp16"].manifest.archive_sha256)

    assert "is named fp32 and holds float16 weights" in refusal(archive, checkpoint)


def test_upstreams_swapped_names_are_found_without_a_manifest(
    exported: dict[str, Exported], checkpoint: Path, tmp_path: Path
) -> None:
    """An old upstream release wrote float32 as fp16; the file itself tells."""
    swapped = tmp_path / "flow.encoder.fp16.zip"
    shutil.copy(exported["fp32"].path, swapped)

    assert "is named fp16 and holds float32 weights" in refusal(swapped, checkpoint)


def test_a_renamed_one_says_what_it_was(archive: Path, checkpoint: Path) -> None:
    """The manifest went along and knows the old name."""
    renamed = archive.with_name("flow.encoder.fp16.zip")
    archive.rename(renamed)
    path_beside(archive).rename(path_beside(renamed))

    assert "was exported as flow.encoder.fp32.zip" in refusal(renamed, checkpoint)


def test_a_missing_method(archive: Path, checkpoint: Path) -> None:
    """Without a manifest, what upstream calls must be there."""
    script = optimised(ScriptedUpsampleConformer(flow().encoder), keeps=())
    script.save(str(archive))
    path_beside(archive).unlink()

    line = refusal(archive, checkpoint, needs=("forward", "forward_chunk"))
    assert "has no method 'forward_chunk', so it cannot be streamed" in line


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_truncated_one(archive: Path, checkpoint: Path, part: float) -> None:
    """The end of a zip file is where its table lies."""
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(part * len(whole))])

    assert "is cut short" in refusal(archive, checkpoint)


def test_one_with_a_flipped_byte(archive: Path, checkpoint: Path) -> None:
    """The manifest knows every byte."""
    spoilt = bytearray(archive.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    archive.write_bytes(spoilt)

    assert "is not the file that flow.encoder.fp32.json was written for" in refusal(archive, checkpoint)


def test_a_zip_of_something_else(tmp_path: Path, checkpoint: Path) -> None:
    """A zip file need not be TorchScript."""
    shutil.make_archive(str(tmp_path / "flow.encoder.fp32"), "zip", root_dir=Path(__file__).parent)

    assert "cannot be read as TorchScript" in refusal(tmp_path / "flow.encoder.fp32.zip", checkpoint)


def test_another_name_is_no_archive(tmp_path: Path, checkpoint: Path) -> None:
    """Only upstream's names are looked for."""
    assert "must be like flow.encoder.fp32.zip" in refusal(tmp_path / "encoder.zip", checkpoint)


def test_a_manifest_that_is_no_json(archive: Path, checkpoint: Path) -> None:
    """The error names the manifest, not the archive."""
    path_beside(archive).write_text("{")

    assert "the manifest" in refusal(archive, checkpoint)


def test_the_weights_say_what_they_are(exported: dict[str, Exported]) -> None:
    """fp32 holds float32, fp16 holds float16: read from the constants that freezing made."""
    dtypes = {name: weight_dtype(read(each.path, None)) for name, each in exported.items()}

    assert dtypes == {"fp32": torch.float32, "fp16": torch.float16}


def test_the_manifest_is_what_a_person_can_read(archive: Path) -> None:
    """JSON, one field a line."""
    read = json.loads(path_beside(archive).read_text())

    assert read["component"] == "flow.encoder"
    assert read["dtype"] == "float32"
    assert 0 < read["error"] < 1e-5


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

    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
