"""The voices of a model folder and of upstream's file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import VoiceError, WeightsError
from cosyrt.voice.reference import speech_tokenizer_digest
from cosyrt.voice.spk2info import voices_in, voices_of, write_voices
from tests import tiny1
from tests.text.test_tokenizer import WORDS, write_qwen2
from tests.voice.test_reference import folder_of
from tests.voice.test_voice import assert_same, voice

# What upstream's flow and language model are given of a kept voice.
KEPT = {
    "prompt_text": (torch.int32, 2),
    "prompt_text_len": (torch.int32, 1),
    "llm_prompt_speech_token": (torch.int32, 2),
    "llm_prompt_speech_token_len": (torch.int32, 1),
    "flow_prompt_speech_token": (torch.int32, 2),
    "flow_prompt_speech_token_len": (torch.int32, 1),
    "prompt_speech_feat": (torch.float32, 3),
    "prompt_speech_feat_len": (torch.int32, 1),
    "llm_embedding": (torch.float32, 2),
    "flow_embedding": (torch.float32, 2),
}


def upstream_entry(count_tokens: int = 5) -> dict[str, torch.Tensor]:
    tokens = torch.arange(count_tokens, dtype=torch.int32)[None]
    speaker = torch.linspace(0, 1, 192)[None]
    return {
        "prompt_text": torch.tensor([[WORDS.index("hello"), WORDS.index("Ġhello")]], dtype=torch.int32),
        "prompt_text_len": torch.tensor([2], dtype=torch.int32),
        "llm_prompt_speech_token": tokens,
        "llm_prompt_speech_token_len": torch.tensor([count_tokens], dtype=torch.int32),
        "flow_prompt_speech_token": tokens,
        "flow_prompt_speech_token_len": torch.tensor([count_tokens], dtype=torch.int32),
        "prompt_speech_feat": torch.full((1, 2 * count_tokens, 80), -2.0),
        "prompt_speech_feat_len": torch.tensor([2 * count_tokens], dtype=torch.int32),
        "llm_embedding": speaker,
        "flow_embedding": speaker,
    }


def test_voices_of_an_official_folder(tmp_path: Path) -> None:
    """Presets (an embedding) and saved references (upstream's whole input) of `spk2info.pt` become voices."""
    write_qwen2(tmp_path / "CosyVoice-BlankEN", WORDS)
    preset = {"embedding": torch.ones(1, 192, dtype=torch.bfloat16)}
    torch.save({"中文女": preset, "Ada": upstream_entry()}, tmp_path / "spk2info.pt")
    voices = voices_of(ModelFolder(tmp_path, "cosyvoice2", {}))
    assert list(voices) == ["中文女", "Ada"]
    assert voices["中文女"].speaker.sum() == 192 and len(voices["中文女"].mel) == 0
    assert (voices["Ada"].text, voices["Ada"].language) == ("hello hello", "en")
    assert voices["Ada"].speech_tokens.tolist() == [0, 1, 2, 3, 4] and voices["Ada"].mel.shape == (10, 80)


@pytest.mark.parametrize("name", ["spk2info.safetensors", "spk2info.pt"])
def test_a_voice_in_a_folder_comes_back(tmp_path: Path, name: str) -> None:
    """What `write_voices` writes is what `voices_of` reads: through either kind of file nothing is lost."""
    made = {"Ada": voice(), "Bob": voice(0, name="Bob", text="", language=None)}
    write_voices(tmp_path / name, made, lambda _: [1, 2, 3])
    back = voices_of(ModelFolder(tmp_path, "cosyvoice2", {}))
    assert set(back) == set(made)
    for each in made:
        assert_same(back[each], made[each])


def test_our_own_file_is_preferred(tmp_path: Path) -> None:
    """A folder with both files gives the voices of the one that this package writes."""
    folder = ModelFolder(tmp_path, "cosyvoice2", {})
    for path, made in (
        (tmp_path / "spk2info.pt", voice(name="Bob")),
        (tmp_path / "spk2info.safetensors", voice()),
    ):
        write_voices(path, {made.name: made}, lambda _: [])
    assert list(voices_of(folder)) == [voice().name]


def test_the_official_file_is_upstreams(tmp_path: Path) -> None:
    """Every field that upstream reads of a kept voice has its type, shape and length."""
    made = voice()
    write_voices(tmp_path / "spk2info.pt", {"me": made}, lambda _: [7, 8, 9])
    entry = torch.load(tmp_path / "spk2info.pt", weights_only=True)["me"]

    for name, (kind, dimensions) in KEPT.items():
        assert (entry[name].dtype, entry[name].ndim) == (kind, dimensions), name
    for name in (name for name in KEPT if name.endswith("_len")):
        assert entry[name].tolist() == [entry[name.removesuffix("_len")].shape[1]]
    assert entry["prompt_text"].tolist() == [[7, 8, 9]]
    assert entry["prompt_speech_feat"].shape[1] == 2 * entry["flow_prompt_speech_token"].shape[1]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is not there, or read-only, is one line of error."""
    with pytest.raises(VoiceError, match=r"cannot write the voices into .*; is it read-only"):
        write_voices(tmp_path / "absent" / "spk2info.pt", {"me": voice()}, lambda _: [])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"text": "hello"}, "'Ada' has no 'embedding'"),
        ({"embedding": None}, "'Ada' has no 'embedding'"),
        ({"embedding": "loud"}, "'Ada' cannot be read"),
        ({"embedding": {"a": torch.ones(1, 192)}}, "its 'embedding' is a dict, not a tensor"),
        ({"embedding": np.ones((1, 192))}, "its 'embedding' asks for 'numpy"),
        ({"embedding": torch.ones(1, 100)}, r"'Ada' has a speaker vector of shape \[100\]"),
        (upstream_entry() | {"prompt_speech_feat": torch.ones(1, 9, 80), "text": ""}, "9 mel frames"),
        (7, "'Ada' is no table"),
    ],
)
def test_an_entry_that_is_no_voice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, entry: object, words: str
) -> None:
    """One odd entry does not lock the model: it is named in a warning, the others are its voices."""
    torch.save({"Ada": entry, "Bob": {"embedding": torch.ones(1, 192)}}, tmp_path / "spk2info.pt")
    folder = ModelFolder(tmp_path, "cosyvoice2", {})

    assert list(voices_of(folder)) == ["Bob"]
    (told,) = caplog.messages
    assert re.search(words, told) and "\n" not in told
    assert list(voices_in(tmp_path / "spk2info.pt", folder)) == ["Bob"]


def test_a_file_of_which_nothing_is_a_voice(tmp_path: Path) -> None:
    """A file that is to be imported must have a voice."""
    torch.save({"Ada": {"text": "hello"}}, tmp_path / "spk2info.pt")
    with pytest.raises(VoiceError, match="'Ada' has no 'embedding'"):
        voices_in(tmp_path / "spk2info.pt", ModelFolder(tmp_path, "cosyvoice2", {}))


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b"not a file of torch", "not a whole file of plain tensors")]
)
def test_a_file_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, words: str
) -> None:
    """A damaged file of voices costs the voices, not the model."""
    (tmp_path / "spk2info.pt").write_bytes(content)

    assert voices_of(ModelFolder(tmp_path, "cosyvoice2", {})) == {}
    (told,) = caplog.messages
    assert words in told and "\n" not in told


def test_an_old_file_says_how_it_is_saved_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The format that torch wrote before 1.6 is told with the command that mends it."""
    path, folder = tmp_path / "spk2info.pt", ModelFolder(tmp_path, "cosyvoice2", {})
    entry = {"Ada": {"embedding": torch.ones(1, 192)}}
    torch.save(entry, path, _use_new_zipfile_serialization=False)
    assert voices_of(folder) == {}
    (told,) = caplog.messages
    command = re.fullmatch(r'.* trusted: python -c "(.*)"', told)
    assert command is not None

    exec(command[1], {})
    assert list(voices_of(folder)) == ["Ada"]


def test_a_transcript_in_plain_words(tmp_path: Path) -> None:
    """Other programs keep tokens and mel under shorter names, beside the words."""
    kept = {
        "name": "系统默认",
        "prompt_text": "希望你好。",
        "prompt_text_token": torch.ones(1, 3, dtype=torch.int32),
        "speech_feat": torch.full((1, 10, 80), -2.0),
        "speech_token": torch.arange(5, dtype=torch.int32)[None],
        "embedding": torch.ones(1, 192),
    }
    preset = {name: value for name, value in kept.items() if name != "prompt_text"}
    torch.save({"001": kept, "SFT": preset}, tmp_path / "spk2info.pt")
    voices = voices_of(ModelFolder(tmp_path, "cosyvoice2", {}))

    assert (voices["001"].text, voices["001"].language) == ("希望你好。", "zh")
    assert voices["001"].speech_tokens.tolist() == [0, 1, 2, 3, 4] and len(voices["001"].mel) == 10
    assert len(voices["SFT"].speech_tokens) == 0  # tokens without words are no prompt


def test_voices_of_a_fine_tuning(tmp_path: Path) -> None:
    """The speakers of `spk2embedding.pt` stand in for a missing `spk2info.pt`, and can be imported."""
    speakers = {"Ada": torch.linspace(0, 1, 192).tolist(), "Bob": torch.ones(192)}
    torch.save(speakers, tmp_path / "spk2embedding.pt")
    folder = ModelFolder(tmp_path, "cosyvoice2", {})
    for voices in (voices_of(folder), voices_in(tmp_path / "spk2embedding.pt", folder)):
        assert list(voices) == ["Ada", "Bob"]
        assert voices["Ada"].speaker[-1] == 1 and len(voices["Ada"].speech_tokens) == 0

    torch.save({"Eve": {"embedding": torch.ones(1, 192)}}, tmp_path / "spk2info.pt")
    assert list(voices_of(folder)) == ["Eve"]


def test_a_folder_without_voices(tmp_path: Path) -> None:
    """A folder without `spk2info` has no voices, and needs no tokenizer for that."""
    assert voices_of(ModelFolder(tmp_path, "cosyvoice2", {})) == {}


@pytest.mark.parametrize("family", ["cosyvoice2", "cosyvoice3"])
def test_upstreams_file_is_read_for_any_family(tmp_path: Path, family: str) -> None:
    """Presets and references of a file that lies anywhere become voices of the model it belongs to."""
    write_qwen2(tmp_path / "CosyVoice-BlankEN", WORDS)
    folder, path = folder_of(tmp_path, family), tmp_path / "other.pt"
    torch.save({"中文女": {"embedding": torch.ones(1, 192)}, "Ada": upstream_entry()}, path)
    voices = voices_in(path, folder)
    assert [(each.name, each.family) for each in voices.values()] == [("中文女", family), ("Ada", family)]
    assert (
        {each.origin.speech_tokenizer for each in voices.values()}
        == {speech_tokenizer_digest(folder)}
        != {""}
    )
    assert [len(each.speech_tokens) for each in voices.values()] == [0, 5]
    assert (voices["Ada"].text, len(voices["Ada"].mel)) == ("hello hello", 10)


def test_upstreams_file_for_cosyvoice1(tmp_path: Path) -> None:
    """The text tokens of CosyVoice 1 are ranks of a vocabulary, in which each byte is one."""
    tiny1.write_model(tmp_path / "model")
    folder = ModelFolder.open(tmp_path / "model")
    entry = upstream_entry() | {"prompt_text": torch.tensor([list("hello, 你好".encode())])}
    torch.save({"Ada": entry}, tmp_path / "other.pt")
    made = voices_in(tmp_path / "other.pt", folder)["Ada"]
    assert (made.family, made.text) == ("cosyvoice", "hello, 你好")

    torch.save({"Ada": entry | {"prompt_text": torch.tensor([[10**6]])}}, tmp_path / "other.pt")
    with pytest.raises(VoiceError, match="'Ada' cannot be read: 1000000"):
        voices_in(tmp_path / "other.pt", folder)


def test_old_presets_hold_more_than_is_used(tmp_path: Path) -> None:
    """Presets of the first release hold speech and mel too, which upstream never gave to the models."""
    old = {
        "embedding": torch.ones(1, 192),
        "speech_feat": torch.ones(1, 9, 80),
        "speech_token": torch.ones(1, 4),
    }
    torch.save({"Ada": old}, tmp_path / "spk2info.pt")
    made = voices_in(tmp_path / "spk2info.pt", ModelFolder(tmp_path, "cosyvoice", {}))["Ada"]
    assert (len(made.mel), len(made.speech_tokens)) == (0, 0)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code ran",)


@pytest.mark.parametrize(
    "saved",
    [
        {"Ada": {"embedding": Evil()}},
        {"Ada": {"embedding": torch.zeros(1).expand(10**9)}},
        {"Ada": {"embedding": torch.zeros(192).to_sparse()}},
        {"Ada": {"embedding": torch.zeros(192, device="meta")}},
        {"Ada": {"embedding": torch.zeros(192, dtype=torch.complex64)}},
        {"Ada": [1, 2]},
        {1: {}},
        [1],
    ],
    ids=["code", "bomb", "sparse", "meta", "complex", "list", "number", "no table"],
)
def test_files_that_no_voice_comes_from(
    tmp_path: Path, saved: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code is not run, nothing is unpacked to more than the file holds; each is one line of error."""
    torch.save(saved, tmp_path / "spk2info.pt")
    with pytest.raises((VoiceError, WeightsError)) as caught:
        voices_in(tmp_path / "spk2info.pt", ModelFolder(tmp_path, "cosyvoice2", {}))
    assert "\n" not in str(caught.value) and "spk2info.pt" in str(caught.value)
    assert capsys.readouterr().out == ""
