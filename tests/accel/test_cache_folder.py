"""Where plans, graphs, engines and digests are."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.accel.cache_folder import (
    digests_folder,
    engines_folder,
    graphs_folder,
    inductor_folder,
    plans_folder,
)


def test_the_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """COSYRT_PLANS says where plans are; else they are in the user's cache; the rest lies beside them."""
    monkeypatch.setenv("COSYRT_PLANS", str(tmp_path / "plans"))
    assert plans_folder() == tmp_path / "plans"
    assert {
        folder().parent for folder in (digests_folder, engines_folder, graphs_folder, inductor_folder)
    } == {tmp_path}

    monkeypatch.delenv("COSYRT_PLANS")
    assert plans_folder().parts[-2:] == ("cosyrt", "plans")
