"""8-bit weights and activations: calibrated by the model's own speech, right within their class, kept."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from cosyrt.accel.artifacts import artifact_path
from cosyrt.accel.backend import calibrated, openvino
from cosyrt.accel.footprint import COSYVOICE_2
from cosyrt.accel.registry import BACKENDS
from cosyrt.lab.parity import LIMITS, verify
from cosyrt.lab.workload import Length, Workload
from cosyrt.machine.facts import Cpu, Machine

installed = pytest.mark.skipif(
    find_spec("openvino") is None or find_spec("nncf") is None, reason="OpenVINO and NNCF are an extra"
)
CPU = torch.device("cpu")


@installed
@pytest.mark.slow
@pytest.mark.parametrize(("part", "times_the_limit"), [("velocity", 2.0), ("vocode", 1.0)])
def test_every_part_is_near_eager(workload: Workload, part: str, times_the_limit: float) -> None:
    """One call and the sound are within the limits of the class, whole and streamed; what was made is kept.

    A whole solve of this network, 32 wide, is farther off than `tune` allows.
    """
    one = BACKENDS["openvino-w8a8"]
    said = [workload.utterance(Length(31, 0, False)), workload.utterance(Length(110, 31, True))]
    parity = verify(workload.model, part, one.precision, one.build(part, workload.model), said)  # type: ignore[arg-type]
    names = [path.name for path in artifact_path(workload.model.folder, "any").parent.iterdir()]

    found, most = parity.distances, LIMITS["quantised"]
    assert found.call < most.call and found.audio < most.audio
    assert found.solve < times_the_limit * most.solve
    assert any(name.endswith("w8a8") for name in names)


@pytest.mark.slow
def test_graphs_are_calibrated_by_what_they_are_given(workload: Workload) -> None:
    """Both graphs of the velocity, the one that resumes from a past too, by a dozen calls at most."""
    calls = calibrated.calls_while_speaking("velocity", workload.model)

    assert {kind for kind, _ in calls} == {"VelocityGraph"} and len(calls) == 2
    assert all(0 < len(known) <= calibrated.MOST for known in calls.values())
    assert {len(args) for known in calls.values() for args in known} == {count for _, count in calls}


def test_ranges_are_taken_from_a_voice_that_is_nobody(workload: Workload) -> None:
    """Nobody has a speaker of the right width and a prompt of the length that is asked for."""
    settings = workload.model.settings
    none, prompted = (calibrated.unknown_voice(workload.model, tokens) for tokens in (0, 75))

    assert (
        none.speaker.shape == (settings.flow.speaker_width,) and none.family == workload.model.folder.family
    )
    assert len(none.speech_tokens) == len(none.mel) == 0
    assert len(prompted.mel) == settings.rates.frames(len(prompted.speech_tokens)) == 150


@installed
def test_products_are_of_integers_and_near_the_plain_ones() -> None:
    """Weights are rounded by rows, activations within the ranges that were seen: 3 % off at most."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))
    calls = [(torch.randn(1, 20, 64),) for _ in range(4)]
    graph = calibrated.quantised(openvino.converted(module, calls[0]), calls, calibrated.has_vnni())
    kinds = [op.get_type_name() for op in graph.get_ordered_ops()]
    compiled = openvino.Compiled(graph, bf16=False)
    x = torch.randn(1, 31, 64)
    with torch.inference_mode():
        want, (got,) = module(x), compiled(x)

    assert "FakeQuantize" in kinds
    assert 0 < float((got - want).norm() / want.norm()) < 0.03


def test_it_is_for_processors_that_multiply_integers() -> None:
    """By the book little is gained without their instructions; no card runs it, and without NNCF nobody."""
    advice = BACKENDS["openvino-w8a8"].advice
    vnni, old = (
        advice(Machine(cpu=Cpu(instruction_sets=sets)), COSYVOICE_2) for sets in (("avx512_vnni",), ("avx2",))
    )

    assert "four times" in vnni.reason and "without VNNI" in old.reason
    assert not BACKENDS["openvino-w8a8"].availability(torch.device("meta")).ok


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is an extra")
def test_without_what_sets_the_ranges_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the extra."""
    monkeypatch.setattr(calibrated, "find_spec", lambda name: None)

    assert "cosyrt[openvino-int8]" in BACKENDS["openvino-w8a8"].availability(CPU).reason
