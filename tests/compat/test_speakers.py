"""The table of speakers that upstream's scripts read, assign and write into."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosyrt.compat import CosyVoice2
from cosyrt.compat.speakers import SpeakerTable
from cosyrt.errors import UsageError, VoiceError, VoiceNotFound
from tests.compat.test_cosyvoice import TEXT, samples, seeded

SPEAKER = torch.linspace(-1, 1, 192)[None]


@pytest.fixture
def model(own_folder: Path) -> CosyVoice2:
    """A model whose voices may be changed."""
    return CosyVoice2(str(own_folder))


def test_entries_are_upstreams(model: CosyVoice2, clip: str) -> None:
    """A preset has its embedding, a kept voice what upstream's `frontend_zero_shot` gives, lengths too."""
    model.add_zero_shot_spk("My words.", clip, "me")
    table = model.frontend.spk2info

    assert list(table) == ["ann", "mei", "me"] and len(table) == 3 and "ann" in table and "bob" not in table
    assert table["ann"]["embedding"].shape == (1, 192)
    entry = table["me"]
    assert entry["prompt_text"].tolist() == [model.tts.tokenizer.encode("My words.")]
    assert entry["flow_prompt_speech_token"].dtype == torch.int32
    assert entry["prompt_speech_feat"].shape == (1, 2 * entry["flow_prompt_speech_token"].shape[1], 80)
    assert entry["prompt_speech_feat_len"].tolist() == [entry["prompt_speech_feat"].shape[1]]
    assert entry["llm_embedding"].device == model.frontend.device
    assert table["me"] is entry


def test_what_is_put_in_speaks(model: CosyVoice2, clip: str) -> None:
    """An entry given out, saved by torch and put in again under another name is the same voice."""
    model.add_zero_shot_spk("My words.", clip, "me")
    file = io.BytesIO()
    torch.save(model.frontend.spk2info["me"], file)
    model.frontend.spk2info["again"] = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    model.frontend.spk2info["preset"] = {"embedding": SPEAKER}

    assert model.list_available_spks() == ["ann", "mei", "me", "again", "preset"]
    voice = model.tts.voices["preset"]
    assert np.allclose(voice.speaker, SPEAKER[0]) and not len(voice.speech_tokens)
    assert torch.equal(*(seeded(model.inference_zero_shot(TEXT, "", None, name)) for name in ("me", "again")))
    assert samples(model.inference_sft(TEXT, "preset"))


def test_a_deleted_speaker_is_gone(model: CosyVoice2) -> None:
    """A speaker can be deleted and popped, as from any table."""
    del model.frontend.spk2info["ann"]
    assert model.list_available_spks() == ["mei"]
    with pytest.raises(VoiceNotFound, match="no voice is called 'ann'"):
        list(model.inference_sft(TEXT, "ann"))
    with pytest.raises(KeyError):
        model.frontend.spk2info["ann"]
    assert model.frontend.spk2info.pop("mei")["embedding"].shape == (1, 192)
    assert not model.frontend.spk2info and repr(model.frontend.spk2info) == "<speakers none>"


def test_the_table_may_be_assigned(model: CosyVoice2, caplog: pytest.LogCaptureFixture) -> None:
    """All speakers are replaced; one that is no voice is named in a warning; the table stays itself."""
    table = model.frontend.spk2info
    model.frontend.spk2info = {"new": {"embedding": SPEAKER}, "odd": {"name": "x"}}  # type: ignore[assignment]

    assert model.frontend.spk2info is table and list(table) == ["new"]
    assert [("'odd' has no 'embedding'" in message) for message in caplog.messages] == [True]
    model.frontend.spk2info = table
    assert list(table) == ["new"]
    with pytest.raises(UsageError, match="spk2info is None; give a dict"):
        model.frontend.spk2info = None  # type: ignore[assignment]


def test_a_change_inside_an_entry_counts(model: CosyVoice2) -> None:
    """A field that is put in, or written into by torch, is what the next call speaks with."""
    entry = model.frontend.spk2info["ann"]
    before = seeded(model.inference_sft(TEXT, "ann"))
    entry["embedding"] = SPEAKER.clone()
    changed = seeded(model.inference_sft(TEXT, "ann"))
    entry["embedding"].mul_(-1)
    turned = seeded(model.inference_sft(TEXT, "ann"))

    assert np.allclose(model.tts.voices["ann"].speaker, -SPEAKER[0])
    assert not torch.equal(before, changed) and not torch.equal(changed, turned)
    del entry["embedding"]
    with pytest.raises(VoiceError, match="'ann' has no 'embedding'"):
        list(model.inference_sft(TEXT, "ann"))


def test_what_torch_saves_of_it_is_a_plain_table(model: CosyVoice2, own_folder: Path) -> None:
    """Scripts save the table themselves: upstream and ours read that file."""
    torch.save(model.frontend.spk2info, own_folder / "spk2info.pt")
    read = torch.load(own_folder / "spk2info.pt", weights_only=True)
    (own_folder / "spk2info.safetensors").unlink()

    assert list(read) == ["ann", "mei"] and isinstance(read, dict)
    again = CosyVoice2(str(own_folder))
    assert np.array_equal(again.tts.voices["ann"].speaker, model.tts.voices["ann"].speaker)


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        (7, {"embedding": SPEAKER}, "the name of a speaker is 7"),
        ("x", SPEAKER, "the entry of 'x' is tensor"),
        ("x", {}, "'x' has no 'embedding'"),
        ("x", {"embedding": torch.ones(3)}, r"speaker vector of shape \[3\]"),
        ("x", {"embedding": object()}, "'x' cannot be read"),
        (
            "x",
            {
                "embedding": SPEAKER,
                "prompt_text": "words",
                "speech_token": torch.tensor([[9_999]]),
                "speech_feat": torch.zeros(1, 2, 80),
            },
            "has the speech token 9999, the model only",
        ),
    ],
)
def test_what_is_no_voice_is_refused(model: CosyVoice2, name: Any, entry: Any, words: str) -> None:
    """One line, and the table is as it was."""
    with pytest.raises((UsageError, VoiceError), match=words) as caught:
        model.frontend.spk2info[name] = entry
    assert "\n" not in str(caught.value) and list(model.frontend.spk2info) == ["ann", "mei"]


def test_the_table_is_a_mapping(model: CosyVoice2) -> None:
    """Reading, merging and updating are those of any table."""
    table = model.frontend.spk2info
    assert isinstance(table, SpeakerTable)
    assert dict(table).keys() == {**table}.keys() == {"ann", "mei"}
    table.update({"new": {"embedding": SPEAKER}})
    assert table.get("nobody") is None and list(table.keys()) == ["ann", "mei", "new"]
