"""The list of backends, and running a model with one of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import cosyrt
from cosyrt.accel.contract import PARTS
from cosyrt.accel.registry import BACKENDS, MODULES, accelerated, backend
from cosyrt.engine.stages import Stages
from cosyrt.errors import MissingDependency, UsageError
from cosyrt.families import COSYVOICE2
from tests.engine.pipelines import SHORT

GRAPHS = {name for name in BACKENDS if name.startswith(("openvino", "onnxruntime"))}  # slow to make
MINUTES = {"inductor"}  # a minute of g++ for each graph: tests/accel/backend/test_inductor.py has a small one


def test_parts_are_stages_and_overlap_nowhere() -> None:
    """Every part names stages there are; no stage is in two parts."""
    names = [name for part in PARTS.values() for name in part]

    assert set(names) <= set(Stages._fields)
    assert len(names) == len(set(names))


def test_every_backend_is_listed() -> None:
    """The names in the table are those that the modules define, in their order."""
    defined = [
        one.name
        for module in dict.fromkeys(MODULES.values())
        for one in import_module(f"cosyrt.accel.backend.{module}").BACKENDS
    ]

    assert defined == list(MODULES) == [one.name for one in BACKENDS.values()]


def test_an_unknown_name_is_told_the_known_ones() -> None:
    """The error lists what there is."""
    with pytest.raises(UsageError, match=r"'trt'.*eager.*bf16"):
        backend("trt")


def test_a_part_that_no_backend_has_of_a_family_is_refused(tiny1_folder: Path, tiny3_folder: Path) -> None:
    """The refusal names the part and the family; other parts and families are not refused."""
    for part, name, folder, what in (
        ("llm", "onnxruntime", tiny1_folder, "no graph of the language model of CosyVoice 1"),
        ("vocode", "onnxruntime", tiny3_folder, "no graph of the causal vocoder of CosyVoice 3"),
    ):
        with pytest.raises(UsageError, match=what):
            cosyrt.load(folder, device="cpu", accelerate=accelerated({part: name}))  # type: ignore[dict-item]
    assert not any(
        one.refusal(part, COSYVOICE2) for one in BACKENDS.values() for part in one.parts if part != "llm"
    )


def test_what_is_absent_says_why(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    """Asked for by name, a backend that cannot run is an error with its reason."""
    import cosyrt.accel.backend.half_weights as half

    monkeypatch.setattr(half, "supported", lambda kind: False)
    with pytest.raises(MissingDependency, match="bf16: this CPU has no bf16"):
        cosyrt.load(tiny_folder, device="cpu", accelerate=accelerated("bf16"))


def test_one_name_for_all_leaves_the_plain_way_where_it_must(
    tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """TorchScript has no language model of CosyVoice 2: by its name for all, its encoder and a warning;
    asked for that part by name, an error."""
    plain = cosyrt.load(tiny_folder, device="cpu", plan=False).say(SHORT).samples
    tts = cosyrt.load(tiny_folder, device="cpu", accelerate=accelerated("torchscript"))

    assert np.allclose(tts.say(SHORT).samples, plain, atol=1e-4)
    assert "llm runs its plain stages: TorchScript has no part llm" in caplog.text
    with pytest.raises(UsageError, match="TorchScript has no part llm"):
        cosyrt.load(tiny_folder, device="cpu", accelerate=accelerated({"llm": "torchscript"}))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in GRAPHS else ())
        for name in sorted(BACKENDS.keys() - MINUTES)
    ],
)
def test_a_model_speaks_with_it(tiny_folder: Path, name: str) -> None:
    """Every backend that is there speaks a whole text and a stream, of finite samples."""
    one = BACKENDS[name]
    import torch

    there = one.availability(torch.device("cpu"))
    if not there.ok:
        pytest.skip(there.reason)
    tts = cosyrt.load(tiny_folder, device="cpu", accelerate=accelerated(name))
    whole = tts.say(SHORT).samples
    parts = [part.samples for part in tts.stream(SHORT)]

    assert len(whole) > 0 and np.isfinite(whole).all()
    assert all(np.isfinite(part).all() for part in parts)
