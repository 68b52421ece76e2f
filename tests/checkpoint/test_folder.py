"""A model folder opens as data, strictly, and whatever is wrong with it is one line of ModelError."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from cosyrt.checkpoint.folder import ModelFolder, load_into, write_tensors, write_voices
from cosyrt.errors import ConfigError, ModelError, ModelNotFound, WeightsError

GOLDEN = Path(__file__).parents[1] / "golden"
damaged = settings(
    max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def make_folder(path: Path, family: str = "cosyvoice2", file: str = "") -> ModelFolder:
    path.mkdir(exist_ok=True)
    shutil.copy(GOLDEN / f"{family}-small.yaml", path / f"{file or family}.yaml")
    return ModelFolder.open(path)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return make_folder(tmp_path / "model")


@pytest.mark.parametrize("family", ["cosyvoice", "cosyvoice2", "cosyvoice3"])
def test_every_family_opens(family: str, tmp_path: Path) -> None:
    """The description tells the family and is there to be read."""
    folder = make_folder(tmp_path, family)

    assert folder.family == family
    assert folder.description["flow"].args["output_size"] == 80


def test_the_language_model_decides_the_family(tmp_path: Path) -> None:
    """Early CosyVoice 2 folders, whose description is called cosyvoice.yaml, are CosyVoice 2."""
    assert make_folder(tmp_path, "cosyvoice2", file="cosyvoice").family == "cosyvoice2"


def test_a_folder_without_its_description(tmp_path: Path) -> None:
    """No folder, a file, an empty folder, two descriptions: ModelNotFound says what was looked for."""
    make_folder(tmp_path / "two")
    shutil.copy(GOLDEN / "cosyvoice3-small.yaml", tmp_path / "two" / "cosyvoice3.yaml")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "absent", tmp_path / "two" / "cosyvoice2.yaml", "a\0b", "a" * 300, "a\nb"):
        with pytest.raises(ModelNotFound, match=r"^no model folder at .*$"):
            ModelFolder.open(path)
    with pytest.raises(
        ModelNotFound,
        match=r"has no description; exactly one of cosyvoice\.yaml, cosyvoice2\.yaml,",
    ):
        ModelFolder.open(tmp_path / "empty")
    with pytest.raises(ModelNotFound, match=r"holds cosyvoice2.yaml and cosyvoice3.yaml; exactly one"):
        ModelFolder.open(tmp_path / "two")


@pytest.mark.parametrize("llm", ["llm: 3", "llm: !new:some.where.OtherLM", "flow: 1"])
def test_an_unknown_family_is_refused(llm: str, tmp_path: Path) -> None:
    """A description whose language model is not one we know is ConfigError that names the known ones."""
    (tmp_path / "cosyvoice2.yaml").write_text(llm)
    with pytest.raises(ConfigError, match="known are TransformerLM, Qwen2LM, CosyVoice3LM"):
        ModelFolder.open(tmp_path)


def test_missing_files_are_named(folder: ModelFolder) -> None:
    """A file, a part, the tokenizer's folder: each absence is ModelNotFound with its name."""
    (folder.path / "campplus.onnx").touch()

    assert folder.file("campplus.onnx") == folder.path / "campplus.onnx"
    for name, ask in {
        "speech_tokenizer_v2.onnx": lambda: folder.file("speech_tokenizer_v2.onnx"),
        "llm.pt": lambda: folder.tensors("llm"),
        "CosyVoice-BlankEN/config.json": folder.language_model,
        "CosyVoice-BlankEN": folder.tokenizer_folder,
    }.items():
        with pytest.raises(ModelNotFound, match=f"lacks the (file|folder) {name}"):
            ask()


def test_tensors_come_clean(folder: ModelFolder) -> None:
    """Training keys go, the adversarial trainer's prefix goes, half floats become float32, integers stay."""
    saved = {
        "generator.a.weight": torch.arange(6.0).view(2, 3),
        "half": torch.tensor([0.5, 2.0], dtype=torch.float16),
        "brain": torch.tensor([0.5, 2.0], dtype=torch.bfloat16),
        "double": torch.tensor(0.25, dtype=torch.float64),
        "count": torch.tensor(3),
    }
    torch.save(saved | {"epoch": 3, "step": 700}, folder.path / "hift.pt")

    tensors = folder.tensors("hift")

    assert list(tensors) == ["a.weight", "half", "brain", "double", "count"]
    assert {key: value.dtype for key, value in tensors.items() if key != "count"} == dict.fromkeys(
        ["a.weight", "half", "brain", "double"], torch.float32
    )
    assert tensors["a.weight"].equal(saved["generator.a.weight"])
    assert tensors["half"].tolist() == tensors["brain"].tolist() == [0.5, 2.0]
    assert tensors["count"].dtype == torch.int64


