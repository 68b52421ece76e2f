"""Pairs of recordings for a blind comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosyrt.audio import Audio
from cosyrt.errors import UsageError
from cosyrt.lab.listen import Pair, check_pairs_folder, page, write_pairs
from cosyrt.models.solver import euler


@pytest.mark.slow
def test_pairs_are_recordings_of_the_same_words(tiny_folder: Path, tmp_path: Path) -> None:
    """Each pair has equally long recordings that differ; the key says which is which."""
    pairs = write_pairs(str(tiny_folder), "cpu", euler(2, 0.7), tmp_path)
    key = json.loads((tmp_path / "key.json").read_text())

    assert [Pair(**each) for each in key] == pairs and len(pairs) == 4
    for number, pair in enumerate(pairs, 1):
        assert {pair.a, pair.b} == {"shipped", "approximate"}
        a, b = (Audio.read(tmp_path / f"{number:02d}-{letter}.wav") for letter in "ab")
        assert len(a.samples) == len(b.samples) and (a.samples != b.samples).any()


def test_the_page_does_not_tell_beforehand() -> None:
    """The players name files by number alone, and the text is shown as text."""
    shown = page([Pair("<b>Hello</b>", "approximate", "shipped")])

    assert "&lt;b&gt;Hello" in shown and "01-a.wav" in shown and "01-b.wav" in shown
    assert "approximate" not in shown.partition("<script>")[0]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """A new folder is made; one that is not empty, or a file, is refused in one line."""
    check_pairs_folder(tmp_path / "new" / "pairs")
    assert (tmp_path / "new" / "pairs").is_dir()
    with pytest.raises(UsageError, match="not empty"):
        check_pairs_folder(tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="cannot write into"):
        check_pairs_folder(file)
