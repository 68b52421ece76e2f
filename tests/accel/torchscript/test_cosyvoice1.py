"""Archives in the place of CosyVoice 1's encoders: ours, and what upstream's can do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cosyrt
from cosyrt.accel.backend.torchscript import archives, swapped
from cosyrt.accel.torchscript.archive import Archive
from cosyrt.accel.torchscript.scripted_transformer import ScriptedTransformer
from cosyrt.accel.torchscript.stages import COMPONENTS
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import ArchiveError
from cosyrt.lab.export import Exported, export, optimised
from tests.tiny1 import flow, language_model, vocoder

NETWORKS = Networks(llm=language_model(), flow=flow(), vocoder=vocoder())
PLAIN = eager(NETWORKS)
LLM = COMPONENTS["cosyvoice"][1]
TEXT = "Hello to you."


@pytest.fixture(scope="module")
def exported1(tiny1_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Exported]:
    """The float32 archives of the tiny CosyVoice 1."""
    out = tmp_path_factory.mktemp("archives1")
    return export(ModelFolder.open(tiny1_folder), out=out, precisions=["fp32"])


class AsUpstream(nn.Module):
    """What upstream's `llm.llm` can do: no `step`."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ScriptedTransformer(NETWORKS.llm.llm)  # type: ignore[arg-type]

    def forward(self, xs: Tensor, xs_lens: Tensor) -> tuple[Tensor, Tensor]:
        return self.inner(xs, xs_lens)

    @torch.jit.export
    def forward_chunk(
        self, xs: Tensor, offset: int, required_cache_size: int, att: Tensor, cnn: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self.inner.forward_chunk(xs, offset, required_cache_size, att, cnn, mask)


def theirs(folder: Path, keeps: tuple[str, ...]) -> Archive:
    path = folder / "llm.llm.fp32.zip"
    optimised(AsUpstream(), keeps).save(str(path))
    return Archive.open(path, checkpoint=path, needs=LLM.needs)


def spoken(stages: Stages) -> Tensor:
    """Log-probabilities of a prompt, then of three tokens."""
    text, speaker = torch.tensor([[5, 3, 9]]), torch.ones(1, 192)
    cache, rows = stages.new_cache(1, 16), []
    rows.append(stages.prefill(text, text[:, :2], cache, speaker))
    for position in (8, 9, 10):
        mask = torch.ones(1, 1, 1, position + 1).bool()
        rows.append(stages.step(torch.tensor([7]), torch.tensor([position]), mask, cache))
    return torch.cat(rows)


def test_the_names_and_methods_are_upstreams(exported1: list[Exported]) -> None:
    """Three parts; the language model keeps `forward_chunk`, and ours has `step` beside it."""
    assert [each.path.name for each in exported1] == [
        "llm.text_encoder.fp32.zip",
        "llm.llm.fp32.zip",
        "flow.encoder.fp32.zip",
    ]
    assert exported1[1].manifest.methods == ["forward", "forward_chunk", "step"]
    assert all(0 < each.manifest.error < 1e-5 for each in exported1)


def test_it_says_the_same(exported1: list[Exported], tiny1_folder: Path, tiny1: cosyrt.Pipeline) -> None:
    """All three archives at work."""
    where = exported1[0].path.parent
    ours = cosyrt.load(tiny1_folder, device="cpu", accelerate=archives("fp32", where)).say(TEXT)
    plain = tiny1.say(TEXT)

    assert len(ours.samples) == len(plain.samples)
    assert np.allclose(ours.samples, plain.samples, atol=1e-3)


def test_upstreams_language_model_speaks_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Through its own cache, copied at every step, which is said once."""
    stages = eager(swapped(LLM, NETWORKS, theirs(tmp_path, ("forward_chunk",))))

    assert torch.allclose(spoken(stages), spoken(PLAIN), atol=1e-5)
    assert "copies its cache at every step" in caplog.text


def test_a_language_model_without_forward_chunk_is_refused(tmp_path: Path) -> None:
    """It could not speak token by token."""
    with pytest.raises(
        ArchiveError, match="no method 'forward_chunk', so it cannot be streamed; make it again"
    ):
        theirs(tmp_path, ())


def test_two_at_once_are_refused_by_upstreams(tmp_path: Path) -> None:
    """Its cache has no place for a batch."""
    stages = eager(swapped(LLM, NETWORKS, theirs(tmp_path, ("forward_chunk",))))
    text = torch.tensor([[5, 3], [2, 1]])

    with pytest.raises(ArchiveError, match="takes one sequence and one token at a time"):
        stages.prefill(text, text[:, :1], stages.new_cache(2, 8))
