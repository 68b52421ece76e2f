"""Upstream's flags: honoured or refused, never ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.accel.backend import half_weights, tensorrt
from cosyrt.accel.contract import Availability
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.compat import AutoModel, CosyVoice, CosyVoice2
from cosyrt.compat.flags import Flags
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.errors import ArchiveError, CosyrtError, MissingDependency, UsageError
from cosyrt.lab.export import export
from tests import tiny1


@pytest.mark.parametrize(
    ("flags", "error", "words"),
    [
        (
            {"load_trt": True},
            MissingDependency,
            r"load_trt=True: TensorRT is not installed; pip install 'cosyrt\[tensorrt\]', or leave it out",
        ),
        (
            {"load_vllm": True},
            MissingDependency,
            "load_vllm=True: this version has no vLLM backend; leave it",
        ),
        ({"trt_concurrent": 4}, UsageError, "trt_concurrent=4 counts TensorRT contexts"),
        ({"trt_concurrent": 0, "load_trt": True}, UsageError, "needs one context at least"),
        ({"load_jit": True}, ArchiveError, r"flow\.encoder\.fp32\.zip"),
    ],
)
def test_what_is_not_there_is_refused(
    spelling_folder: Path, flags: dict[str, object], error: type[CosyrtError], words: str
) -> None:
    """One line with what to do, from either way to open a folder."""
    for build in (
        lambda: CosyVoice2(str(spelling_folder), **flags),  # type: ignore[arg-type]
        lambda: AutoModel(model_dir=str(spelling_folder), **flags),
    ):
        with pytest.raises(error, match=words) as caught:
            build()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("there", [False, True])
def test_fp16_is_honoured_or_refused(
    tiny1_folder: Path,
    spelling_folder: Path,
    tiny3_folder: Path,
    clip: str,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
) -> None:
    """Upstream switches it off on a CPU and goes on; here it runs in 16 bits, or says that it cannot."""
    monkeypatch.setattr(half_weights, "supported", lambda kind: there)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for folder in (tiny1_folder, spelling_folder, tiny3_folder):
        if there:
            model = AutoModel(model_dir=str(folder), fp16=True)
            assert model.fp16
            assert next(model.inference_vc(clip, clip))["tts_speech"].isfinite().all()
            assert next(model.inference_cross_lingual("Hello.", clip))["tts_speech"].shape[1] > 0
            continue
        with pytest.raises(MissingDependency, match="fp16: this CPU has no fp16 arithmetic"):
            AutoModel(model_dir=str(folder), fp16=True)


def test_load_trt_runs_the_velocity(
    spelling_folder: Path, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where TensorRT can be used the flag builds an engine of that precision for so many callers at once."""
    asked: list[object] = []

    def build(dtype: torch.dtype, part: str, model: Model, contexts: int) -> Stages:
        asked.extend([dtype, part, contexts])
        return model.stages

    monkeypatch.setattr(tensorrt, "availability", lambda kind, device: Availability(True))
    monkeypatch.setattr(tensorrt, "build", build)
    model = CosyVoice2(str(spelling_folder), load_trt=True, trt_concurrent=3)

    assert asked == [torch.float32, "velocity", 3]
    assert next(model.inference_cross_lingual("Hello.", clip))["tts_speech"].shape[1] > 0


def test_load_jit_runs_the_archives(own_folder: Path, clip: str) -> None:
    """With archives in the folder the flow's encoder runs from them, and the speech is the same."""
    export(ModelFolder.open(own_folder), precisions=["fp32"])
    plain, fast = CosyVoice2(str(own_folder)), CosyVoice2(str(own_folder), load_jit=True)
    spoken = []
    for model in (plain, fast):
        torch.manual_seed(0)
        spoken.append(next(model.inference_vc(clip, clip))["tts_speech"])

    assert fast.tts.model.stages.encode is not plain.tts.model.stages.encode
    assert torch.allclose(*spoken, atol=1e-3)


def test_load_jit_of_cosyvoice1_runs_all_three(tmp_path: Path, clip: str) -> None:
    """Text encoder, language model and flow encoder run from their archives, and the speech is the same."""
    tiny1.write_model(tmp_path / "model")
    export(ModelFolder.open(tmp_path / "model"), precisions=["fp32"])
    plain, fast = CosyVoice(str(tmp_path / "model")), CosyVoice(str(tmp_path / "model"), load_jit=True)
    spoken = []
    for model in (plain, fast):
        torch.manual_seed(0)
        spoken.append(next(model.inference_zero_shot("Hello.", "Hello there.", clip))["tts_speech"])

    for stage in ("step", "prefill", "encode"):
        assert getattr(fast.tts.model.stages, stage) is not getattr(plain.tts.model.stages, stage)
    assert torch.allclose(*spoken, atol=1e-3)


def test_load_jit_of_cosyvoice3_is_refused(tiny3_folder: Path) -> None:
    """CosyVoice 3 has no archives: one line, where upstream has a TypeError."""
    with pytest.raises(UsageError, match=r"CosyVoice 3 has no part .* leave load_jit out"):
        AutoModel(model_dir=str(tiny3_folder), load_jit=True)
    assert AutoModel(model_dir=str(tiny3_folder), load_jit=False).sample_rate == 24_000


def test_without_flags_nothing_is_changed(spelling: Pipeline) -> None:
    """The stages are the plain ones."""
    assert Flags().accelerate(spelling.model) is spelling.model.stages
