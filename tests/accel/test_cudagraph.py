"""CUDA graphs: what is padded, masked and reused gives the plain numbers. Where there is no GPU, the graph is
the network itself, run at the same places."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cosyrt.accel.backend import PARTS as BACKEND_PARTS
from cosyrt.accel.backend import Part
from cosyrt.accel.backends import BACKENDS
from cosyrt.accel.cudagraph import GRAPHS, GraphedVelocity, Run, Slots, build, rounded_capacity, widened
from cosyrt.accel.verify import verify
from cosyrt.accel.workload import Length, Subject
from cosyrt.engine import interleave
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Models, eager
from cosyrt.errors import UsageError
from tests import tiny, tiny1, tiny3
from tests.engine.pipelines import joined, other, same

SAID = [Length(31, 0, False), Length(110, 31, True)]
PARTS: tuple[Part, ...] = ("llm", "velocity")


def itself(run: Run) -> Run:
    return run


@pytest.mark.parametrize("part", PARTS)
def test_every_part_equals_eager(subject: Subject, part: Part) -> None:
    """Whole and streamed: the exact class."""
    stages = build(None, part, subject.pipeline.folder, subject.models, subject.plain, record=itself)
    parity = verify(subject, part, "exact", stages, [subject.utterance(length) for length in SAID])

    assert parity.passed, parity.why


@pytest.mark.parametrize("part", PARTS)
def test_in_16_bits_it_stays_within_its_class(subject: Subject, part: Part) -> None:
    """The places have the type of the weights, what goes in and out does not."""
    stages = build(
        torch.bfloat16, part, subject.pipeline.folder, subject.models, subject.plain, record=itself
    )
    parity = verify(subject, part, "half", stages, [subject.utterance(Length(31, 0, False))])

    assert parity.passed, parity.why


def test_the_velocity_of_cosyvoice_3_may_be_padded() -> None:
    """Positions and attention of the real frames are as without padding."""
    velocity = tiny3.flow().velocity
    graphed = GraphedVelocity(velocity, velocity, itself)
    x, mu, prompt = torch.randn(3, 2, 80, 37, generator=torch.Generator().manual_seed(0))
    real, sees = torch.ones(2, 1, 37), torch.ones(2, 37, 37, dtype=torch.bool).tril()
    given = (x, real, sees, mu, torch.tensor([0.3, 0.3]), x[:, :, 0], prompt)
    with torch.inference_mode():
        torch.testing.assert_close(graphed(*given), velocity(*given), atol=1e-5, rtol=0)


def test_no_frame_sees_padding_and_padding_sees_something() -> None:
    """Rows of nothing would not be numbers."""
    wide = widened(torch.ones(1, 2, 2, dtype=torch.bool), 3)

    assert wide.shape == (1, 5, 5)
    assert not wide[:, :, 2:].any() and wide.any(dim=2).all()


def test_the_graphs_of_a_velocity_are_bounded() -> None:
    """The one that was not used for longest makes room."""
    velocity = tiny.flow().velocity
    graphed = GraphedVelocity(velocity, velocity, itself)
    for size in range(GRAPHS + 3):
        graphed.of((2, size), (torch.zeros(1),))

    assert len(graphed.known) == GRAPHS and (2, 0) not in graphed.known


def slots() -> Slots:
    stages = eager(Models(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder()))
    return Slots(stages.new_cache, stages.step, itself)


def test_a_cache_has_a_place_of_its_own_until_it_is_let_go() -> None:
    """Two utterances at once have two places; the next one gets a free one, emptied."""
    made = slots()
    one, two = made.new_cache(1, 100), made.new_cache(1, 100)
    place = one.keys.data_ptr()
    with torch.inference_mode():
        one.keys.fill_(float("nan"))

    assert two.keys.data_ptr() != place
    del one
    gc.collect()
    again = made.new_cache(1, 90)
    assert again.keys.data_ptr() == place
    assert again.keys.abs().max() == 0
    assert len(made.taken) == 2


@pytest.mark.parametrize(("positions", "capacity"), [(1, 256), (256, 256), (257, 512), (1500, 2048)])
def test_capacities_are_few(positions: int, capacity: int) -> None:
    """Each is twice the one before."""
    assert rounded_capacity(positions) == capacity


def test_there_is_none_of_cosyvoice_1(subject: Subject) -> None:
    """Its velocity norms over all frames and would hear the padding: one line, no wrong sound."""
    other = replace(subject.models, llm=tiny1.language_model())
    with pytest.raises(UsageError, match="no CUDA graph of the part llm of CosyVoice 1"):
        build(None, "llm", subject.pipeline.folder, other, subject.plain)


@pytest.mark.parametrize("name", ["cudagraphs", "cudagraphs-bf16", "cudagraphs-fp16"])
def test_they_are_absent_without_cuda(name: str) -> None:
    """The reason says where the model runs."""
    assert BACKENDS[name].availability(torch.device("cpu")).reason == (
        "graphs are CUDA's, the model runs on cpu"
    )


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["cudagraphs", "cudagraphs-bf16", "cudagraphs-fp16"])
@pytest.mark.parametrize("part", PARTS)
def test_recorded_graphs_equal_eager(tiny_folder: Path, name: str, part: Part) -> None:
    """On a GPU, recorded and replayed, whole and streamed, lengths seen twice."""
    one, subject = BACKENDS[name], Subject.open(str(tiny_folder), "cuda")
    if not one.availability(torch.device("cuda")).ok:
        pytest.skip(one.availability(torch.device("cuda")).reason)
    stages = one.build(part, subject.pipeline.folder, subject.models, subject.plain)
    said = [subject.utterance(length) for length in (*SAID, *SAID)]
    parity = verify(subject, part, one.precision, stages, said)

    assert parity.passed, parity.why


def test_text_that_is_read_while_spoken_is_said_the_same(
    spelling: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a cache grows, to a larger place, and is read without a graph."""
    monkeypatch.setattr(interleave, "ROOM", 8)
    models = Models(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder())
    stages = build(None, "llm", spelling.folder, models, spelling.stages, record=itself)
    fast = other(spelling, **{name: getattr(stages, name) for name in BACKEND_PARTS["llm"]})
    words = ["one two ", "three."]
    plain, ours = (joined(tts.stream(iter(words), interleave=True)) for tts in (spelling, fast))

    assert same(plain, ours)