def test_safetensors_are_preferred(folder: ModelFolder) -> None:
    """Where both files are there, the one that cannot hold code is read."""
    torch.save({"a": torch.zeros(1)}, folder.path / "flow.pt")
    write_tensors(folder.path / "flow.safetensors", {"a": torch.ones(2, 3).T.half()})

    assert folder.tensors("flow")["a"].equal(torch.ones(3, 2))


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
@pytest.mark.parametrize("old_style", [False, True])
def test_weight_norm_folds(kind: type[nn.Conv1d], old_style: bool, folder: ModelFolder) -> None:
    """Both spellings of a weight-normed layer give the weight that torch computes, and nothing else."""
    layer = kind(4, 6, 3)
    normed = nn.utils.parametrizations.weight_norm(layer)
    normed.load_state_dict({key: torch.randn_like(value) for key, value in normed.state_dict().items()})
    saved = {f"net.0.{key}": value for key, value in normed.state_dict().items()}
    if old_style:
        g, v = (saved.pop(f"net.0.parametrizations.weight.original{index}") for index in (0, 1))
        saved |= {"net.0.weight_g": g, "net.0.weight_v": v}
    torch.save(saved, folder.path / "hift.pt")

    tensors = folder.tensors("hift")

    assert set(tensors) == {"net.0.weight", "net.0.bias"}
    torch.testing.assert_close(tensors["net.0.weight"], normed.weight.detach(), rtol=1e-6, atol=1e-7)


def test_a_direction_of_zero_is_no_weight(folder: ModelFolder) -> None:
    """Half precision rounds a very small direction to zero: that row is silent, not NaN."""
    write_tensors(
        folder.path / "hift.safetensors",
        {"a.weight_g": torch.ones(2, 1), "a.weight_v": torch.eye(3)[:2] * torch.tensor([[0.0], [2.0]])},
    )

    assert folder.tensors("hift")["a.weight"].tolist() == [[0, 0, 0], [0, 1, 0]]


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
def test_what_is_no_state_dict_is_refused(saved: object, folder: ModelFolder) -> None:
    """Half or twice a weight norm, a doubled key, a non-tensor, a sparse, complex or expanded tensor."""
    torch.save(saved, folder.path / "flow.pt")
    with pytest.raises(WeightsError, match=r"flow\.pt"):
        folder.tensors("flow")


def test_a_tensor_under_many_names_is_counted_each_time(folder: ModelFolder) -> None:
    """A file whose keys share one storage may become float32 four times its own size, and no more."""
    shared = torch.zeros(10_000, dtype=torch.float8_e4m3fn)
    write_many = {f"key {number}": shared for number in range(50)}
    torch.save(write_many, folder.path / "llm.pt")
    torch.save(
        {name: {"embedding": value} for name, value in write_many.items()}, folder.path / "spk2info.pt"
    )

    for read in (lambda: folder.tensors("llm"), folder.voices):
        with pytest.raises(WeightsError, match=r"\.pt makes more than \d+ bytes of tensors"):
            read()


def test_the_smallest_numbers_may_grow(folder: ModelFolder) -> None:
    """A whole file of float8 is within the limit in either format."""
    weights = {"a": torch.ones(10_000).to(torch.float8_e4m3fn)}
    torch.save(weights, folder.path / "llm.pt")
    write_tensors(folder.path / "flow.safetensors", weights)

    assert folder.tensors("llm")["a"].sum() == folder.tensors("flow")["a"].sum() == 10_000


@pytest.mark.parametrize(("kind", "size", "shape"), [("F4", 1, 2), ("F8_E8M0", 2, 2), ("C64", 16, 2)])
def test_numbers_that_torch_cannot_convert_are_refused(
    kind: str, size: int, shape: int, folder: ModelFolder
) -> None:
    """Types of safetensors that have no place in a model are WeightsError, in weights and in voices."""
    entry = {"dtype": kind, "shape": [shape], "data_offsets": [0, size]}
    header = json.dumps({"voice/embedding": entry}).encode()
    for name in ("llm", "spk2info"):
        content = struct.pack("<Q", len(header)) + header + bytes(size)
        (folder.path / f"{name}.safetensors").write_bytes(content)

    for read in (lambda: folder.tensors("llm"), folder.voices):
        with pytest.raises(WeightsError, match="only dense numbers are read"):
            read()


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
def test_a_pt_that_holds_anything_else_is_refused(name: str, folder: ModelFolder) -> None:
    """Code is never run, a bomb never unpacked; the error is one line and has its cause chained."""
    NOT_WEIGHTS[name](folder.path / "llm.pt")
    with pytest.raises(WeightsError, match=r"llm\.pt") as refused:
        folder.tensors("llm")

    assert "\n" not in str(refused.value)
    assert not (folder.path / "canary").exists()


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


