"""The setting of OpenMP is there before torch is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cosyrt.threads import VARIABLE

# What OpenMP was told when it began: it writes its settings down when it is asked to.
PYTHON_API = "import cosyrt, sys; assert 'torch' not in sys.modules; cosyrt.Pipeline"
COMMAND = "import sys; sys.argv = ['cosyrt', 'device']; from cosyrt.cli import main; main()"


@pytest.mark.parametrize(("given", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
@pytest.mark.parametrize("code", [PYTHON_API, COMMAND])
def test_threads_sleep_while_they_wait(code: str, given: str | None, policy: str) -> None:
    """From Python and from the command line; a user's own setting is kept."""
    env = {key: value for key, value in os.environ.items() if key != VARIABLE}
    env |= {"OMP_DISPLAY_ENV": "true"} | ({VARIABLE: given} if given else {})
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
