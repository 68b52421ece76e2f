"""`cosyrt export`: a line an archive for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosyrt.cli import main
from cosyrt.lab import export as exporting


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check has tests of its own, and takes seconds."""
    monkeypatch.setattr(exporting, "check_archive", lambda *files: 3e-7)


def run(*args: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["export", "--format", "torchscript", *map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def test_a_line_an_archive(tiny_folder: Path, tmp_path: Path, unchecked: None) -> None:
    """Path, size, what it holds, and how far it is from the model."""
    code, out, _ = run(tiny_folder, "--out", tmp_path)

    assert code == 0
    assert [line.split(" · ")[2] for line in out.splitlines()] == ["float32", "float16"]
    assert str(tmp_path / "flow.encoder.fp32.zip") in out
    assert "error 3.0e-07 over 24 calls" in out


def test_json_holds_the_manifests(tiny_folder: Path, tmp_path: Path, unchecked: None) -> None:
    """One object; --precision chooses."""
    code, out, _ = run(tiny_folder, "--out", tmp_path, "--precision", "fp16", "--json")
    facts = json.loads(out)

    assert code == 0
    assert facts["family"] == "cosyvoice2"
    assert [(Path(each["path"]).name, each["dtype"]) for each in facts["archives"]] == [
        ("flow.encoder.fp16.zip", "float16")
    ]


def test_without_out_the_archives_lie_where_upstream_looks(
    tiny_folder: Path, tmp_path: Path, unchecked: None
) -> None:
    """In the model folder itself."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    code, _, _ = run(folder, "--precision", "fp32", "-q")

    assert code == 0
    assert (folder / "flow.encoder.fp32.zip").is_file()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """The error of the model folder, and its exit code."""
    code, out, err = run(tmp_path / "none")

    assert (code, out) == (3, "")
    assert "no model folder" in err


def test_cosyvoice_3_says_what_helps_instead(tmp_path: Path) -> None:
    """Nothing to export is no failure; the JSON says it too."""
    (tmp_path / "cosyvoice3.yaml").write_text("llm: !new:cosyvoice.llm.llm.CosyVoice3LM {}\n")
    code, out, _ = run(tmp_path)
    facts = json.loads(run(tmp_path, "--json")[1])

    assert code == 0
    assert out.startswith("nothing to export. CosyVoice 3 has no encoder")
    assert facts["archives"] == []
    assert "CUDA graphs" in facts["instead"]


def test_graphs_are_written_too(tiny1_folder: Path, tmp_path: Path) -> None:
    """`--format onnx`: a line a graph, or one object; CosyVoice 1 has one."""
    asked = ["export", "--format", "onnx", str(tiny1_folder), "--out", str(tmp_path)]
    made = CliRunner().invoke(main, asked)
    code, out = made.exit_code, made.stdout
    assert code == 0 and out.startswith(str(tmp_path / "flow.decoder.estimator.fp32.onnx"))
    assert "over 10 calls" in out

    facts = json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)
    assert facts["family"] == "cosyvoice" and [graph["cases"] for graph in facts["graphs"]] == [10]
