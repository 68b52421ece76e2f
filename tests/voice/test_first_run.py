"""An encoder that was never run here runs in a process of its own, with limits, and is trusted after."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import cosyrt
from cosyrt.errors import WeightsError
from cosyrt.voice import first_run
from cosyrt.voice.first_run import encoded, is_trusted
from cosyrt.voice.onnx_encoder import run
from tests.voice.onnx_models import OPSET, write_campplus, write_speech_tokenizer

FEATURES = np.random.default_rng(0).standard_normal((1, 98, 80)).astype(np.float32)
BUILTIN = Path(cosyrt.__file__).parent / "builtin"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which nothing is trusted yet."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "cache" / "plans"))
    return tmp_path / "cache" / "encoders"


def write_large(path: Path, size: int, *, products: int) -> Path:
    """Write a graph of a few bytes that multiplies square matrices of that size, so many times."""
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{at}", f"m{at}"], [f"m{at + 1}"]) for at in range(products)]
    nodes += [
        helper.make_node("ReduceSum", [f"m{products}"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["input", "nothing"], ["output"]),
    ]
    weights = {"shape": np.array([size, size], np.int64), "zero": np.zeros((1, 1), np.float32)}
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("input", "output")]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "encoder", values[:1], values[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=OPSET, ir_version=8), path)
    return path


def no_child(*arguments: object, **more: object) -> None:
    raise AssertionError("a process was started")


def test_a_file_is_tried_once_and_then_trusted(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child gives what this process gives; a copy of the file is trusted, changed content is not."""
    path, copy = tmp_path / "a.onnx", tmp_path / "b.onnx"
    write_campplus(path), write_campplus(copy)
    assert not is_trusted(path)
    np.testing.assert_array_equal(encoded(path, FEATURES), run(path, FEATURES))
    assert is_trusted(path) and is_trusted(copy) and len(list(cache.iterdir())) == 1

    monkeypatch.setattr(subprocess, "run", no_child)
    np.testing.assert_array_equal(encoded(copy, FEATURES), run(path, FEATURES))
    write_campplus(copy, width=191)
    assert not is_trusted(copy)


def test_whole_numbers_and_several_inputs_go_to_the_child(tmp_path: Path, cache: Path) -> None:
    """A speech tokenizer has two inputs of different kinds, and gives whole numbers."""
    path = tmp_path / "speech_tokenizer_v2.onnx"
    write_speech_tokenizer(path)
    mel, length = np.zeros((1, 128, 400), np.float32), np.array([400], np.int32)
    given = encoded(path, mel, length)
    np.testing.assert_array_equal(given, run(path, mel, length))
    assert given.dtype == np.int32


@pytest.mark.parametrize("name", ["campplus.onnx", "speech_tokenizer_v2.onnx"])
def test_the_encoders_of_the_package_are_trusted(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The built-in voice never waits for another process."""
    monkeypatch.setattr(subprocess, "run", no_child)
    assert is_trusted(BUILTIN / name)


def test_hours_of_work_are_cut(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices of 5,000 rows, multiplied a thousand times: one line, and the file is not trusted."""
    monkeypatch.setattr(first_run, "LIMIT_S", 2)
    path = write_large(tmp_path / "x.onnx", 5_000, products=1_000)
    with pytest.raises(WeightsError, match=r"x\.onnx computes for more than 2 s, as no official encoder"):
        encoded(path, FEATURES)
    assert not is_trusted(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of address space")
@pytest.mark.parametrize("size", [60_000, 3_000_000_000])
def test_memory_of_gigabytes_is_refused(size: int, tmp_path: Path, cache: Path) -> None:
    """A matrix of 14 GB, and one of more bytes than there are addresses."""
    path = write_large(tmp_path / "x.onnx", size, products=0)
    with pytest.raises(WeightsError, match=r"x\.onnx (cannot be run|ended the process)") as caught:
        encoded(path, FEATURES)
    assert "\n" not in str(caught.value) and not is_trusted(path)


def test_errors_of_the_child_are_those_of_this_process(tmp_path: Path, cache: Path) -> None:
    """Other inputs than the graph has, and no numbers."""
    path = tmp_path / "x.onnx"
    write_speech_tokenizer(path)
    messages = []
    for use in (encoded, run):
        with pytest.raises(WeightsError) as caught:
            use(path, FEATURES)
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and not is_trusted(path)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")
@pytest.mark.parametrize("script", ["exit 0", "echo hello; exit 1", "exec sleep 0"])
def test_a_program_that_is_no_interpreter(
    script: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where Python lives in another program, the encoder runs in this process, with a warning."""
    program = tmp_path / "host"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    write_campplus(tmp_path / "a.onnx")
    for executable in (str(program), "", None, str(tmp_path / "none")):
        monkeypatch.setattr(first_run, "sys", SimpleNamespace(executable=executable))
        with caplog.at_level(logging.WARNING, "cosyrt"):
            assert encoded(tmp_path / "a.onnx", FEATURES).size == 192
        assert "it runs in this one" in caplog.text
        caplog.clear()
    assert not is_trusted(tmp_path / "a.onnx")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")
def test_a_crash_is_one_line(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is ended by a signal says so, with its last line."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho encoder\necho 'torn\nlast words' >&2\nkill -SEGV $$\n")
    program.chmod(0o755)
    write_campplus(tmp_path / "a.onnx")
    monkeypatch.setattr(first_run, "sys", SimpleNamespace(executable=str(program)))
    with pytest.raises(WeightsError, match=r"ended the process that tried it \(exit code -11\): last words;"):
        encoded(tmp_path / "a.onnx", FEATURES)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder works; it will be tried again."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "file" / "plans"))
    write_campplus(tmp_path / "a.onnx")
    assert encoded(tmp_path / "a.onnx", FEATURES).size == 192
    assert not is_trusted(tmp_path / "a.onnx")


def test_files_of_the_working_folder_are_not_run(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's folder may hold a numpy.py: the child imports none of its files."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('run by mistake')")
    write_campplus(tmp_path / "a.onnx")
    monkeypatch.chdir(tmp_path)
    assert encoded(Path("a.onnx"), FEATURES).size == 192
    assert is_trusted(Path("a.onnx"))
