"""Half weights: near the plain model within their class, what must stay wide stays wide."""

from __future__ import annotations

import pytest
import torch

from cosyrt.accel.backend.half_weights import HEAD, Float32Layer, narrowed, supported
from cosyrt.accel.registry import BACKENDS
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Length, Workload
from cosyrt.models.stream_cache import StreamCache
from cosyrt.models.velocity import FlowInputs
from tests import tiny

SAID = [Length(31, 0, False), Length(66, 31, True)]


@pytest.mark.parametrize("kind", ["bf16", "fp16"])
@pytest.mark.parametrize("part", ["llm", "encode", "velocity"])
def test_every_part_equals_eager_within_its_class(workload: Workload, kind: str, part: str) -> None:
    """Whole and streamed, with a prompt and without: call, solve, sound and expectation keep the limits."""
    backend = BACKENDS[kind]
    stages = backend.build(part, workload.model)  # type: ignore[arg-type]
    parity = verify(workload.model, part, "half", stages, [workload.utterance(length) for length in SAID])  # type: ignore[arg-type]

    assert parity.passed, parity.why
    assert parity != verify(workload.model, part, "half", workload.model.plain, [workload.utterance(SAID[0])])  # type: ignore[arg-type]


def test_weights_are_narrow_and_the_head_is_the_models_own() -> None:
    """All weights are 16 bits wide but the last layer's, which is shared; the original stays as it was."""
    model = tiny.language_model()
    narrow = narrowed(model, torch.bfloat16, wide=(HEAD,))
    head = narrow.get_submodule(HEAD)
    others = {p.dtype for name, p in narrow.named_parameters() if not name.startswith(HEAD)}

    assert others == {torch.bfloat16}
    assert isinstance(head, Float32Layer) and head.plain.weight is model.llm_decoder.weight
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_time_in_half_precision_would_be_noticed(workload: Workload) -> None:
    """The velocity that is given a time rounded to 8 bits does not pass: the check is not blind."""

    def rounded(inputs: FlowInputs, cache: StreamCache | None) -> torch.Tensor:
        t = (1000 * inputs.t).bfloat16().float() / 1000 + 0.02
        return workload.model.plain.velocity(inputs._replace(t=t), cache)

    stages = workload.model.plain._replace(velocity=rounded)

    assert not verify(workload.model, "velocity", "exact", stages, [workload.utterance(SAID[0])]).passed


def test_absence_has_a_reason() -> None:
    """A CPU without the arithmetic is told so; with it, there is nothing to say."""
    for kind in ("bf16", "fp16"):
        there = BACKENDS[kind].availability(torch.device("cpu"))
        assert there.ok == supported(kind)
        assert there.ok or kind in there.reason
