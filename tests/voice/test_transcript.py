"""Transcripts that are too long or too short for their recordings."""

from __future__ import annotations

import logging

import pytest

from cosyrt.voice.transcript import misfit, warn_of_misfit

FITTING = [
    ("The quick brown fox jumps over the lazy dog, and nobody knows why it does so every day.", 5.0),
    ("今天天气很好，我们一起去公园散步吧。", 3.5),
    ("안녕하세요, 오늘은 날씨가 참 좋네요.", 3.0),
    ("こんにちは、今日はとてもいい天気ですね。", 3.5),
    ("Guten Morgen, meine Damen und Herren, wie geht es Ihnen heute?", 3.5),
]


@pytest.mark.parametrize(("text", "seconds"), FITTING)
def test_transcripts_of_ordinary_speech_fit(text: str, seconds: float) -> None:
    """Read half as fast or faster by half they still fit; an unknown transcript fits everything."""
    for speed in (0.6, 1.0, 1.5):
        assert misfit(text, seconds / speed) == ""
    assert misfit("", seconds) == misfit("…", seconds) == ""


@pytest.mark.parametrize(("text", "seconds"), FITTING)
def test_transcripts_of_something_else_are_told(
    text: str, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Words of a tenth or ten times the length cannot be what is said; the warning is one line."""
    assert "too much text" in misfit(text * 10, seconds)
    assert "too little text" in misfit(text, seconds * 12)
    with caplog.at_level(logging.WARNING, logger="cosyrt"):
        warn_of_misfit(text, seconds)
        assert caplog.messages == []
        warn_of_misfit(text, seconds * 12)
    assert len(caplog.messages) == 1
