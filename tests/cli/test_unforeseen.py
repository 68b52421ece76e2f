"""What a user's machine does to the command line: each is one line and no bug of ours."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cosyrt.cli.unforeseen import in_words, print_anything

unix = pytest.mark.skipif(sys.platform == "win32", reason="limits and devices of Unix")


def run(*arguments: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)} | streams.pop("env", {})
    return subprocess.run([sys.executable, "-m", "cosyrt", *arguments], check=False, env=env, **streams)


def one_line(result: subprocess.CompletedProcess[bytes], code: int) -> str:
    """The only line on standard error, of a run that ended with that code."""
    lines = result.stderr.decode(errors="replace").splitlines()
    assert (result.returncode, len(lines)) == (code, 1), lines
    assert "this is a bug" not in lines[0]
    return lines[0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write the output: No space"),
        (OSError(errno.EIO, "Input/output error", "/mnt/a.wav"), "cannot write /mnt/a.wav"),
        (OSError(errno.EMFILE, "Too many open files", "x"), "ulimit -n"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "too little memory"),
        (PermissionError(errno.EACCES, "Permission denied", b"/a\xff"), "cannot use /a"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "too little memory"),
        (MemoryError(), "too little memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"), "memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no more threads"),
    ],
)
def test_the_machine_is_named(error: BaseException, words: str) -> None:
    """Errors of disks, memory, files and threads say what to do."""
    assert words in in_words(error) and "bug" not in in_words(error)


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("two\nlines"), OSError(), AssertionError()])
def test_anything_else_is_a_bug(error: BaseException) -> None:
    """What no machine is guilty of is reported as ours, in one line."""
    assert in_words(error).startswith("this is a bug: ") and "\n" not in in_words(error)


@unix
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["say", "-h"], ["voices", "add", "--help"]])
def test_help_on_a_full_disk(arguments: list[str]) -> None:
    """Help that cannot be printed is one line and exit code 1; a reader that has gone is none."""
    with open("/dev/full", "wb") as full:
        assert "No space left" in one_line(run(*arguments, stdout=full), 1)


@unix
def test_standard_input_that_cannot_be_read(tmp_path: Path) -> None:
    """Open for writing only, or closed, it is a usage error."""
    with (tmp_path / "in").open("wb") as file:
        said = one_line(run("say", "-", "-o", str(tmp_path / "a.wav"), stdin=file), 2)
    assert "cannot read standard input" in said


@unix
@pytest.mark.parametrize("arguments", [["say", "Hi.", "-o", "a.wav"], ["voices", "list"]])
def test_a_working_folder_that_is_gone(tmp_path: Path, arguments: list[str]) -> None:
    """Nothing is loaded where libraries could not find themselves; help is still given."""
    (tmp_path / "gone").mkdir()
    script = f'cd "$0" && rmdir "$0" && exec {sys.executable} -m cosyrt "$@"'
    command = ["sh", "-c", script, str(tmp_path / "gone"), *arguments]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    result = subprocess.run(command, capture_output=True, check=False, env=env)
    assert "the working folder is gone" in one_line(result, 2)


@unix
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in (b"\xff", b"v\xc3", b"voix\xe9s")]
)
def test_folders_whose_names_are_not_utf8(tmp_path: Path, name: bytes) -> None:
    """Voices are kept and listed there by a terminal of any kind; a model there is told to be renamed."""
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    env = {"COSYRT_VOICES": os.fsdecode(folder), "PYTHONIOENCODING": "utf-8:strict"}
    assert run("voices", "list", env=env).returncode == 0
    assert "cosyrt: " in one_line(run("voices", "show", "bob", env=env), 6)
    assert "is not UTF-8" in one_line(run("say", "Hi.", "--model", folder, "-o", "a.wav", cwd=tmp_path), 3)


def test_streams_print_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Surrogates and letters that the terminal lacks are printed as escapes."""
    for encoding, text, printed in [("utf-8", "\udcff", rb"\udcff"), ("ascii", "é", rb"\xe9")]:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        monkeypatch.setattr(sys, "stderr", None)
        print_anything()
        sys.stdout.write(text)
        sys.stdout.flush()
        assert raw.getvalue() == printed


@pytest.mark.parametrize(
    ("arguments", "variable", "code"),
    [
        (["voices", "list"], "COSYRT_VOICES", 6),
        pytest.param(["voices", "show", "ann"], "COSYRT_VOICES", 6, marks=pytest.mark.slow),
        pytest.param(["say", "Hi.", "--voice", "ann"], "COSYRT_VOICES", 6, marks=pytest.mark.slow),
        (["say", "Hi.", "--model", "m" * 5_000], "X", 3),
        pytest.param(["say", "Hi.", "--ref", "/" + "r" * 5_000 + ".wav"], "X", 5, marks=pytest.mark.slow),
        pytest.param(["say", "Hi.", "-o", "o" * 5_000 + ".wav"], "X", 5, marks=pytest.mark.slow),
        pytest.param(["say", "Hi.", "--voice", "v" * 5_000], "X", 6, marks=pytest.mark.slow),
    ],
)
def test_very_long_names_are_shortened(
    arguments: list[str], variable: str, code: int, tmp_path: Path
) -> None:
    """The line of an error can be read, whatever is named in it."""
    result = run(*arguments, env={variable: "/" + "x" * 3_000 + "/y" * 500}, cwd=tmp_path)
    assert len(one_line(result, code)) < 800


@pytest.mark.parametrize("name", ["", " ", "\t"])
def test_an_empty_voice_is_not_the_default_one(name: str, tmp_path: Path) -> None:
    """`--voice ""`, as an unset variable of a script gives, is refused."""
    assert "--voice is empty" in one_line(run("say", "Hi.", "--voice", name, cwd=tmp_path), 2)
