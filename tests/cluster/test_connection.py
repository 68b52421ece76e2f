"""The way into a cluster, where there is none."""

from __future__ import annotations

import importlib.util

import pytest

from cosyrt.cluster import connection
from cosyrt.errors import MissingDependency


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    real = importlib.util.find_spec
    monkeypatch.setattr(connection, "find_spec", lambda name: None if name == "ray" else real(name))
    wanted = r"pip install 'cosyrt\[cluster\]'"
    with pytest.raises(MissingDependency, match=wanted), connection.connected("local", cpus=1):
        pass
