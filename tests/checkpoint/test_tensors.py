"""Weights are read as dense float32 and fit their module; a damaged file is one line of WeightsError."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from cosyrt.checkpoint.tables import read_tables
from cosyrt.checkpoint.tensors import load_into, read_tensors, write_tensors
from cosyrt.errors import ModelError, WeightsError

damaged = settings(
    max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def test_tensors_come_clean(tmp_path: Path) -> None:
    """Training keys go, the adversarial trainer's prefix goes, half floats become float32, integers stay."""
    saved = {
        "generator.a.weight": torch.arange(6.0).view(2, 3),
        "half": torch.tensor([0.5, 2.0], dtype=torch.float16),
        "brain": torch.tensor([0.5, 2.0], dtype=torch.bfloat16),
        "double": torch.tensor(0.25, dtype=torch.float64),
        "count": torch.tensor(3),
    }
    torch.save(saved | {"epoch": 3, "step": 700}, tmp_path / "hift.pt")

    tensors = read_tensors(tmp_path / "hift.pt")

    assert list(tensors) == ["a.weight", "half", "brain", "double", "count"]
    assert {key: value.dtype for key, value in tensors.items() if key != "count"} == dict.fromkeys(
        ["a.weight", "half", "brain", "double"], torch.float32
    )
    assert tensors["a.weight"].equal(saved["generator.a.weight"])
    assert tensors["half"].tolist() == tensors["brain"].tolist() == [0.5, 2.0]
    assert tensors["count"].dtype == torch.int64


@pytest.mark.parametrize("of_deepspeed", [False, True])
def test_weights_that_were_trained_on_several_devices(tmp_path: Path, of_deepspeed: bool) -> None:
    """The prefix of a wrapped network goes, and of a DeepSpeed file its table of tensors is read."""
    tensors = {"module.generator.a.weight": torch.ones(2, 3), "module.b": torch.zeros(2)}
    saved: dict[str, object] = dict(tensors)
    if of_deepspeed:
        saved = {
            "module": {key.removeprefix("module."): value for key, value in tensors.items()},
            "optimizer": None,
            "param_shapes": [{"a.weight": torch.Size([2, 3])}],
            "buffer_names": ["b"],
            "ds_config": {"train_batch_size": 1, "other": [[1, 2], [3]]},
            "ds_version": "0.15.1",
            "dp_world_size": 8,
        }
    torch.save(saved, tmp_path / "llm.pt")

    assert {key: list(value.shape) for key, value in read_tensors(tmp_path / "llm.pt").items()} == {
        "a.weight": [2, 3],
        "b": [2],
    }


def test_a_file_of_optimizer_states_gets_its_own_line(tmp_path: Path) -> None:
    """What is no table of tensors says where it is not."""
    torch.save({"state": {0: {"step": 1}}, "param_groups": [{"lr": 1e-3}]}, tmp_path / "llm.pt")
    with pytest.raises(WeightsError, match="'state' is a dict, not a tensor; is it a state_dict"):
        read_tensors(tmp_path / "llm.pt")


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
@pytest.mark.parametrize("old_style", [False, True])
def test_weight_norm_folds(kind: type[nn.Conv1d], old_style: bool, tmp_path: Path) -> None:
    """Both spellings of a weight-normed layer give the weight that torch computes, and nothing else."""
    layer = kind(4, 6, 3)
    normed = nn.utils.parametrizations.weight_norm(layer)
    normed.load_state_dict({key: torch.randn_like(value) for key, value in normed.state_dict().items()})
    saved = {f"net.0.{key}": value for key, value in normed.state_dict().items()}
    if old_style:
        g, v = (saved.pop(f"net.0.parametrizations.weight.original{index}") for index in (0, 1))
        saved |= {"net.0.weight_g": g, "net.0.weight_v": v}
    torch.save(saved, tmp_path / "hift.pt")

    tensors = read_tensors(tmp_path / "hift.pt")

    assert set(tensors) == {"net.0.weight", "net.0.bias"}
    torch.testing.assert_close(tensors["net.0.weight"], normed.weight.detach(), rtol=1e-6, atol=1e-7)


