"""CUDA graphs: what is padded, masked and reused gives the plain numbers. Where there is no GPU, the graph is
the network itself, run at the same places."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosyrt.accel.backend.cudagraph import (
    LEAST_FRAMES,
    MOST_FRAMES,
    GraphedVelocity,
    Recorder,
    build,
    refusal,
    rounded_frames,
    widened,
)
from cosyrt.accel.contract import PARTS as BACKEND_PARTS
from cosyrt.accel.contract import Part
from cosyrt.accel.registry import BACKENDS
from cosyrt.engine import decoding
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Networks
from cosyrt.families import COSYVOICE1, COSYVOICE3
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Length, Workload
from cosyrt.models.velocity import FlowInputs
from tests import tiny, tiny3
from tests.accel.fake_cuda import FIRST, SECOND, Cards, itself
from tests.engine.pipelines import Counted, joined, other, same

SAID = [Length(31, 0, False), Length(110, 31, True)]
PARTS: tuple[Part, ...] = ("llm", "velocity")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_equals_eager(workload: Workload, part: Part) -> None:
    """Whole and streamed: the exact class."""
    stages = build(None, part, workload.model, record=itself)
    parity = verify(workload.model, part, "exact", stages, [workload.utterance(length) for length in SAID])

    assert parity.passed, parity.why


@pytest.mark.parametrize("part", PARTS)
def test_in_16_bits_it_stays_within_its_class(workload: Workload, part: Part) -> None:
    """The places have the type of the weights, what goes in and out does not."""
    stages = build(torch.bfloat16, part, workload.model, record=itself)
    parity = verify(workload.model, part, "half", stages, [workload.utterance(Length(31, 0, False))])

    assert parity.passed, parity.why


def test_the_velocity_of_cosyvoice_3_may_be_padded() -> None:
    """Positions and attention of the real frames are as without padding."""
    velocity = tiny3.flow().velocity
    graphed = GraphedVelocity(velocity, velocity, itself)
    given = of_length(37)
    with torch.inference_mode():
        torch.testing.assert_close(graphed(given, None), velocity(given), atol=1e-5, rtol=0)


def test_no_frame_sees_padding_and_padding_sees_something() -> None:
    """Rows of nothing would not be numbers."""
    wide = widened(torch.ones(1, 2, 2, dtype=torch.bool), 3)

    assert wide.shape == (1, 5, 5)
    assert not wide[:, :, 2:].any() and wide.any(dim=2).all()


def of_length(frames: int) -> FlowInputs:
    """Inputs of a velocity, each length with other numbers."""
    x, mu, prompt = torch.randn(3, 2, 80, frames, generator=torch.Generator().manual_seed(frames))
    valid, mask = torch.ones(2, 1, frames), torch.ones(2, frames, frames, dtype=torch.bool).tril()
    return FlowInputs(x, valid, mask, mu, torch.tensor([0.3, 0.3]), x[:, :, 0], prompt)


def test_a_length_is_recorded_once() -> None:
    """Lengths that round to the same share a graph; results given out before are left alone."""
    velocity, recorded = tiny.flow().velocity, Counted(itself)
    graphed = GraphedVelocity(velocity, velocity, recorded)
    with torch.inference_mode():
        found = [(frames, graphed(of_length(frames), None)) for frames in (70, 79, 97, 70)]
        for frames, out in found:
            torch.testing.assert_close(out, velocity(of_length(frames)), atol=1e-5, rtol=0)

    assert recorded.calls == 2


def test_what_is_very_long_runs_the_plain_way() -> None:
    """A graph of that length would hold memory for ever and save nothing to speak of."""
    velocity, plain = tiny.flow().velocity, Counted(lambda inputs, cache: inputs.x)
    long = torch.zeros(2, 80, MOST_FRAMES + 1)

    inputs = of_length(3)._replace(x=long)

    assert GraphedVelocity(velocity, plain, itself)(inputs, None) is long and plain.calls == 1


def test_lengths_are_few_and_little_is_padding() -> None:
    """Four an octave: all can be kept, and less than a quarter of the work is for nothing."""
    lengths = range(LEAST_FRAMES, MOST_FRAMES + 1)
    widths = [rounded_frames(frames) for frames in lengths]

    assert len(set(widths)) == 21 and rounded_frames(1) == LEAST_FRAMES
    assert all(0 <= wide - frames < frames / 4 for frames, wide in zip(lengths, widths, strict=True))
    assert all(rounded_frames(wide) == wide and wide % 16 == 0 for wide in widths)


def test_a_graph_is_recorded_on_the_card_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever card is current: elsewhere nothing would be recorded, and its replay would change nothing."""
    cards = Cards(monkeypatch)
    ran_on: list[tuple[torch.device, torch.device]] = []

    def run() -> Tensor:
        ran_on.append((cards.current, cards.current_stream().device))
        return torch.ones(1)

    Recorder(SECOND)(run)()

    assert ran_on == [(SECOND, SECOND), (SECOND, SECOND)] and cards.current == FIRST


@pytest.mark.parametrize("part", PARTS)
def test_those_who_speak_at_once_do_not_hear_each_other(spelling: Pipeline, part: Part) -> None:
    """Each has places of its own, or takes what is his from shared ones before another comes."""
    networks = Networks(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder())
    stages = build(None, part, replace(spelling.model, networks=networks), record=itself)
    fast = other(spelling, **{name: getattr(stages, name) for name in BACKEND_PARTS[part]})
    words = ("One two.", "Two one.", "Ten six.", "Six ten.")
    with ThreadPoolExecutor(len(words)) as pool:
        found = list(pool.map(fast.say, words))

    for text, ours in zip(words, found, strict=True):
        assert same(spelling.say(text).samples, ours.samples)


def test_there_is_none_of_cosyvoice_1() -> None:
    """CosyVoice 1 normalises over all frames and would attend to the padding: one line, no wrong audio."""
    assert refusal("llm", COSYVOICE1) == "there is no CUDA graph of the part llm of CosyVoice 1"
    assert refusal("velocity", COSYVOICE1) and not refusal("velocity", COSYVOICE3)


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
    """On the last GPU, recorded and replayed, whole and streamed, lengths seen twice."""
    one, workload = BACKENDS[name], Workload(Model.open(tiny_folder, f"cuda:{torch.cuda.device_count() - 1}"))
    if not one.availability(torch.device("cuda")).ok:
        pytest.skip(one.availability(torch.device("cuda")).reason)
    stages = one.build(part, workload.model)
    said = [workload.utterance(length) for length in (*SAID, *SAID)]
    parity = verify(workload.model, part, one.precision, stages, said)

    assert parity.passed, parity.why


def test_text_that_is_read_while_spoken_is_said_the_same(
    spelling: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a cache grows, to a larger place, and is read without a graph."""
    monkeypatch.setattr(decoding, "FIRST_POSITIONS", 8)
    networks = Networks(llm=tiny.language_model(), flow=tiny.flow(), vocoder=tiny.vocoder())
    stages = build(None, "llm", replace(spelling.model, networks=networks), record=itself)
    fast = other(spelling, **{name: getattr(stages, name) for name in BACKEND_PARTS["llm"]})
    words = ["one two ", "three."]
    plain, ours = (joined(tts.stream(iter(words), interleave=True)) for tts in (spelling, fast))

    assert same(plain, ours)
