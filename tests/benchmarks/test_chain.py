"""The voice entered at each of its stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chain import COPY, TEACHER, TEXT, TOKENS, Bench
from benchmarks.intelligibility import options_of


@pytest.fixture(scope="module")
def bench() -> Bench:
    """One sentence of each language by the built-in voice."""
    return Bench(options_of(["--limit", "1", "--device", "cpu"]))


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_stage_speaks(bench: Bench, language: str, tmp_path: Path) -> None:
    """All stages make about as much audio as the teacher, and it is kept where that is wanted."""
    if language not in bench.teachers:
        pytest.skip("the teacher is not installed")
    bench.options.keep = tmp_path
    spoken = list(bench.spoken(language))
    assert [item.stage for item in spoken] == [TEACHER, COPY, TOKENS, TEXT]
    assert len(list(tmp_path.glob("*.wav"))) == 4
    for item in spoken:
        assert item.teacher
        assert item.audio.seconds == pytest.approx(item.teacher.seconds, rel=0.35)


@pytest.mark.slow
def test_without_a_teacher_the_text_is_spoken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the way that needs no teacher is left."""
    monkeypatch.setattr(bench, "teachers", {})
    bench.options.keep = None
    assert [item.stage for item in bench.spoken("en")] == [TEXT]
