"""Each folder is built as its family asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosyrt.checkpoint import ModelFolder
from cosyrt.engine import build as table
from cosyrt.engine.build import build
from cosyrt.errors import ConfigError
from cosyrt.models.causal_vocoder import CausalVocoder
from cosyrt.models.vocoder import Vocoder


def test_the_family_decides(tiny_folder: Path, tiny3_folder: Path) -> None:
    """The class of the language model in the description leads to the networks of that family."""
    (_, two), (_, three) = (build(ModelFolder.open(folder)) for folder in (tiny_folder, tiny3_folder))

    assert (type(two.vocoder), type(three.vocoder)) == (Vocoder, CausalVocoder)


def test_a_family_that_is_not_known(tiny3_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused in one line that says what it is and what is known."""
    monkeypatch.delitem(table.FAMILIES, "cosyvoice3")

    with pytest.raises(ConfigError, match=r"tiny is a cosyvoice3 model; this version runs .*cosyvoice2"):
        build(ModelFolder.open(tiny3_folder))
