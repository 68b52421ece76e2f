"""Weights that are mapped from their file: given back, found again, and never held twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cosyrt.accel.registry import accelerated
from cosyrt.checkpoint.tensors import read_tensors, write_tensors
from cosyrt.engine.model import Model
from cosyrt.machine import mapped as mapped_file
from cosyrt.machine.mapped import MAPPINGS, GivenBack, Mapping, give_back, unchanged_mappings, unread_bytes
from cosyrt.models.llm import SpeechLanguageModel
from recipes.builtin_voice.export import backbone_settings, official_language_model_keys
from tests import tiny

pytestmark = pytest.mark.skipif(not MAPPINGS.exists(), reason="needs Linux")

LISTED = """\
7f00-7f20 r--p 00000000 fd:01 77 /models/llm.pt
Rss:                  40 kB
Anonymous:             0 kB
7f20-7f30 rw-p 00000000 fd:01 78 /models/a flow.pt
Anonymous:             4 kB
7f30-7f40 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f40-7f50 rw-p 00000000 fd:01 79 /models/hift.pt
Anonymous:             0 kB
"""


def resident_bytes(path: Path) -> int:
    """Bytes of a file that this process holds in memory."""
    found, inside = 0, False
    for line in MAPPINGS.read_text().splitlines():
        name, *values = line.split()
        if not name.endswith(":"):
            inside = line.endswith(str(path))
        elif inside and name == "Rss:":
            found += 1024 * int(values[0])
    return found


@pytest.fixture
def mapped(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    """A file of two tensors of 4 MB, and the tensors that are mapped from it."""
    path = tmp_path / "weights.pt"
    torch.save({name: torch.arange(1 << 20).float() for name in ("one", "two")}, path)
    return path, read_tensors(path)


def test_only_files_that_were_not_changed_are_given_back() -> None:
    """Neither memory without a file nor a file of which a page was written."""
    assert unchanged_mappings(LISTED) == [Mapping(0x7F00, 0x7F20), Mapping(0x7F40, 0x7F50)]


def test_what_was_given_back_is_found_again(mapped: tuple[Path, dict[str, Tensor]]) -> None:
    """One tensor's memory is free, that of its neighbour is not, and the values are those of the file."""
    path, tensors = mapped
    want = sum(float(tensor.sum()) for tensor in tensors.values())
    before = resident_bytes(path)
    give_back([tensors["one"]])
    one_less = resident_bytes(path)

    assert before >= 8 << 20 and abs(before - one_less - (4 << 20)) < 1 << 16
    assert sum(float(tensor.sum()) for tensor in tensors.values()) == want


def test_what_is_still_to_be_read_is_counted(mapped: tuple[Path, dict[str, Tensor]]) -> None:
    """Nothing once all was read, half when one of two was given back; what was written is there."""
    _, tensors = mapped
    both = list(tensors.values())
    for tensor in both:
        tensor.sum()

    assert unread_bytes([*both, torch.ones(1 << 20), torch.zeros(0), both[0][::2]]) < 1 << 16
    give_back(both[:1])
    assert unread_bytes(both) == pytest.approx(4 << 20, rel=0.02)


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the list of pages, or where it may not be read, nothing is thought to be missing."""
    for path in (tmp_path / "none", tmp_path):
        monkeypatch.setattr(mapped_file, "PAGES", path)
        assert unread_bytes([torch.ones(10)]) == 0


def test_a_change_is_never_lost(mapped: tuple[Path, dict[str, Tensor]]) -> None:
    """A weight that was changed in memory differs from its file, and stays as it is."""
    path, tensors = mapped
    tensors["one"][5] = -1.0
    give_back(tensors.values())

    assert tensors["one"][5] == -1.0
    assert read_tensors(path)["one"][5] == 5.0


def test_other_memory_is_left_alone() -> None:
    """A tensor that is mapped from no file keeps its values; so does one that is not contiguous."""
    tensor = torch.arange(1 << 20)
    give_back([tensor, tensor[::2], torch.zeros(3, device="meta")])

    assert int(tensor[-1]) == (1 << 20) - 1


def test_tensors_are_given_back_at_the_end_at_the_latest(mapped: tuple[Path, dict[str, Tensor]]) -> None:
    """A batch that is not full yet goes with the last one."""
    path, tensors = mapped
    with GivenBack() as read:
        for tensor in tensors.values():
            tensor.sum()
            read.add(tensor)
        assert resident_bytes(path) >= 8 << 20
    assert resident_bytes(path) < 1 << 16


def held(module: nn.Module, files: list[Mapping]) -> int:
    """Bytes of a module's weights that are in memory of their own, and not mapped from a file."""
    return sum(
        tensor.nbytes
        for tensor in module.parameters()
        if not any(each.start <= tensor.data_ptr() < each.end for each in files)
    )


def test_a_model_is_mapped_and_not_copied(tiny_folder: Path) -> None:
    """Language model and flow have no memory of their own; the vocoder's weights were folded."""
    networks = Model.open(tiny_folder, "cpu").networks
    files = unchanged_mappings(MAPPINGS.read_text())

    assert held(networks.llm, files) == held(networks.flow, files) == 0
    assert held(networks.vocoder, files) <= sum(tensor.nbytes for tensor in networks.vocoder.parameters())


@pytest.fixture(scope="module")
def wide_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a language model of 8 MB, most of it in matrices."""
    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("wide") / "model")
    config = replace(tiny.LLM, feed_forward=8_192)
    torch.manual_seed(0)
    tensors = official_language_model_keys(SpeechLanguageModel(config).state_dict())
    write_tensors(folder / "llm.safetensors", tensors)
    (folder / "CosyVoice-BlankEN" / "config.json").write_text(json.dumps(backbone_settings(config)))
    return folder


@pytest.mark.parametrize("way", ["bf16", "int8", "openvino-int8"])
def test_no_weight_is_in_memory_twice(wide_folder: Path, way: str) -> None:
    """Once a faster copy is made nothing of the checkpoint is in memory; the plain way still speaks."""
    model = Model.open(wide_folder, "cpu")
    prompt = torch.arange(3)[None]
    expect = partial(model.plain.prefill, prompt, prompt)
    plain = expect(model.plain.new_cache(1, 16))
    path = model.folder.weights("llm")
    read = resident_bytes(path)
    accelerated({"llm": way})(model)

    assert read > 4 << 20
    assert resident_bytes(path) < 1 << 17
    assert torch.equal(expect(model.plain.new_cache(1, 16)), plain)
