"""Archives in the place of CosyVoice 1's encoders: ours, and what upstream's can do."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cosyrt
from cosyrt.accel.backend.torchscript import archives, swapped
from cosyrt.accel.torchscript.archive import Archive
from cosyrt.accel.torchscript.cosyvoice1 import ScriptedConformer, ScriptedTransformer, as_upstream
from cosyrt.accel.torchscript.stages import COMPONENTS
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import ArchiveError
from cosyrt.lab.export import Exported, export, optimised
from cosyrt.models.layers import attention_mask, valid_positions
from tests.tiny1 import flow, language_model, vocoder

pytestmark = pytest.mark.slow  # archives are made first

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
    """`llm.llm` as upstream exports it: no `step`."""

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
    """A pipeline on all three archives speaks as the plain one does."""
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
    """Without `forward_chunk` an archive could not speak token by token."""
    with pytest.raises(
        ArchiveError, match="no method 'forward_chunk', so it cannot be streamed; make it again"
    ):
        theirs(tmp_path, ())


def test_two_at_once_are_refused_by_upstreams(tmp_path: Path) -> None:
    """Upstream's cache has no place for a batch."""
    stages = eager(swapped(LLM, NETWORKS, theirs(tmp_path, ("forward_chunk",))))
    text = torch.tensor([[5, 3], [2, 1]])

    with pytest.raises(ArchiveError, match="takes one sequence and one token at a time"):
        stages.prefill(text, text[:, :1], stages.new_cache(2, 8))


def test_rows_of_upstreams_are_stepped_one_by_one(
    tmp_path: Path, exported1: list[Exported], tiny1: cosyrt.Pipeline
) -> None:
    """A batch of utterances is split for it, and each is what it is alone."""
    where = shutil.copytree(exported1[0].path.parent, tmp_path / "archives")
    (where / "llm.llm.fp32.json").unlink()
    theirs(where, ("forward_chunk",))
    stages = archives("fp32", where)(tiny1.model)
    text = torch.tensor([[5, 3, 9, 4, 1]])
    found = []
    for made in (stages, tiny1.model.plain):
        cache = made.new_cache(2, 16)
        for row, length in enumerate((5, 2)):
            made.prefill(text[:, :length], text[:, :1], cache.row(row))
        position = torch.tensor([8, 5])
        mask = (torch.arange(9) <= position[:, None])[:, None, None]
        found.append(made.step(torch.tensor([7, 8]), position, mask, cache))

    torch.testing.assert_close(*found, atol=1e-4, rtol=0)


LM = language_model()
SCRIPTED = ScriptedTransformer(LM.llm).eval()
NOTHING = torch.zeros(0, 0, 0, 0)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def before(start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    positions = torch.arange(start, end)
    return positions[None], (torch.arange(end) <= positions[:, None])[None, None]


def test_the_signatures_are_upstreams() -> None:
    """Upstream calls them by these names."""
    chunk = list(inspect.signature(ScriptedTransformer.forward_chunk).parameters)
    whole = list(inspect.signature(ScriptedConformer.forward).parameters)

    assert chunk == [
        "self",
        "xs",
        "offset",
        "required_cache_size",
        "att_cache",
        "cnn_cache",
        "att_mask",
    ]
    assert whole == ["self", "xs", "xs_lens", "decoding_chunk_size", "num_decoding_left_chunks"]


@pytest.mark.parametrize("chunk", [None, 1])
def test_a_conformer_hears_all_or_what_was_before(chunk: int | None) -> None:
    """Two texts of different length: the same numbers as the plain one, and the mask of what is real."""
    lengths, inputs = torch.tensor([19, 8]), LM.config.text.inputs
    x, valid = draw(2, 19, inputs), valid_positions(lengths, 19)
    y, mask = ScriptedConformer(LM.text_encoder, chunk)(x, lengths, 1, -1)

    assert torch.allclose(y, LM.text_encoder(x, attention_mask(valid, chunk)), atol=1e-5)
    assert torch.equal(mask[:, 0], valid)


def test_the_language_model_read_whole() -> None:
    """`forward`: each position hears those before it."""
    x = draw(1, 30, LM.config.speech.inputs)
    y, _ = SCRIPTED(x, torch.tensor([30]))

    assert torch.allclose(y, LM.llm(x, *before(0, 30), LM.empty_cache(1, 30)), atol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
def test_token_by_token_as_upstream_does(masked: bool) -> None:
    """`forward_chunk`: a prompt, then tokens; a mask of one token, or none at all, shows all."""
    x = draw(1, 12, LM.config.speech.inputs)
    cache, theirs, cnn = LM.empty_cache(1, 12), NOTHING, NOTHING
    for start, end in ((0, 9), (9, 10), (10, 11), (11, 12)):
        count = end - start
        mask = {"att_mask": torch.ones(1, count, count).tril().bool()} if masked or start == 0 else {}
        y, theirs, cnn = SCRIPTED.forward_chunk(x[:, start:end], start, -1, theirs, cnn, **mask)

        assert torch.allclose(y, LM.llm(x[:, start:end], *before(start, end), cache), atol=1e-5)
        assert torch.allclose(theirs, as_upstream(cache.keys, cache.values, end), atol=1e-5)
    assert cnn.shape == (LM.config.speech.layers, 0, 0, 0)


def test_upstreams_cache_may_be_cut() -> None:
    """A `required_cache_size` of zero or more keeps that many positions."""
    x = draw(1, 9, LM.config.speech.inputs)
    kept = [SCRIPTED.forward_chunk(x, 0, size, NOTHING, NOTHING)[1] for size in (-1, 4, 0, 20)]

    assert [cache.shape[2] for cache in kept] == [9, 4, 0, 9]
    assert torch.equal(kept[1], kept[0][:, :, 5:])


def test_a_step_writes_to_the_cache_it_is_given() -> None:
    """`step` is the plain model's way, in place; a cache of more precision than the weights stays so."""
    x = draw(1, 5, LM.config.speech.inputs)
    theirs, ours = LM.empty_cache(1, 8), LM.empty_cache(1, 8)
    for start, end in ((0, 4), (4, 5)):
        expected = LM.llm(x[:, start:end], *before(start, end), theirs)
        y, *kept = SCRIPTED.step(x[:, start:end], *before(start, end), *ours.tensors())

        assert torch.allclose(y, expected, atol=1e-5)
        assert all(a is b for a, b in zip(kept, ours.tensors(), strict=True))
        assert all(
            torch.allclose(a, b, atol=1e-5) for a, b in zip(ours.tensors(), theirs.tensors(), strict=True)
        )
