"""The contract of the engine, against a process that talks as the worker of vLLM does."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cosyrt.accel.vllm.engine import VllmConfig, VllmEngine, VllmGeneration, embedder
from cosyrt.engine.decoding import PrefillInput
from cosyrt.engine.sampling import NOTHING
from cosyrt.engine.token_engine import TokenRequest
from cosyrt.errors import MissingDependency, SpeechError
from tests.accel.vllm.fake_worker import END
from tests.tiny import LLM, language_model

WIDTH = 4
Start = Callable[[str], VllmEngine]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the other process in a mode, and ends it with the test."""
    engines = []

    def started(mode: str) -> VllmEngine:
        command = [sys.executable, "-m", "tests.accel.vllm.fake_worker", mode]
        engines.append(
            VllmEngine(command, lambda given: np.zeros((len(given.text), WIDTH), np.float32), CONFIG)
        )
        return engines[-1]

    yield started
    for engine in engines:
        engine.close()


CONFIG = VllmConfig(max_positions=100, start_s=30.0)


def request(most: int = 6, seed: int = 0) -> TokenRequest:
    return TokenRequest(PrefillInput([1, 2, 3], [], None), 1, most, seed)


def all_of(engine: VllmEngine, generation: VllmGeneration) -> list[int | SpeechError]:
    """Everything that comes for a request, to its end."""
    found: list[int | SpeechError] = []
    while not generation.over or generation.came:
        engine.wait([generation], 100.0)
        token = generation.take()
        assert token is not None, "nothing came in a hundred seconds"
        found.append(token)
    return found


def test_every_token_arrives_in_order_and_the_stop_is_last(start: Start) -> None:
    """A message may hold several tokens, and none is dropped; ten requests from ten threads do not mix."""
    engine = start("count")

    def spoken(most: int) -> list[int | SpeechError]:
        return all_of(engine, engine.submit(request(most)))

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(spoken, range(2, 12)))

    assert found == [[*range(most - 1), END] for most in range(2, 12)]


def test_who_cancels_gets_no_more(start: Start) -> None:
    """The worker is told, once; nothing arrives for a request that was forgotten."""
    engine = start("endless")
    first = engine.submit(request())
    engine.wait([first], 10.0)
    assert first.take() == 0
    first.cancel()
    first.cancel()

    second = engine.submit(request())
    engine.wait([second], 10.0)
    assert second.take() == 1, "the worker was told of one request that was cancelled"
    assert first.take() is None


def test_a_choice_that_failed_is_no_token(start: Start) -> None:
    """The decoder is given what it is given where log-probabilities here are not finite."""
    engine = start("fail")

    assert all_of(engine, engine.submit(request(4))) == [0, 1, 2, NOTHING]


def test_a_text_that_is_refused_ends_alone(start: Start) -> None:
    """One line says why; the engine goes on."""
    engine = start("refuse")
    (error,) = all_of(engine, engine.submit(request()))

    assert isinstance(error, SpeechError) and str(error) == "vLLM refused a text: 3 positions"
    assert engine.takes(99) and not engine.takes(100)


def test_a_process_that_dies_ends_its_requests_with_the_reason(start: Start) -> None:
    """Requests that it had end with an error, and it takes nothing more."""
    engine = start("die")
    (error,) = all_of(engine, engine.submit(request()))

    assert str(error) == "the process of vLLM ended with 3: MemoryError: no room for the cache"
    assert not engine.takes(1)
    with pytest.raises(SpeechError, match="no room for the cache"):
        engine.submit(request())


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("broken", "vLLM did not start: ValueError: no such model"),
        ("torchvision", "nms does not exist: uninstall torchvision, torchaudio and torchcodec there"),
        ("silent", "vLLM did not start: the process of vLLM ended with 0"),
        ("old", r"vLLM did not start: its environment has cosyrt 0\.0\.1"),
    ],
)
def test_a_worker_that_cannot_serve_is_refused(start: Start, mode: str, why: str) -> None:
    """One line says what went wrong there."""
    with pytest.raises(MissingDependency, match=why):
        start(mode)


def test_a_program_that_cannot_be_started_is_one_line(tmp_path: Path) -> None:
    """A python that is not there is a mistake of the user's."""
    with pytest.raises(MissingDependency, match=r"vLLM cannot be started by .*none: No such file"):
        VllmEngine([str(tmp_path / "none")], lambda given: np.zeros((1, 1), np.float32), CONFIG)


def test_the_process_ends_with_its_engine(start: Start) -> None:
    """Whoever drops the last reference has no process left."""
    command = [sys.executable, "-m", "tests.accel.vllm.fake_worker", "count"]
    engine = VllmEngine(command, lambda given: np.zeros((1, 1), np.float32), CONFIG)
    process = engine._process
    del engine
    gc.collect()

    assert process.wait(10.0) == 0


def test_prompts_are_embedded_by_our_tables() -> None:
    """Marks, text and speech stand in the order that the network itself reads them in."""
    llm = language_model()
    found = embedder(llm)(PrefillInput([5, 6], [7], None))

    assert found.shape == (5, LLM.width) and found.dtype == np.float32
    assert np.array_equal(found[1], llm.backbone.embed_tokens.weight[5].numpy())
    assert np.array_equal(found[4], llm.speech_embedding.weight[7].numpy())
