"""Calls as scripts from before 2025 make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosyrt.audio import Audio
from cosyrt.compat import AutoModel, CosyVoice, CosyVoice2
from cosyrt.compat.older import warn_once
from cosyrt.errors import UsageError
from tests.compat.test_cosyvoice import TEXT, samples, seeded


@pytest.fixture(autouse=True)
def unwarned() -> Iterator[None]:
    """Warnings that are given once a process are given again in each test."""
    warn_once.cache_clear()
    yield
    warn_once.cache_clear()


@pytest.fixture(scope="module")
def at_16k(clip: str) -> torch.Tensor:
    """The recording as older scripts load it."""
    return torch.from_numpy(Audio.read(clip).resample(16_000).samples)[None]


Call = Callable[[CosyVoice2, torch.Tensor], Iterator[dict[str, torch.Tensor]]]
CALLS: list[tuple[Call, Call]] = [
    (
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", prompt_speech_16k=p, stream=False),
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p),
    ),
    (
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, False, 2.0),
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, speed=2.0),
    ),
    (
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, np.bool_(True), 2.0, False),
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, stream=True, speed=2.0, text_frontend=False),
    ),
    (
        lambda m, p: m.inference_cross_lingual(TEXT, p, False, 2.0),
        lambda m, p: m.inference_cross_lingual(TEXT, p, speed=2.0),
    ),
    (
        lambda m, p: m.inference_instruct2(TEXT, "Softly.", p, True, 0.5),
        lambda m, p: m.inference_instruct2(TEXT, "Softly.", p, stream=True, speed=0.5),
    ),
    (
        lambda m, p: m.inference_instruct2(TEXT, instruct_text="Softly.", prompt_speech_16k=p),
        lambda m, p: m.inference_instruct2(TEXT, "Softly.", p),
    ),
    (
        lambda m, p: m.inference_vc(source_speech_16k=p, prompt_speech_16k=p, stream=False, speed=1.0),
        lambda m, p: m.inference_vc(p, p),
    ),
    (
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, None),  # type: ignore[arg-type]
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, ""),
    ),
    (
        lambda m, p: m.inference_cross_lingual(TEXT, p, "", None, 2.0, None),  # type: ignore[arg-type]
        lambda m, p: m.inference_cross_lingual(TEXT, p, speed=2.0),
    ),
    (
        lambda m, p: m.inference_zero_shot(TEXT, "My words.", p, "ann", False, 2.0),
        lambda m, p: m.inference_zero_shot(TEXT, "", "", zero_shot_spk_id="ann", speed=2.0),
    ),
]


@pytest.mark.parametrize("at", range(len(CALLS)))
def test_an_older_call_is_understood(upstream2: CosyVoice2, at_16k: torch.Tensor, at: int) -> None:
    """Names and positions of before 2025 mean what they meant."""
    older, today = CALLS[at]

    assert torch.equal(seeded(older(upstream2, at_16k)), seeded(today(upstream2, at_16k)))


def test_a_speaker_is_added_by_older_names(own_folder: Path, at_16k: torch.Tensor) -> None:
    """The keywords that services of 2024 use."""
    model = CosyVoice2(str(own_folder))
    assert model.add_zero_shot_spk(prompt_text="My words.", prompt_speech_16k=at_16k, zero_shot_spk_id="me")
    assert samples(model.inference_zero_shot(TEXT, "", None, zero_shot_spk_id="me"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.inference_sft(TEXT, "ann", 2.0), r"stream is 2\.0; give True or False"),
        (lambda m: m.inference_zero_shot(TEXT, "", "", "ann", 2.0), r"stream is 2\.0"),
        (lambda m: m.inference_zero_shot(TEXT, "", "", zero_shot_spk_id=False), "zero_shot_spk_id is False"),
        (lambda m: m.inference_zero_shot(TEXT, "", "", 1.5), r"zero_shot_spk_id is 1\.5; give the name"),
        (lambda m: m.inference_sft(TEXT, "ann", text_frontend="no"), "text_frontend is 'no'"),
        (lambda m: m.inference_vc("a", prompt_wav="b", prompt_speech_16k="c"), "older name of prompt_wav"),
        (lambda m: m.inference_sft(TEXT, "ann", prompt_speech_16k="c"), "to a call that takes it"),
    ],
)
def test_what_cannot_be_meant_is_refused(upstream2: CosyVoice2, call: Any, words: str) -> None:
    """A speed where a switch stands is no longer taken for a long stream, silently."""
    with pytest.raises(UsageError, match=words):
        list(call(upstream2))


@pytest.mark.parametrize("flag", ["load_onnx", "use_flow_cache"])
def test_flags_that_are_gone(spelling_folder: Path, caplog: pytest.LogCaptureFixture, flag: str) -> None:
    """Flags of 2024 are accepted with one warning, whichever class is asked."""
    for build in (CosyVoice2, lambda folder, **flags: AutoModel(model_dir=folder, **flags)):
        assert build(str(spelling_folder), **{flag: True}).sample_rate == 24_000
    assert [message.split()[0] for message in caplog.messages] == [flag]


def test_a_device_may_be_asked_for(spelling_folder: Path) -> None:
    """Forks of upstream take a device; it is honoured, and one that is not there is told."""
    assert CosyVoice2(str(spelling_folder), device="cpu").model.device.type == "cpu"  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="the device 'cuda:77' cannot be used"):
        CosyVoice2(str(spelling_folder), device="cuda:77")  # type: ignore[call-arg]


def test_a_flag_that_never_was(spelling_folder: Path) -> None:
    """Any other flag is one line, not a TypeError."""
    for build in (CosyVoice2, lambda folder, **flags: AutoModel(model_dir=folder, **flags)):
        with pytest.raises(UsageError, match="CosyVoice2: got an unexpected keyword argument 'load_all'"):
            build(str(spelling_folder), load_all=True)


def test_the_misspelt_list(tiny1_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The list of speakers by the name that it had in 2024, with one warning."""
    model = CosyVoice(str(tiny1_folder))
    assert model.list_avaliable_spks() == model.list_avaliable_spks() == model.list_available_spks()
    assert len(caplog.messages) == 1
