"""Scoring what was heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.chain import COPY, LANGUAGES, SENTENCES, TEACHER, TEXT, Spoken
from benchmarks.intelligibility import Ear, Heard, distance_rows, error_rows, listen, of_files, options_of
from cosyrt import Audio

LINES = {language: SENTENCES[language].read_text("utf-8").splitlines() for language in LANGUAGES}
SILENCE = Audio(np.zeros(24_000, np.float32), 24_000)


class Parrot:
    """A recogniser that always hears the same."""

    name, languages = "parrot", ("en",)

    def __init__(self, heard: str) -> None:
        self._heard = heard.split()

    def heard(self, audio: Audio, language: str) -> list[str]:
        """Always the words it was made with."""
        return self._heard


def heard(stage: str, errors: int, judge: str = "one") -> Heard:
    """A sentence of ten words with some errors."""
    return Heard(stage=stage, judge=judge, text="", said=["word"] * 10, heard=[], errors=errors)


def test_there_are_as_many_sentences_as_the_figures_say() -> None:
    """200 English and 100 Mandarin sentences, each once."""
    assert {language: len(set(lines)) for language, lines in LINES.items()} == {"en": 200, "zh": 100}


def test_a_wrong_word_is_one_error() -> None:
    """Case, marks and numbers in figures do not count."""
    judge: Ear = Parrot("three white mice ran")
    [item] = listen(Spoken(stage=TEXT, text="3 blind mice ran.", audio=SILENCE), "en", [judge])
    assert (item.errors, len(item.said)) == (1, 4)


def test_inventions_are_not_counted_without_end() -> None:
    """A recogniser that goes on for ever makes a sentence wrong once, not ten times."""
    [item] = listen(Spoken(stage=TEXT, text="Good morning.", audio=SILENCE), "en", [Parrot("ha " * 50)])
    assert item.errors == 2


def test_a_judge_is_not_asked_what_it_does_not_understand() -> None:
    """English ears say nothing about Mandarin."""
    assert listen(Spoken(stage=TEXT, text="你好。", audio=SILENCE), "zh", [Parrot("hello")]) == []


def test_the_teacher_is_the_measure() -> None:
    """Points above the teacher are paired: where each sentence has one error more, there is no doubt."""
    sentences = [heard(TEACHER, 1), heard(TEACHER, 0), heard(TEXT, 2), heard(TEXT, 1)]
    teacher, text = error_rows(sentences)
    assert (teacher["wrong %"], teacher["points above"]) == (5, 0)
    assert text["wrong %"] == pytest.approx(15)
    assert [text[f"points {side}"] for side in ("above", "low", "high")] == pytest.approx([10, 10, 10])


def test_judges_are_not_mixed() -> None:
    """Each judge has its own rows, and its own teacher."""
    rows = error_rows([heard(TEACHER, 0), heard(TEACHER, 4, "two"), heard(TEXT, 5), heard(TEXT, 5, "two")])
    assert [(row["judge"], row["stage"], row["points above"]) for row in rows] == [
        ("one", TEACHER, 0),
        ("one", TEXT, 50),
        ("two", TEACHER, 0),
        ("two", TEXT, 10),
    ]


def test_without_a_teacher_there_is_only_a_rate() -> None:
    """Nothing to compare with leaves the comparison out."""
    [row] = error_rows([heard(TEXT, 3)])
    assert row["wrong %"] == 30
    assert "points above" not in row


def test_distances_are_told_against_the_copy() -> None:
    """The vocoder's copy is 1; without it there is no such figure."""
    copy, text = distance_rows([(COPY, 1.0, 1.0), (COPY, 3.0, 1.0), (TEXT, 3.0, 0.9)])
    assert (copy["to vocoder copy"], text["to vocoder copy"]) == (1, 1.5)
    assert distance_rows([(TEXT, 3.0, 0.9)])[0]["to vocoder copy"] is None


def test_a_file_is_held_against_the_text_beside_it(tmp_path: Path) -> None:
    """A file without its text is named instead of judged."""
    for name in ("told", "untold"):
        SILENCE.write(tmp_path / f"{name}.wav")
    (tmp_path / "told.txt").write_text("Good morning, world.\n", encoding="utf-8")
    cannot: list[str] = []
    files = options_of([str(tmp_path / "told.wav"), str(tmp_path / "untold.wav")]).files
    rows = of_files(files, [Parrot("good morning")], cannot)["Files, what is heard wrong"]
    assert [(row["stage"], row["errors"]) for row in rows] == [("told.wav", 1)]
    assert len(cannot) == 1
    assert "untold.txt" in cannot[0]
