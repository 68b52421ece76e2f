"""Where weights are and what becomes of them in a call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from cosyrt.accel.backend.half_weights import half
from cosyrt.accel.registry import accelerated
from cosyrt.lab.doctor.patient import Patient
from cosyrt.lab.doctor.weights import autocast, conversions, mislabelled
from tests.lab.doctor.injected import autocast_inside, with_stage


def test_conversions_are_counted_at_every_call(healthy: Patient) -> None:
    """Autocast keeps nothing for weights that ask for no gradient: the second call converts as much."""
    patient = autocast_inside(healthy, None)  # type: ignore[arg-type]
    first, second, third = (conversions(patient, "velocity") for _ in range(3))

    assert first > second == third  # what depends on the time alone is computed once
    assert third[0] > 0 and third[1] > 1000
    assert conversions(patient, "encode") == conversions(patient, "vocode") == (0, 0)
    assert autocast(patient).seen.startswith("velocity converts ")


def test_half_weights_are_not_autocast(healthy: Patient) -> None:
    """Weights of 16 bits, activations cast at the border: no weight is converted in a call."""
    subject = healthy.subject
    stages = half(torch.bfloat16, "velocity", subject.model)

    assert autocast(replace(healthy, stages=stages)).status == "ruled out"


def test_what_compiles_still_does_after_it_was_watched(healthy: Patient) -> None:
    """torch.compile refuses what it meets under a foreign mode, and would go on refusing it."""
    doubled = torch.compile(lambda mu: mu * 2, backend="eager", fullgraph=True)
    encode = torch.inference_mode()(lambda *args: doubled(healthy.stages.encode(*args)))
    patient = with_stage(healthy, "encode", encode)

    assert conversions(patient, "encode") == (0, 0)
    assert patient.seconds("encode", 24) == 0


def test_a_damaged_archive_is_not_called_mislabelled(healthy: Patient, tmp_path: Path) -> None:
    """Nobody can load it, so that it slows nothing down."""
    path = tmp_path / "flow.encoder.fp16.zip"
    path.write_bytes(b"PK")

    assert mislabelled(replace(healthy, archives=(path,))).status == "ruled out"


def test_eight_bit_weights_are_not_autocast(healthy: Patient) -> None:
    """Integers are made once, when the way is built."""
    subject = healthy.subject
    stages = accelerated({"llm": "int8"})(subject.model)

    assert autocast(replace(healthy, stages=stages)).status == "ruled out"