def test_a_direction_of_zero_is_no_weight(tmp_path: Path) -> None:
    """Half precision rounds a very small direction to zero: that row is silent, not NaN."""
    write_tensors(
        tmp_path / "hift.safetensors",
        {"a.weight_g": torch.ones(2, 1), "a.weight_v": torch.eye(3)[:2] * torch.tensor([[0.0], [2.0]])},
    )

    assert read_tensors(tmp_path / "hift.safetensors")["a.weight"].tolist() == [[0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    "saved",
    [
        {"a.weight_g": torch.ones(2, 1)},
        {"a.weight_g": torch.ones(3, 1), "a.weight_v": torch.ones(2, 3)},
        {"a.weight_g": torch.ones(3), "a.weight_v": torch.ones(3)},
        {"a.weight_g": torch.ones(2, 1), "a.weight_v": torch.ones(2, 3).int()},
        {"a.weight_g": torch.ones(2, 1), "a.weight_v": torch.ones(2, 3), "a.weight": torch.ones(2, 3)},
        {"a.parametrizations.weight.original0": torch.ones(2, 1)},
        {"a": torch.ones(2), "generator.a": torch.ones(2)},
        {"a": [1, 2]},
        {"a": "text"},
        {"a": torch.ones(2, dtype=torch.complex64)},
        {"a": torch.ones(2, 2).to_sparse()},
        {"a": torch.ones(1).expand(10**10)},
        {3: torch.ones(1)},
        [torch.ones(1)],
        torch.ones(1),
    ],
)
def test_what_is_no_state_dict_is_refused(saved: object, tmp_path: Path) -> None:
    """Half or twice a weight norm, a doubled key, a non-tensor, a sparse, complex or expanded tensor."""
    torch.save(saved, tmp_path / "flow.pt")
    with pytest.raises(WeightsError, match=r"flow\.pt"):
        read_tensors(tmp_path / "flow.pt")


def test_a_tensor_under_many_names_is_counted_each_time(tmp_path: Path) -> None:
    """A file whose keys share one storage may become float32 four times its own size, and no more."""
    shared = torch.zeros(10_000, dtype=torch.float8_e4m3fn)
    write_many = {f"key {number}": shared for number in range(50)}
    torch.save(write_many, tmp_path / "llm.pt")
    torch.save({name: {"embedding": value} for name, value in write_many.items()}, tmp_path / "spk2info.pt")

    with pytest.raises(WeightsError, match=r"\.pt makes more than \d+ bytes of tensors"):
        read_tensors(tmp_path / "llm.pt")
    found = read_tables(tmp_path / "spk2info.pt")
    assert 0 < len(found.read) < 50 and len(found.read) + len(found.refused) == 50
    assert all("makes more than" in why for why in found.refused.values())


def test_the_smallest_numbers_may_grow(tmp_path: Path) -> None:
    """A whole file of float8 is within the limit in either format."""
    weights = {"a": torch.ones(10_000).to(torch.float8_e4m3fn)}
    torch.save(weights, tmp_path / "llm.pt")
    write_tensors(tmp_path / "flow.safetensors", weights)

    for name in ("llm.pt", "flow.safetensors"):
        assert read_tensors(tmp_path / name)["a"].sum() == 10_000


@pytest.mark.parametrize(("kind", "size", "shape"), [("F4", 1, 2), ("F8_E8M0", 2, 2), ("C64", 16, 2)])
def test_numbers_that_torch_cannot_convert_are_refused(
    kind: str, size: int, shape: int, tmp_path: Path
) -> None:
    """Types of safetensors that have no place in a model are WeightsError, in weights and in voices."""
    entry = {"dtype": kind, "shape": [shape], "data_offsets": [0, size]}
    header = json.dumps({"voice/embedding": entry}).encode()
    for name in ("llm", "spk2info"):
        content = struct.pack("<Q", len(header)) + header + bytes(size)
        (tmp_path / f"{name}.safetensors").write_bytes(content)

    with pytest.raises(WeightsError, match="only dense numbers are read"):
        read_tensors(tmp_path / "llm.safetensors")
    assert "only dense numbers" in read_tables(tmp_path / "spk2info.safetensors").refused["voice"]


class Evil:
    """Unpickling this would run a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.system, (self.command,)


def bomb(path: Path) -> None:
    """A valid checkpoint stored anew with compression: a few kilobytes that unpack to four megabytes."""
    torch.save({"a": torch.zeros(1_000_000)}, path.with_suffix(".whole"))
    with (
        zipfile.ZipFile(path.with_suffix(".whole")) as whole,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in whole.infolist():
            packed.writestr(member.filename, whole.read(member))


def save_truncated(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-500])


NOT_WEIGHTS: dict[str, Callable[[Path], object]] = {
    "code in a zip": lambda path: torch.save({"a": Evil(f"touch {path.parent / 'canary'}")}, path),
    "code in a bare pickle": lambda path: path.write_bytes(
        pickle.dumps(Evil(f"touch {path.parent / 'canary'}"))
    ),
    "the old format": lambda path: torch.save(
        {"a": torch.ones(1)}, path, _use_new_zipfile_serialization=False
    ),
    "a whole module": lambda path: torch.save(nn.Linear(2, 2), path),
    "truncated": save_truncated,
    "compressed": bomb,
    "empty": lambda path: path.write_bytes(b""),
    "a pointer instead of the file": lambda path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\n"
    ),
    "another zip": lambda path: zipfile.ZipFile(path, "w").writestr("readme", "hello"),
}


@pytest.mark.parametrize("name", NOT_WEIGHTS)
def test_a_pt_that_holds_anything_else_is_refused(name: str, tmp_path: Path) -> None:
    """Code is never run, a bomb never unpacked; the error is one line and has its cause chained."""
    NOT_WEIGHTS[name](tmp_path / "llm.pt")
    with pytest.raises(WeightsError, match=r"llm\.pt") as refused:
        read_tensors(tmp_path / "llm.pt")

    assert "\n" not in str(refused.value)
    assert not (tmp_path / "canary").exists()


def test_a_module_takes_its_weights_without_a_copy() -> None:
    """The parameters are the file's tensors themselves, renamed where asked, left out if renamed to None."""
    tensors = {"net.weight": torch.ones(3, 2), "net.bias": torch.ones(3), "head": torch.ones(1)}
    with torch.device("meta"):
        module = nn.Linear(2, 3)

    load_into(
        module, tensors, file="llm.pt", rename=lambda key: None if key == "head" else key.removeprefix("net.")
    )

    assert module.weight.data_ptr() == tensors["net.weight"].data_ptr()
    assert module.bias.requires_grad


def test_two_names_of_one_tensor_are_refused() -> None:
    """A file that holds a tensor under the official name and under ours is not read by either of them."""
    tensors = {"net.weight": torch.ones(3, 2), "weight": torch.zeros(3, 2), "bias": torch.ones(3)}

    with pytest.raises(WeightsError, match=r"llm\.pt holds 'net\.weight' and 'weight', which are one"):
        load_into(nn.Linear(2, 3), tensors, file="llm.pt", rename=lambda key: key.removeprefix("net."))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": None}, r"llm.pt lacks 'x.weight' \[3, 2\]; "),
        ({"weight": None, "bias": None}, r"llm.pt lacks 'x.weight' \[3, 2\] and 1 more; "),
        ({"spare": torch.ones(4, 5)}, r"llm.pt holds 'x.spare' \[4, 5\], unknown here"),
        (
            {"bias": torch.ones(4)},
            r"llm.pt: 'x.bias' is \[4\] float32, the description makes it \[3\] float32",
        ),
        (
            {"bias": torch.ones(3).long()},
            r"llm.pt: 'x.bias' is \[3\] int64, the description makes it \[3\] float32",
        ),
    ],
)
def test_weights_must_fit(change: dict[str, torch.Tensor | None], message: str) -> None:
    """Missing, left over, wrong shape or kind: key, shapes and file are named, the module is untouched."""
    module = nn.Linear(2, 3)
    before = module.weight.detach().clone()
    fields = {"weight": torch.ones(3, 2), "bias": torch.ones(3)} | change
    tensors = {f"x.{key}": value for key, value in fields.items() if value is not None}

    with pytest.raises(WeightsError, match=message):
        load_into(nn.ModuleDict({"x": module}), tensors, file="llm.pt")

    assert module.weight.equal(before)


@damaged
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # torch warns of what a damaged pickle asks for
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_damaged_weights_are_a_model_error(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    """Cut or overwritten anywhere, a weights file is read or refused as ModelError: nothing else escapes."""
    path = tmp_path / f"flow.{kind}"
    whole = {
        "a.weight_g": torch.ones(2, 1),
        "a.weight_v": torch.ones(2, 3),
        "b": torch.ones(4).half(),
        "n": torch.tensor(1),
    }
    if kind == "pt":
        torch.save(whole, path)
    else:
        write_tensors(path, whole)
    saved = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(saved) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=4))
        saved[at : at + len(patch)] = patch
    path.write_bytes(saved[: data.draw(st.just(len(saved)) | st.integers(0, len(saved)))])
    try:
        read_tensors(path)
    except ModelError as error:
        assert "\n" not in str(error)
