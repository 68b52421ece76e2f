"""Upstream's flags: honoured, left out with a warning, or refused; never ignored silently."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cosyrt.accel.backend import half_weights, tensorrt
from cosyrt.accel.contract import Availability
from cosyrt.accel.vllm import acceleration
from cosyrt.accel.vllm.acceleration import PYTHON_VARIABLE
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.compat import AutoModel, CosyVoice, CosyVoice2
from cosyrt.compat.flags import Flags
from cosyrt.compat.older import warn_once
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.stages import Stages
from cosyrt.errors import ArchiveError, CosyrtError, MissingDependency, UsageError
from cosyrt.lab.export import Exported, export
from tests import tiny1


@pytest.mark.parametrize(
    ("flags", "error", "words"),
    [
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


def test_what_a_cpu_has_no_use_for_is_left_out(
    spelling_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Scripts that set flags for a GPU run on a CPU, as with upstream; one warning says what is left out."""
    monkeypatch.setattr(half_weights, "supported", lambda kind: False)
    monkeypatch.setattr(acceleration, "availability", lambda: Availability(False, "none"))
    warn_once.cache_clear()
    flags = {"load_trt": True, "load_vllm": True, "fp16": True, "trt_concurrent": 4}
    for _ in range(2):
        model = CosyVoice2(str(spelling_folder), **flags, device="cpu")  # type: ignore[arg-type]

    (told,) = caplog.messages
    assert told.startswith("load_vllm and load_trt and fp16 left out, as upstream does without a GPU")
    assert model.fp16 and not model.model.fp16
    assert model.tts.model.stages is model.tts.model.plain


def test_what_a_gpu_has_no_backend_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a flag that cannot be honoured is one line, not a slower model."""
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(acceleration, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="load_vllm=True: vLLM is not installed: pip"):
        Flags(load_vllm=True).on(torch.device("cuda"))
    gpu = SimpleNamespace(device=torch.device("cuda"), stages=None)
    monkeypatch.setattr(tensorrt, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="load_trt=True: TensorRT is not installed; pip install"):
        Flags(load_trt=True).accelerate(gpu)  # type: ignore[arg-type]


def test_vllm_is_used_where_it_is_installed(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor has builds of it, too: there `load_vllm` is honoured, which upstream leaves out."""
    with_engine = tiny.model.stages.replacing(engine=object())
    monkeypatch.setattr(acceleration, "availability", lambda: Availability(True))
    monkeypatch.setattr(acceleration, "vllm", lambda: lambda model: with_engine)

    assert Flags(load_vllm=True).on(torch.device("cpu")).load_vllm
    assert Flags(load_vllm=True).accelerate(tiny.model) is with_engine


@pytest.mark.parametrize("there", [False, True])
def test_fp16_is_honoured_or_left_out(
    tiny1_folder: Path,
    spelling_folder: Path,
    tiny3_folder: Path,
    clip: str,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
) -> None:
    """On a CPU upstream leaves it out; here it runs in 16 bits where the CPU computes in them."""
    monkeypatch.setattr(half_weights, "supported", lambda kind: there)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for folder in (tiny1_folder, spelling_folder, tiny3_folder):
        if there:
            model = AutoModel(model_dir=str(folder), fp16=True)
            assert model.fp16
            assert next(model.inference_vc(clip, clip))["tts_speech"].isfinite().all()
            assert next(model.inference_cross_lingual("Hello.", clip))["tts_speech"].shape[1] > 0
            continue
        model = AutoModel(model_dir=str(folder), fp16=True)
        assert model.fp16 and model.tts.model.stages is model.tts.model.plain


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


def test_load_jit_may_point_at_archives(tiny_folder: Path, exported: dict[str, Exported]) -> None:
    """Archives need not lie in the model's folder: `cosyrt export --out` may have written them elsewhere."""
    out = exported["fp32"].path.parent
    for where in (str(out), out):
        fast = CosyVoice2(str(tiny_folder), load_jit=where)  # type: ignore[arg-type]
        assert fast.tts.model.stages.encode is not fast.tts.model.plain.encode


@pytest.mark.slow
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
    """The stages are the plain ones, or those of the plan that `cosyrt tune` made."""
    assert Flags().accelerate(spelling.model) is spelling.model.stages
    assert Flags().acceleration is None and Flags(fp16=True).acceleration is not None
