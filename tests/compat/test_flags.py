"""Upstream's flags: honoured or refused, never ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyrt.compat import AutoModel, CosyVoice2
from cosyrt.compat.flags import Flags
from cosyrt.errors import ArchiveError, CosyrtError, MissingDependency, UsageError


@pytest.mark.parametrize(
    ("flags", "error", "words"),
    [
        (
            {"load_trt": True},
            MissingDependency,
            "load_trt=True: this version has no TensorRT backend; leave it",
        ),
        (
            {"load_vllm": True},
            MissingDependency,
            "load_vllm=True: this version has no vLLM backend; leave it",
        ),
        ({"trt_concurrent": 4}, UsageError, "trt_concurrent=4 counts TensorRT contexts"),
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_fp16_without_a_gpu_is_refused(spelling_folder: Path) -> None:
    """Upstream switches it off and goes on."""
    with pytest.raises(UsageError, match="float16 needs a CUDA device, tiny runs on cpu; leave fp16 out"):
        CosyVoice2(str(spelling_folder), fp16=True)


def test_without_flags_nothing_is_changed(spelling_folder: Path) -> None:
    """The stages are the plain ones."""
    stages, folder, models = object(), object(), object()

    assert Flags().accelerate(folder, models, stages) is stages  # type: ignore[arg-type, comparison-overlap]
