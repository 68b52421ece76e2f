"""OpenMP is set up before torch is imported, and ONNX Runtime and OpenVINO do not report to their makers."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import cosyrt.startup as startup
from cosyrt.errors import UsageError
from cosyrt.startup import KEPT_KERNELS, KERNELS_VARIABLE, VARIABLE, check_surroundings

# Each imports all that the package does of the runtime, and uses it.
USES = {
    "onnxruntime": """
from cosyrt.lab.doctor.packages import _answer
from cosyrt.machine.probe import this_machine
from cosyrt.voice.onnx_encoder import _session
this_machine(), _answer(), _session({campplus!r}, 0, 0)
""",
    "openvino": """
import torch
from cosyrt.accel.backend.openvino import Compiled, converted
layer, x = torch.nn.Linear(64, 1024), torch.zeros(2, 64)
Compiled(converted(torch.nn.Sequential(layer, torch.nn.Linear(1024, 64)), (x,), 4), bf16=False)(x)
""",
}

# What OpenMP was told when it began: it writes its settings down when it is asked to.
PYTHON_API = "import cosyrt, sys; assert 'torch' not in sys.modules; cosyrt.Pipeline"
COMMAND = "import sys; sys.argv = ['cosyrt', 'device']; from cosyrt.cli import main; main()"


@pytest.mark.parametrize(
    ("code", "given", "policy"),
    [
        (PYTHON_API, None, "PASSIVE"),
        pytest.param(COMMAND, "ACTIVE", "ACTIVE", marks=pytest.mark.slow),
        pytest.param(PYTHON_API, "ACTIVE", "ACTIVE", marks=pytest.mark.slow),
        pytest.param(COMMAND, None, "PASSIVE", marks=pytest.mark.slow),
    ],
)
def test_threads_sleep_while_they_wait(code: str, given: str | None, policy: str) -> None:
    """From Python and from the command line; a user's own setting is kept."""
    env = {key: value for key, value in os.environ.items() if key != VARIABLE}
    env |= {"OMP_DISPLAY_ENV": "true"} | ({VARIABLE: given} if given else {})
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr


@pytest.mark.parametrize("name", USES)
def test_nothing_is_left_in_the_home_folder(name: str, tmp_path: Path, tiny_folder: Path) -> None:
    """Each would leave the number it reports under, and the queue of its reports, in a fresh home folder."""
    if find_spec(name) is None:
        pytest.skip("an extra")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    program = USES[name].format(campplus=str(tiny_folder / "campplus.onnx"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=kept | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("given", "kept"), [(None, str(KEPT_KERNELS)), pytest.param("7", "7", marks=pytest.mark.slow)]
)
def test_few_kernels_are_kept(given: str | None, kept: str) -> None:
    """What oneDNN reads at its first kernel is set before torch is there; a user's own number stays."""
    env = {key: value for key, value in os.environ.items() if key != KERNELS_VARIABLE}
    code = f"import cosyrt, os; cosyrt.Pipeline; print(os.environ[{KERNELS_VARIABLE!r}])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=env | ({KERNELS_VARIABLE: given} if given else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == kept


def test_too_little_address_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit under which torch cannot be loaded is told before."""
    monkeypatch.setattr(startup, "_address_limit", lambda: 300_000_000)
    with pytest.raises(UsageError, match="only 300 MB"):
        check_surroundings()
    monkeypatch.setattr(startup, "_address_limit", lambda: None)
    check_surroundings()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
@pytest.mark.parametrize("before", ["pass", "cosyrt.load"])
def test_a_program_whose_working_folder_is_gone(before: str, tmp_path: Path) -> None:
    """`cosyrt.load` refuses in one line; Intel's library would end the process."""
    (tmp_path / "gone").mkdir()
    code = f"import cosyrt, os; {before}; os.chdir('gone'); os.rmdir('../gone'); cosyrt.load()"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "cosyrt.errors.UsageError: the working folder is gone" in run.stderr.splitlines()[-1]