def test_the_language_model_is_json(folder: ModelFolder) -> None:
    """The Qwen2 configuration is read; anything but an object of sane size is ConfigError."""
    (folder.path / "CosyVoice-BlankEN").mkdir()
    config = folder.path / "CosyVoice-BlankEN" / "config.json"
    config.write_text(json.dumps({"hidden_size": 64}))

    assert folder.language_model() == {"hidden_size": 64}
    assert folder.tokenizer_folder() == config.parent
    for text in ("[1]", "{", "[" * 100_000, " " * 1_000_001, "\udc80"):
        config.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(ConfigError, match=r"config\.json"):
            folder.language_model()


def test_voices_of_both_kinds(folder: ModelFolder) -> None:
    """spk2info.pt and spk2info.safetensors give the same tables; ours is preferred; no file, no voice."""
    assert folder.voices() == {}

    torch.save({"中文女": {"embedding": torch.ones(1, 192)}}, folder.path / "spk2info.pt")
    assert folder.voices()["中文女"]["embedding"].shape == (1, 192)

    voice: dict[str, torch.Tensor | str] = {"embedding": torch.ones(1, 192), "text": "你好 / hello"}
    write_voices(folder.path / "spk2info.safetensors", {"a/b": voice, "c": voice})
    voices = folder.voices()
    assert set(voices) == {"a/b", "c"}
    assert voices["a/b"]["text"] == "你好 / hello"
    assert voices["c"]["embedding"].equal(torch.ones(1, 192))


@pytest.mark.parametrize("saved", [{"a": torch.ones(1)}, {"a": {"b": [1]}}, {"a": {1: torch.ones(1)}}, [1]])
def test_voices_of_no_kind(saved: object, folder: ModelFolder) -> None:
    """A voice table with anything but tensors, text and numbers in it is WeightsError."""
    torch.save(saved, folder.path / "spk2info.pt")
    with pytest.raises(WeightsError, match=r"spk2info\.pt"):
        folder.voices()


def test_a_table_of_voices_has_a_size(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Voices may share their fields, so that many could be made of a small file: both have a limit."""
    voice = {"embedding": torch.ones(1, 192)}
    torch.save({"a": voice, "b": voice}, folder.path / "spk2info.pt")
    assert list(folder.voices()) == ["a", "b"]

    monkeypatch.setattr("cosyrt.checkpoint.folder.MAX_VOICES", 1)
    with pytest.raises(WeightsError, match=r"holds 2 voices, more than 1"):
        folder.voices()
    torch.save({"a": dict.fromkeys(map(str, range(101)), 0)}, folder.path / "spk2info.pt")
    with pytest.raises(WeightsError, match=r"'a' is no table of at most 100"):
        folder.voices()


def test_a_voice_whose_name_cannot_be_printed(folder: ModelFolder) -> None:
    """A folder's voice may not write on the terminal, nor a second line into a message."""
    voice = {"A\x1b[31m\nroot": {"embedding": torch.ones(1, 192)}}
    torch.save(voice, folder.path / "spk2info.pt")
    for _ in range(2):
        with pytest.raises(WeightsError, match="control characters in its name") as refused:
            folder.voices()
        assert str(refused.value).isprintable()
        write_voices(folder.path / "spk2info.safetensors", voice)


def test_a_voice_file_with_other_keys(folder: ModelFolder) -> None:
    """Safetensors whose keys are not VOICE/FIELD are WeightsError."""
    write_tensors(folder.path / "spk2info.safetensors", {"embedding": torch.ones(1)})
    with pytest.raises(WeightsError, match="VOICE/FIELD"):
        folder.voices()


@damaged
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # torch warns of what a damaged pickle asks for
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_damaged_weights_are_a_model_error(kind: str, data: st.DataObject, folder: ModelFolder) -> None:
    """Cut or overwritten anywhere, a weights file is read or refused as ModelError: nothing else escapes."""
    path = folder.path / f"flow.{kind}"
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
        folder.tensors("flow")
    except ModelError as error:
        assert "\n" not in str(error)
