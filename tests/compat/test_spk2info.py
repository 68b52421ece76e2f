"""Voices written into a model folder, as upstream reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import cosyrt
from cosyrt.compat import CosyVoice2
from cosyrt.errors import VoiceError

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


@pytest.mark.parametrize("official", [False, True], ids=["safetensors", "pt"])
def test_voices_survive(own_folder: Path, clip: str, official: bool) -> None:
    """What was saved is there when the folder is opened again, in either kind of file."""
    ours = own_folder / "spk2info.safetensors"
    if official:
        ours.unlink()
    model = CosyVoice2(str(own_folder))
    model.add_zero_shot_spk("My words.", clip, "me")
    model.save_spkinfo()
    kept, again = model.tts.voices["me"], cosyrt.load(own_folder, device="cpu").voices["me"]

    assert ours.is_file() is not official
    assert (again.text, again.language) == ("My words.", "en")
    assert np.array_equal(again.speech_tokens, kept.speech_tokens)
    assert np.array_equal(again.mel, kept.mel)
    assert np.array_equal(again.speaker, kept.speaker)


def test_the_official_file_is_upstreams(own_folder: Path, clip: str) -> None:
    """Every field that upstream reads of a kept voice, with its type, shape and length."""
    (own_folder / "spk2info.safetensors").unlink()
    model = CosyVoice2(str(own_folder))
    model.add_zero_shot_spk("My words.", clip, "me")
    model.save_spkinfo()
    entry = torch.load(own_folder / "spk2info.pt", weights_only=True)["me"]

    for name, (kind, dimensions) in KEPT.items():
        assert (entry[name].dtype, entry[name].ndim) == (kind, dimensions), name
    for name in (name for name in KEPT if name.endswith("_len")):
        assert entry[name].tolist() == [entry[name.removesuffix("_len")].shape[1]]
    assert entry["prompt_text"][0].tolist() == model.tts.tokenizer.encode("My words.")
    assert entry["prompt_speech_feat"].shape[1] == 2 * entry["flow_prompt_speech_token"].shape[1]


def test_a_folder_that_cannot_be_written(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only folder is one line of error."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    model = CosyVoice2(str(own_folder))
    monkeypatch.setattr("cosyrt.compat.spk2info.write_voices", refuse)
    with pytest.raises(
        VoiceError, match=r"cannot write the voices into .*Permission denied; is it read-only"
    ):
        model.save_spkinfo()
