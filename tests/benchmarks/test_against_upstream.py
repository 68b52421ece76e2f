"""The comparison with upstream, as far as it goes without upstream: our side, and what is asked of it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from benchmarks import against_upstream, random_model
from benchmarks.against_upstream import ASKED, LATE, STREAM, Comparison
from benchmarks.cosyrt_side import Ours
from benchmarks.side import Side, hops
from cosyrt.accel.load import load
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.pipeline import Pipeline


@pytest.fixture(scope="module", params=[2, 3])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A small random model of either family as both sides load it."""
    path = tmp_path_factory.mktemp("random") / "model"
    random_model.write(path, small=True, family=request.param)
    return path


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Pipeline:
    return load(folder, device="cpu", plan=False)


def test_everything_that_is_asked_is_answered(pipeline: Pipeline) -> None:
    """Each request of the table is one of our side's methods, and takes time."""
    side = Ours(pipeline)
    for request, argument in ASKED.values():
        answer = getattr(side, request)(argument)
        assert (answer if isinstance(answer, float) else answer[0]) > 0


def test_exactly_as_many_tokens_are_spoken(pipeline: Pipeline) -> None:
    """The random model never stops by itself, so that both sides say the same."""
    assert len(list(Ours(pipeline).tokens(60))) == 60


def test_a_late_chunk_comes_after_all_of_its_past(pipeline: Pipeline) -> None:
    """The stream has arrived at its start, prompt included."""
    side = Ours(pipeline)
    mels = side.arrived(300, side.given.speech(400).tolist())

    assert mels.done_tokens == 300
    assert mels.past is not None and mels.past.tokens == 375


def test_a_stream_is_every_chunk_of_its_schedule(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flow and vocoder are given each token once, to the end."""
    side, ends = Ours(pipeline), []
    plain = MelStream.until

    def until(mels: MelStream, tokens: list[int], boundary: int | None) -> Tensor:
        ends.append(len(tokens) if boundary is None else boundary)
        return plain(mels, tokens, boundary)

    monkeypatch.setattr(MelStream, "until", until)
    assert side.stream(110) > 0
    assert ends == [25, 50, 100, 110]


def test_the_chunk_of_a_token() -> None:
    """Start and end of the chunk in which it lies."""
    assert hops(count(25, 25), 50) == (50, 75)
    assert hops(iter((25, 75, 175)), 50) == (25, 75)
    assert hops(iter((25, 75)), 0) == (0, 25)


@pytest.mark.parametrize(("family", "width"), [(2, "attention_head_dim: 64"), (3, "dim_head: 64")])
def test_the_published_size_is_described(family: int, width: str) -> None:
    """Every setting that makes the small model small is replaced."""
    text = random_model.FAMILIES[family].description(small=False)

    assert "llm_input_size: 896" in text and "base_channels: 512" in text and width in text


def side(code: str, log: Path) -> Side:
    import sys

    return Side([sys.executable, "-c", code], log)


ANSWERS = """
import numpy as np
from benchmarks.side import serve
def timed(count): return SPEED * count
def chunk(at): return [SPEED * 2, 2.0]
def write_mel(count, path): np.save(path, np.full((80, count), 4.0) + OFF)
serve({"utterance": timed, "llm": timed, "flow": timed, "vocoder": timed, "first_audio": timed,
       "chunk": chunk, "stream": timed, "write_mel": write_mel, "memory_mb": lambda: 100.0 * SPEED})
"""


def test_ratios_are_of_both_sides(tmp_path: Path) -> None:
    """A side that takes three times as long makes the other three times as fast; mels are compared."""
    sides = {
        "upstream": side(f"SPEED = 3; OFF = 0{ANSWERS}", tmp_path / "a"),
        "plan": side(f"SPEED = 1.0; OFF = 0.04{ANSWERS}", tmp_path / "b"),
    }
    try:
        comparison = Comparison(sides)
        assert comparison.differences(tmp_path) == {"plan": pytest.approx(0.01, rel=1e-3)}
        rounds = comparison.measure(2)
        (row,) = comparison.rows("vocoder, 4 s", rounds)
        comparison.measure_once(STREAM, "stream", 20)
        comparison.measure_once(LATE, "chunk", 60)
        assert comparison.rows(STREAM, 1)[0]["times as fast"] == pytest.approx(3)
        assert comparison.growth()[0]["ours"] == pytest.approx(1)
        assert comparison.memory()[0]["times as fast"] == 3
        assert comparison.memory_of_one()[0]["what"] != comparison.memory()[0]["what"]
    finally:
        for each in sides.values():
            each.close()

    assert (row["upstream"], row["ours"], row["times as fast"]) == pytest.approx((600, 200, 3))
    assert np.isfinite([row["low"], row["high"]]).all()


def test_a_dead_side_tells_its_last_words(tmp_path: Path) -> None:
    """The message has what the process wrote to standard error."""
    dead = side("raise ValueError('no such checkout')", tmp_path / "log")
    with pytest.raises(SystemExit, match="no such checkout"):
        dead.ask("llm", 1)
    dead.close()


def test_the_checkout_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --upstream there is nothing to compare with."""
    with pytest.raises(SystemExit):
        against_upstream.options_of([])
    assert "--upstream" in capsys.readouterr().err
