"""Places of CUDA graphs: lent, given back, cleared; where there is no GPU, a graph is the network itself."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor

from cosyrt.accel.backend.cudagraph import Recorder
from cosyrt.accel.backend.graph_cache import GraphCache, Places, Run, rounded_positions
from cosyrt.engine.stages import Networks, eager
from cosyrt.models.kv_cache import KeyValueCache
from tests import tiny
from tests.accel.fake_cuda import itself


def places(recorded: list[Run] | None = None) -> Places:
    """Places of the tiny model; what is recorded is noted."""
    stages = eager(Networks(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder()))

    def record(run: Run) -> Run:
        if recorded is not None:
            recorded.append(run)
        return itself(run)

    return Places(stages.new_cache, stages.step, record)


def keys(cache: GraphCache) -> Tensor:  # [B, G, C, E]
    return cache.layers()[0][0]


def step(made: Places, cache: GraphCache) -> None:
    """A step of every row at position 0."""
    zero = torch.zeros(cache.rows, dtype=torch.long)
    made.step(zero, zero, torch.ones(cache.rows, 1, 1, 1, dtype=torch.bool), cache)


def test_a_cache_has_a_place_of_its_own_until_its_last_view_is_gone() -> None:
    """Two utterances at once have two places; the next one gets a free one, cleared."""
    made = places()
    one, two = made.new_cache(2, 100), made.new_cache(2, 100)
    place = keys(one).data_ptr()
    with torch.inference_mode():
        keys(one).fill_(float("nan"))

    assert keys(two).data_ptr() != place
    view = one.row(1)
    del one
    gc.collect()
    assert keys(made.new_cache(2, 90)).data_ptr() != place
    del view
    gc.collect()
    again = made.new_cache(2, 90)
    assert keys(again).data_ptr() == place
    assert keys(again).abs().max() == 0


def test_a_few_numbers_of_rows_are_recorded_once() -> None:
    """The first rows have a graph for some numbers of them; a row further on runs without one."""
    recorded: list[Run] = []
    made = places(recorded)
    cache = made.new_cache(30, 100)
    for rows in (3, 2, 4, 2, 1, 3, 20, 24, 30):
        step(made, cache.first(rows))
    step(made, cache.row(0))
    assert len(recorded) == 5  # 1, 2, 4, 24, 30

    step(made, cache.row(2))
    assert len(recorded) == 5


def test_rows_that_fill_a_batch_up_write_where_nobody_reads() -> None:
    """Three rows run in a graph of four: the fourth keeps every position that an utterance may have."""
    made = places()
    cache = made.new_cache(4, 255)
    with torch.inference_mode():
        for layer in cache.layers():
            for side in layer:
                side[3] = 7.0
    step(made, cache.first(3))

    assert cache.positions == 255
    assert all((side[3, :, :255] == 7.0).all() for layer in cache.layers() for side in layer)
    assert not any((side[3, :, 255] == 7.0).any() for layer in cache.layers() for side in layer)


@pytest.mark.gpu
def test_recorded_steps_of_some_rows_equal_eager() -> None:
    """On a GPU, recorded and replayed: all rows, the first two, all again, each at a position of its own."""
    device = torch.device("cuda", torch.cuda.device_count() - 1)
    networks = Networks(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder()).to(device)
    stages = eager(networks)
    made = Places(stages.new_cache, stages.step, Recorder(device))
    caches: list[KeyValueCache] = [made.new_cache(3, 40), stages.new_cache(3, 40)]
    steps = [made.step, stages.step]
    for row in range(3):
        text = torch.arange(3 + row, device=device)[None]
        for cache in caches:
            stages.prefill(text, text[:, :0], cache.row(row))
    for count, rows in enumerate((3, 2, 3, 2)):
        token = torch.arange(rows, device=device) + count
        position = torch.arange(rows, device=device) + 5 + count
        mask = torch.arange(int(position.max()) + 1, device=device) <= position[:, None]
        ours, plain = (
            step(token, position, mask[:, None, None], cache.first(rows))
            for step, cache in zip(steps, caches, strict=True)
        )

        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("positions", "capacity"), [(1, 256), (256, 256), (257, 512), (1500, 2048)])
def test_capacities_are_few(positions: int, capacity: int) -> None:
    """Each is twice the one before."""
    assert rounded_positions(positions) == capacity
