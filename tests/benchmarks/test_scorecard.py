"""The scorecard in its fast form: every score runs on real services, and finds nothing that should not be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scorecard
from benchmarks.scores import page
from benchmarks.scores.lives import Lives, Nature
from benchmarks.scores.score import Score, percentile

SLOW = {"S4", "S5", "S10", "S13", "S2", "S6", "S11"}  # that take more than two or three seconds, even so


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    """Services of all tests of this file; what they are forked from is loaded once."""
    each = Lives(tmp_path_factory.mktemp("lives"))
    yield each
    each.close()


def marked(name: str) -> Any:
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("name", list(map(marked, scorecard.SCORES)))
def test_a_score_finds_nothing_that_should_not_be(lives: Lives, name: str) -> None:
    """Each fast form holds, and has something to say."""
    [found] = scorecard.run(lives, [name], full=False, tell=lambda line: None)

    assert found.surprises == []
    assert found.name == name and found.figures


def test_a_service_that_does_not_start_is_told_of(lives: Lives) -> None:
    """The error has the end of the log of the process, which is gone."""
    with pytest.raises(RuntimeError, match="max_queue"):
        lives.begin(Nature(), max_queue=-1)


def test_percentiles() -> None:
    """A percentile is one of the values; of none it is no number."""
    assert [percentile([3, 1, 2, 4], percent) for percent in (50, 99, 100, 1)] == [2, 4, 4, 1]
    assert percentile([], 50) != percentile([], 50)


def test_surprises_are_counted() -> None:
    """What holds says nothing; several of a kind are one line."""
    found = Score("S0", "nothing")
    found.expect(True, "never")
    found.expect_all([True, False, False], "some")
    assert found.surprises == ["some: 2 of 3"]


def test_a_row_replaces_the_older_one() -> None:
    """Other scores keep their rows, in order; the rest of the page stays."""
    old = "| S10 old | a | none | then |\n| S2 old | b | none | then |\n"
    text = f"# Page\n\n{page.BEGIN}{old}{page.END}\n\nend\n"
    new = Score("S10", "Good neighbours", ["3 streams"], ["one was late"])
    after = page.updated(text, page.rows_of([new], "today"))

    rows = [line for line in after.splitlines() if line.startswith("| S")]
    assert rows == [
        "| S2 old | b | none | then |",
        "| S10 Good neighbours | 3 streams | one was late | today, 0 s |",
    ]
    assert after.startswith("# Page\n\n") and after.endswith("\n\nend\n")
    assert page.updated(after, page.rows_of([new], "today")) == after
    with pytest.raises(ValueError, match="no place"):
        page.updated("# Page\n", {})


def test_the_page_has_a_place_for_the_table() -> None:
    """The documentation's page can be written, and every row of its table is that of a score."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.updated(text, {}) == text
    named = re.findall(r"^\| (S\d+) ", text, flags=re.MULTILINE)
    assert named and set(named) <= set(scorecard.SCORES)


def test_a_surprise_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints surprises, writes them as JSON, and ends with 1; an unknown score is an error."""
    found = Score("S7", "Strangers", ["12 asked"], ["one was let in"])
    monkeypatch.setattr(scorecard, "run", lambda *arguments, **options: [found])

    assert scorecard.main(["S7", "--json", str(tmp_path / "out.json")]) == 1
    assert "SURPRISE: one was let in" in capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["scores"][0]["surprises"] == ["one was let in"] and "cpu" in written["machine"]
    with pytest.raises(SystemExit):
        scorecard.main(["S99"])
