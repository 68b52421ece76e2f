"""Captions spoken on time: what is silent, what is faster, what is late."""

from __future__ import annotations

import numpy as np
import pytest

from cosyrt.audio import Audio
from cosyrt.cli.timed import MOST_FASTER, speak_on_time
from cosyrt.text.captions import Caption

RATE = 8_000


def say(caption: Caption, faster: float) -> Audio:
    """A tenth of a second for each letter."""
    return Audio(np.ones(round(len(caption.text) * 0.1 / faster * RATE), np.float32), RATE)


def test_each_caption_begins_when_it_is_shown() -> None:
    """Silence fills the time up to each caption, in the audio and in the times that are told."""
    given = [Caption(1, 2, "one"), Caption(3, 4, "three")]
    spoken = list(speak_on_time(given, say, RATE))
    whole = np.concatenate([audio.samples for audio, _ in spoken])
    for caption, (_, heard) in zip(given, spoken, strict=True):
        begin, end = round(heard.begin_s * RATE), round(heard.end_s * RATE)
        assert heard.begin_s == caption.begin_s and whole[begin:end].all() and not whole[begin - 1]
    assert len(whole) == round(3.5 * RATE)


def test_a_long_caption_is_spoken_faster(caplog: pytest.LogCaptureFixture) -> None:
    """Up to a limit of speed the next caption is on time; nothing is warned of."""
    (audio, _), (_, heard) = speak_on_time([Caption(0, 1, "x" * 13), Caption(1, 2, "y")], say, RATE)
    assert audio.seconds == pytest.approx(1.0, rel=0.05) and heard.begin_s == 1.0
    assert caplog.text == ""


def test_what_no_speed_makes_fit_is_late(caplog: pytest.LogCaptureFixture) -> None:
    """The next captions begin when the long one has ended, and one warning counts them."""
    given = [Caption(0, 1, "x" * 30), Caption(1, 2, "y"), Caption(1.5, 2, "z"), Caption(9, 10, "end")]
    heard = [heard for _, heard in speak_on_time(given, say, RATE)]
    assert heard[1].begin_s == pytest.approx(3.0 / MOST_FASTER, abs=1e-3)
    assert heard[2].begin_s >= heard[1].end_s and heard[3].begin_s == 9
    assert "2 of 4 captions are spoken late" in caplog.text
