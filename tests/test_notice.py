"""The audible notice."""

from __future__ import annotations

import numpy as np

from cosyrt.notice import notice


def test_the_notice_is_short_and_soft() -> None:
    """The tones are a second long, below a fifth of full scale, and neither begin nor end with a click."""
    for rate in (8_000, 24_000, 48_000):
        sound = notice(rate)
        assert 0.9 * rate < len(sound) < 1.2 * rate
        assert np.abs(sound).max() < 0.2
        assert np.abs(np.diff(sound)).max() < 0.2
        assert sound[0] == 0 and np.abs(sound[-10:]).max() == 0


def test_the_notice_is_the_rhythm_of_the_standard() -> None:
    """The loud stretches are short, long, short, short: Morse for AI."""
    loud = np.abs(notice(8_000)).reshape(-1, 80).max(axis=1) > 0.03  # every 10 ms
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    lengths = np.diff(edges)[::2]

    assert [length > 15 for length in lengths] == [False, True, False, False]
