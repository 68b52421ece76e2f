"""The command line as a program of its own: exit codes, pipes, and what is not imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", check=False, **options
    )


@pytest.mark.parametrize("command", [[], ["say"], ["voices"], ["voices", "list"]])
def test_help_needs_no_model_code(command):
    """Help comes at once: neither torch nor numpy nor rich is imported for it."""
    heavy = "{'torch', 'numpy', 'rich', 'onnxruntime'}"
    program = (
        f"import sys; from cosyrt.cli import main; main({[*command, '--help']}, standalone_mode=False); "
        f"sys.exit(bool({heavy} & set(sys.modules)))"
    )
    result = run("-c", program)
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout


def test_the_module_runs_as_a_program():
    """python -m cosyrt is the command under its own name."""
    assert run("-m", "cosyrt", "--version").stdout.startswith("cosyrt 0.")
    assert "Usage: cosyrt [OPTIONS]" in run("-m", "cosyrt", "--help").stdout


def test_an_unknown_option_is_a_usage_error():
    """Exit code 2, and the way to the help."""
    result = run("-m", "cosyrt", "say", "--loud")
    assert result.returncode == 2
    assert "--help" in result.stderr


unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of Unix")
TONES = (
    "import cosyrt; from tests.cli.conftest import TonePipeline; from cosyrt.cli import main; "
    "cosyrt.load = lambda *a, **k: TonePipeline(); main(prog_name='cosyrt')"
)


def say(*arguments: str, **streams) -> subprocess.Popen[bytes]:
    """`cosyrt say` of ten thousand words of tones, as a process that hears Ctrl-C.

    Where the tests run in the background of a shell, SIGINT is ignored by them and by what they start.
    """
    command = [sys.executable, "-c", TONES, "say", "words " * 10_000, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.Popen(command, preexec_fn=hear_control_c, **pipes)


def hear_control_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@unix
def test_a_reader_that_goes_away_is_no_error_message():
    """`cosyrt say -o - | head -c 10` ends quietly, with the exit code of a broken pipe."""
    with say("--stream", "-o", "-") as process:
        assert process.stdout and process.stderr
        assert process.stdout.read(4) == b"RIFF"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@unix
def test_control_c_stops_with_one_line():
    """SIGINT in the middle of the speech: one line, exit code 130."""
    with say("--stream", "-o", "-") as process:
        assert process.stdout and process.stderr
        assert process.stdout.read(4) == b"RIFF"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"cosyrt: stopped\n"
    assert process.returncode == 130


SCRIPT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]["cosyrt"]
RUN_SCRIPT = "from {} import {} as main; main()".format(*SCRIPT.split(":"))


@unix
@pytest.mark.parametrize("how", [["-m", "cosyrt"], ["-c", RUN_SCRIPT]])
def test_control_c_while_it_starts(tmp_path, how):
    """SIGINT while the command line is still being imported: exit code 130 and no traceback."""
    (tmp_path / "click.py").write_text("import time; print(1, flush=True); time.sleep(60)")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    with subprocess.Popen([sys.executable, *how], preexec_fn=hear_control_c, env=env, **pipes) as process:
        assert process.stdout.read(1) == b"1"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
    assert process.returncode == 130


@unix
@pytest.mark.slow
def test_a_terminal_gets_a_progress_bar(tmp_path):
    """Long texts show how far they are, on standard error, and only where somebody looks at it."""
    import pty

    ours, terminal = pty.openpty()
    with say("-o", f"{tmp_path}/a.wav", stderr=terminal, env=os.environ | {"TERM": "xterm"}) as process:
        os.close(terminal)
        shown = b""
        while b"/12000" not in shown:
            shown += os.read(ours, 1_000)
        process.kill()
    os.close(ours)
