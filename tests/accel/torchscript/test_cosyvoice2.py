"""An archive in the encoder's place gives what the encoder gives, or says why it cannot be there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosyrt.accel.backend.torchscript import swapped
from cosyrt.accel.torchscript.archive import Archive
from cosyrt.accel.torchscript.cosyvoice2 import ArchivedEncoder
from cosyrt.accel.torchscript.scripted import ScriptedUpsampleConformer
from cosyrt.accel.torchscript.stages import COMPONENTS
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import ArchiveError
from cosyrt.lab.export import Exported, optimised
from cosyrt.models.conformer import UpsampleConformer
from cosyrt.models.layers import attention_mask
from cosyrt.models.stream_cache import StreamCache
from tests.tiny import SPEECH_VOCABULARY, flow, language_model, vocoder

NETWORKS = Networks(llm=language_model(), flow=flow(), vocoder=vocoder())
PLAIN = eager(NETWORKS)
TOKENS = torch.randint(0, SPEECH_VOCABULARY, (1, 78), generator=torch.Generator().manual_seed(0))


class AsUpstream(torch.nn.Module):
    """What upstream's archives can do: `forward`, and no memory."""

    def __init__(self, encoder: UpsampleConformer) -> None:
        super().__init__()
        self.inner = ScriptedUpsampleConformer(encoder)

    def forward(
        self, xs: Tensor, xs_lens: Tensor, context: Tensor, a: int = 0, b: int = -1, streaming: bool = False
    ) -> tuple[Tensor, Tensor]:
        return self.inner(xs, xs_lens, context, a, b, streaming)


class OlderUpstream(torch.nn.Module):
    """What an archive from before the masks was like."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(32, 32))

    def forward(self, xs: Tensor, xs_lens: Tensor) -> tuple[Tensor, Tensor]:
        return xs @ self.weight, xs_lens


def installed(archive: Archive) -> Stages:
    (component,) = COMPONENTS["cosyvoice2"]
    return eager(swapped(component, NETWORKS, archive))


def ours(exported: dict[str, Exported], tiny_folder: Path, precision: str = "fp32") -> Stages:
    archive = Archive.open(exported[precision].path, checkpoint=tiny_folder / "flow.safetensors")
    return installed(archive)


def theirs(module: torch.nn.Module, folder: Path) -> Archive:
    """The module as an archive without `forward_chunk` and without a manifest."""
    path = folder / "flow.encoder.fp32.zip"
    optimised(module, keeps=()).save(str(path))
    return Archive.open(path, checkpoint=path)


def encoded(stages: Stages, chunk: int | None, cache: StreamCache | None = None) -> Tensor:
    valid = torch.ones_like(TOKENS).bool()
    return stages.encode(TOKENS, valid, attention_mask(valid, chunk), None, cache)


@pytest.mark.parametrize("chunk", [None, 25, 10])
def test_ours_takes_any_mask(exported: dict[str, Exported], tiny_folder: Path, chunk: int | None) -> None:
    """Masks are tensors: whole, chunked as trained, and one that upstream has no word for."""
    stages = ours(exported, tiny_folder)

    assert torch.allclose(encoded(stages, chunk), encoded(PLAIN, chunk), atol=1e-6)


def test_ours_goes_on_from_a_memory(exported: dict[str, Exported], tiny_folder: Path) -> None:
    """Two chunks from a memory are the chunked whole, and a copied memory goes on by itself."""
    stages, cache, whole = ours(exported, tiny_folder), StreamCache(), encoded(PLAIN, 25)
    valid = torch.ones_like(TOKENS).bool()
    first = stages.encode(
        TOKENS[:, :50], valid[:, :50], attention_mask(valid[:, :50], 25), TOKENS[:, 50:53], cache.begin()
    )
    rest = TOKENS[:, 50:], valid[:, 50:], attention_mask(valid, 25, 50), None
    copied = stages.encode(*rest, cache.copy().begin())
    second = stages.encode(*rest, cache.begin())

    assert torch.allclose(torch.cat([first, second], dim=2), whole, atol=1e-6)
    assert torch.equal(copied, second)


def test_half_precision_comes_back_as_float32(exported: dict[str, Exported], tiny_folder: Path) -> None:
    """The stages around it compute in float32; the rounding is that of eleven bits, under autocast too."""
    stages = ours(exported, tiny_folder, "fp16")
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = stages.encode(TOKENS, *encoded_masks(), None, None)
    mu = encoded(stages, None)

    assert mu.dtype == torch.float32
    assert 0 < (mu - encoded(PLAIN, None)).abs().max() < 1e-2
    assert (under_autocast - mu).abs().max() < 2e-2


def encoded_masks() -> tuple[Tensor, Tensor]:
    valid = torch.ones_like(TOKENS).bool()
    return valid, attention_mask(valid, None)


@pytest.mark.parametrize("chunk", [None, 25, 10])
def test_upstreams_is_asked_in_its_own_words(tmp_path: Path, chunk: int | None) -> None:
    """streaming=False, streaming=True; a mask it has no word for is left to the plain encoder."""
    stages = installed(theirs(AsUpstream(NETWORKS.flow.encoder), tmp_path))

    assert torch.allclose(encoded(stages, chunk), encoded(PLAIN, chunk), atol=1e-6)


def test_upstreams_words_for_masks(tmp_path: Path) -> None:
    """Padding does not confuse them."""
    encoder = ArchivedEncoder(NETWORKS.flow.encoder, theirs(AsUpstream(NETWORKS.flow.encoder), tmp_path))
    valid = torch.arange(60) < torch.tensor([60, 31])[:, None]
    flags = [encoder.flag(attention_mask(valid, chunk), valid.sum(dim=1)) for chunk in (None, 25, 10)]

    assert flags == [False, True, None]


def test_upstreams_cannot_stream_from_a_memory_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The plain encoder fills the memory then; it is told once, when the archive is loaded."""
    with caplog.at_level(logging.WARNING, "cosyrt"):
        stages = installed(theirs(AsUpstream(NETWORKS.flow.encoder), tmp_path))
    cache = StreamCache()

    assert torch.allclose(encoded(stages, 25, cache), encoded(PLAIN, 25), atol=1e-6)
    assert cache.bytes > 0
    assert [record.message.partition(" ")[2] for record in caplog.records] == [
        "has no memory: in streams the plain encoder works"
    ]


def test_an_archive_of_another_checkpoint_is_found_without_a_manifest(tmp_path: Path) -> None:
    """Upstream's archives have none: one short call tells."""
    archive = theirs(AsUpstream(flow(seed=1).encoder), tmp_path)

    with pytest.raises(ArchiveError, match="made from another checkpoint; make it again"):
        installed(archive)


def test_an_archive_of_an_older_upstream_says_what_it_takes(tmp_path: Path) -> None:
    """Before May 2025 there was no `streaming`."""
    with pytest.raises(ArchiveError, match="older upstream: it takes xs, xs_lens;"):
        installed(theirs(OlderUpstream(), tmp_path))
