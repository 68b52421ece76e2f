"""Requests of every kind that the service's own description allows, and many that it does not: no 5xx."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.served import Served


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="pip install -e '.[fuzz]'")
def test_no_request_of_any_kind_is_a_server_error(served: Served, tmp_path: Path) -> None:
    """Schemathesis makes requests from /openapi.json; whatever they are, they are answered or refused."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    # An admin's routes are left out: a key that is made there would close all others.
    options = ["--checks", "not_a_server_error", "-n", "10", "--exclude-path-regex", "^/admin"]
    result = subprocess.run(command + options, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert result.returncode == 0, result.stdout[-3_000:]
    assert "Tested:" in result.stdout
