"""An archive in the encoder's place gives what the encoder gives, or says why it cannot be there."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosyrt.accel.backend.torchscript import swapped
from cosyrt.accel.torchscript.archive import Archive
from cosyrt.accel.torchscript.cosyvoice2 import ArchivedEncoder, ScriptedUpsampleConformer
from cosyrt.accel.torchscript.stages import COMPONENTS
from cosyrt.engine.stages import Networks, Stages, eager
from cosyrt.errors import ArchiveError
from cosyrt.lab.export import Exported, optimised
from cosyrt.models.conformer import UpsampleConformer
from cosyrt.models.layers import attention_mask, valid_positions
from cosyrt.models.stream_cache import StreamCache
from tests.tiny import SPEECH_VOCABULARY, flow, language_model, vocoder

NETWORKS = Networks(llm=language_model(), flow=flow(), vocoder=vocoder())
PLAIN = eager(NETWORKS)
TOKENS = torch.randint(0, SPEECH_VOCABULARY, (1, 78), generator=torch.Generator().manual_seed(0))


class AsUpstream(torch.nn.Module):
    """Encoder as upstream exports it: `forward`, and no cache."""

    def __init__(self, encoder: UpsampleConformer) -> None:
        super().__init__()
        self.inner = ScriptedUpsampleConformer(encoder)

    def forward(
        self, xs: Tensor, xs_lens: Tensor, context: Tensor, a: int = 0, b: int = -1, streaming: bool = False
    ) -> tuple[Tensor, Tensor]:
        return self.inner(xs, xs_lens, context, a, b, streaming)


class OlderUpstream(torch.nn.Module):
    """Encoder as upstream exported it before there were masks."""

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


def test_ours_resumes_from_a_cache(exported: dict[str, Exported], tiny_folder: Path) -> None:
    """Two chunks from a cache are the chunked whole, and a copied cache continues by itself."""
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


def test_upstreams_cannot_stream_from_a_cache_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The plain encoder fills the cache then; that is logged once, when the archive is loaded."""
    with caplog.at_level(logging.WARNING, "cosyrt"):
        stages = installed(theirs(AsUpstream(NETWORKS.flow.encoder), tmp_path))
    cache = StreamCache()

    assert torch.allclose(encoded(stages, 25, cache), encoded(PLAIN, 25), atol=1e-6)
    assert cache.bytes > 0
    assert [record.message.partition(" ")[2] for record in caplog.records] == [
        "has no stream cache: in streams the plain encoder works"
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


ENCODER = flow().encoder
SCRIPTED = ScriptedUpsampleConformer(ENCODER).eval()


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def both_rates(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return mask, mask.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)


def test_the_signature_is_upstreams() -> None:
    """Upstream calls the encoder by these names and leaves the others at these values."""
    parameters = inspect.signature(ScriptedUpsampleConformer.forward).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}

    assert list(defaults) == [
        "self",
        "xs",
        "xs_lens",
        "context",
        "decoding_chunk_size",
        "num_decoding_left_chunks",
        "streaming",
    ]
    assert defaults["context"].shape == (0, 0, 0)
    assert (defaults["decoding_chunk_size"], defaults["num_decoding_left_chunks"]) == (0, -1)
    assert defaults["streaming"] is False


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("followed", [False, True])
def test_forward_is_the_plain_encoder(streaming: bool, followed: bool) -> None:
    """Two utterances of different length, whole and chunked, with what follows and without."""
    lengths = torch.tensor([53, 28])
    valid = valid_positions(lengths, 53)
    x, context = draw(2, 53, 32), draw(2, 3, 32)

    expected = ENCODER(
        x, *both_rates(attention_mask(valid, 25 if streaming else None)), context if followed else None
    )
    asked = {"context": context} if followed else {}
    got, mask = SCRIPTED(x, lengths, streaming=streaming, **asked)

    assert torch.allclose(got, expected, atol=1e-6)
    assert mask[:, 0].sum(dim=1).tolist() == [106, 56]


def test_chunks_go_on_where_the_last_stopped() -> None:
    """Chunk by chunk from a list of tensors is what the plain encoder does from its cache."""
    x, theirs, ours, start = draw(1, 78, 32), StreamCache(), [], 0
    for end in (25, 75, 78):
        mask = attention_mask(torch.ones(1, end).bool(), 25, start)
        follows = x[:, end : end + 3]
        expected = ENCODER(x[:, start:end], *both_rates(mask), follows if end < 78 else None, theirs.begin())
        got, ours = SCRIPTED.forward_chunk(x[:, start:end], mask, follows, ours)
        start = end

        assert torch.allclose(got, expected, atol=1e-6)
        assert [slot.shape for slot in ours] == [slot.shape for slot in theirs.slots()]
