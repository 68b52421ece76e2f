"""What follows from the measured runs: totals, gains by pairs, and the noise floor."""

from __future__ import annotations

import pytest

from cosyrt.lab.bench_report import AGAIN_SUFFIX, FreshProcess, Results, UtteranceTimes
from cosyrt.lab.child import Outcome
from cosyrt.lab.texts import TEXTS
from cosyrt.units import MIB

ONE, OTHER = TEXTS[:2]


def runs(*seconds: float, audio_s: float = 2.0) -> list[UtteranceTimes]:
    return [
        UtteranceTimes(seconds=each, audio_s=audio_s, first_chunk_s=each / 10, longest_silence_s=each / 20)
        for each in seconds
    ]


def results(**others: dict) -> Results:
    eager = {ONE: runs(9.0, 1.0, 1.0, 1.0), OTHER: runs(9.0, 3.0, 3.0, 3.0, audio_s=6.0)}
    return Results([ONE, OTHER], {"eager": eager, **others}, 3, "eager")


def test_early_runs_do_not_count() -> None:
    """Warm-up is no part of any figure."""
    said = results().of_text("eager", ONE)

    assert (said.seconds.median, said.rtf.mean, said.first_chunk_s.median) == (1.0, 0.5, 0.1)
    assert said.longest_silence_s == 0.05


def test_the_total_is_work_over_audio() -> None:
    """Four seconds of work for eight of audio: long texts weigh more than short ones."""
    outcome = Outcome(value=FreshProcess(load_s=1, first_call_s=2, gpu_peak_mb=None), peak_bytes=300 * MIB)
    way = results().of_way("eager", outcome, gpu_percent=40.0)

    assert way.rtf == 0.5
    assert (way.peak_mb, way.gpu_percent, way.gain) == (300, 40.0, None)


def test_shorter_audio_is_no_gain() -> None:
    """Half the time for half the audio is the same real-time factor."""
    brief = {ONE: runs(1, 0.5, 0.5, 0.5, audio_s=1.0), OTHER: runs(1, 1.5, 1.5, 1.5, audio_s=3.0)}
    way = results(brief=brief, **{f"eager{AGAIN_SUFFIX}": results().runs["eager"]}).of_way(
        "brief", Outcome(), None
    )

    assert way.gain is not None and way.gain.median == pytest.approx(1)
    assert way.verdict == "same"


def test_a_gain_within_the_noise_is_none() -> None:
    """When the first way differs from itself by 30 %, a gain of 10 % is the same."""
    again = {ONE: runs(1, 1.3, 1.3, 1.3), OTHER: runs(1, 3.9, 3.9, 3.9, audio_s=6.0)}
    tenth = {ONE: runs(1, 0.9, 0.9, 0.9), OTHER: runs(1, 2.7, 2.7, 2.7, audio_s=6.0)}
    noisy = results(tenth=tenth, **{f"eager{AGAIN_SUFFIX}": again})

    assert noisy.floor == pytest.approx(1.3)
    assert noisy.of_way("tenth", Outcome(), None).verdict == "same"
    assert (
        results(tenth=tenth, **{f"eager{AGAIN_SUFFIX}": results().runs["eager"]})
        .of_way("tenth", Outcome(), None)
        .verdict
        == "faster"
    )
