"""`model.tts`: upstream's own loop over `frontend_…` and `model.tts` is what `inference_…` gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cosyrt.compat import AutoModel, CosyVoice, CosyVoice2, CosyVoice3
from cosyrt.errors import CosyrtError
from tests.compat.test_cosyvoice import TEXT, seeded

SYSTEM = "You are a helpful assistant."
Speech = Iterator[dict[str, Tensor]]


def spoken(model: CosyVoice, text: str, make: Callable[[str], dict[str, Any]], **how: Any) -> Speech:
    """The loop of upstream's `inference_…`."""
    for piece in model.frontend.text_normalize(text, split=True):
        yield from model.model.tts(**make(piece), **how)


@pytest.fixture(params=["1", "2", "3"])
def model(request: pytest.FixtureRequest) -> CosyVoice:
    """Upstream's class of each family."""
    folder = {"1": "tiny1_folder", "2": "spelling_folder", "3": "tiny3_folder"}[request.param]
    return AutoModel(model_dir=str(request.getfixturevalue(folder)))


def test_upstreams_loop(model: CosyVoice, clip: str) -> None:
    """Inputs made by the front end speak as the call that makes them itself, in every mode of each family."""
    front, rate, speak = model.frontend, model.sample_rate, partial(spoken, model)
    opening = f"{SYSTEM}<|endofprompt|>" if isinstance(model, CosyVoice3) else ""
    words = opening + "My words."
    name = next(iter(model.list_available_spks()))
    cases: list[tuple[Speech, Speech]] = [
        (
            speak(TEXT, lambda t: front.frontend_zero_shot(t, words, clip, rate, ""), stream=True),
            model.inference_zero_shot(TEXT, words, clip, stream=True),
        ),
        (
            speak(opening + TEXT, lambda t: front.frontend_cross_lingual(t, clip, rate, "")),
            model.inference_cross_lingual(opening + TEXT, clip),
        ),
        (
            speak(TEXT, lambda t: front.frontend_sft(t, name), speed=2.0),
            model.inference_sft(TEXT, name, speed=2.0),
        ),
        (
            model.model.tts(**front.frontend_vc(clip, clip, rate), stream=False, speed=1.0),
            model.inference_vc(clip, clip),
        ),
    ]
    if isinstance(model, CosyVoice2):
        told = speak(TEXT, lambda t: front.frontend_instruct2(t, "Softly.", clip, rate, ""))
        cases.append((told, model.inference_instruct2(TEXT, "Softly.", clip)))
    else:
        how = "Softly<|endofprompt|>"
        told = speak(TEXT, lambda t: front.frontend_instruct(t, name, how))
        cases.append((told, model.inference_instruct(TEXT, name, how)))
    for theirs, ours in cases:
        assert torch.equal(seeded(theirs), seeded(ours))


@pytest.mark.parametrize("family", ["2", "3"])
def test_tokens_that_arrive(spelling_folder: Path, tiny3_folder: Path, clip: str, family: str) -> None:
    """A generator of tokens is spoken while it is read, as a generator of text is."""
    model = AutoModel(model_dir=str(spelling_folder if family == "2" else tiny3_folder))

    def text() -> Iterator[str]:
        yield "Hello "
        yield "there, "
        yield "you."

    def inputs() -> dict[str, Any]:
        return model.frontend.frontend_zero_shot(text(), "My words.", clip, 24_000, "")

    whole, streamed = (seeded(model.model.tts(**inputs(), stream=stream)) for stream in (False, True))
    assert whole.shape == streamed.shape
    assert torch.equal(whole, seeded(model.inference_zero_shot(text(), "My words.", clip)))


def test_a_character_of_several_tokens_arrives(upstream2: CosyVoice2, clip: str) -> None:
    """Bytes of a character come one by one; none of them is lost."""

    def text() -> Iterator[str]:
        yield "你好"

    inputs = upstream2.frontend.frontend_cross_lingual(text(), clip, 24_000, "")
    assert len(upstream2.frontend.tokenizer.encode("你好")) == 6
    words = list(upstream2.model._words(inputs["text"]))
    assert words == ["你", "好"]
    assert [
        token for word in words for token in upstream2.model._tokens(word)
    ] == upstream2.frontend.tokenizer.encode("你好")


def test_inputs_of_several_voices(upstream2: CosyVoice2, clip: str) -> None:
    """Scripts put the timbre of one voice into the inputs of another: what the flow is given counts."""
    inputs = upstream2.frontend.frontend_zero_shot(TEXT, "My words.", clip, 24_000, "")
    other = dict(inputs)
    other["flow_embedding"] = upstream2.frontend.spk2info["ann"]["embedding"]
    one, two = (seeded(upstream2.model.tts(**each)) for each in (inputs, other))

    assert one.shape == two.shape and not torch.equal(one, two)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("family", ["1", "2"])
def test_scripts_that_export_archives(
    tiny1_folder: Path, spelling_folder: Path, clip: str, tmp_path: Path, family: str
) -> None:
    """Upstream's own way to export, by its encoders, makes archives that `load_jit` takes."""
    folder = shutil.copytree(tiny1_folder if family == "1" else spelling_folder, tmp_path / "model")
    model = AutoModel(model_dir=str(folder))
    encoders = {"flow.encoder": model.model.flow.encoder}
    if family == "1":
        encoders |= {"llm.llm": model.model.llm.llm, "llm.text_encoder": model.model.llm.text_encoder}
    for name, encoder in encoders.items():
        for precision in ("fp32", "fp16"):
            script = torch.jit.script(encoder if precision == "fp32" else encoder.half())
            kept = ["forward_chunk"] if name == "llm.llm" else []
            script = torch.jit.optimize_for_inference(torch.jit.freeze(script, preserved_attrs=kept))
            script.save(str(folder / f"{name}.{precision}.zip"))

    fast = AutoModel(model_dir=str(folder), load_jit=True)
    assert fast.tts.model.stages.encode is not fast.tts.model.plain.encode
    speech = [seeded(each.inference_zero_shot(TEXT, "My words.", clip)) for each in (model, fast)]
    assert torch.allclose(*speech, atol=1e-3)


def test_the_model_knows_its_device(upstream2: CosyVoice2) -> None:
    """Scripts move their tensors there."""
    assert upstream2.model.device == upstream2.tts.model.device and upstream2.model.fp16 is False


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"flow_embedding": None}, "flow_embedding is missing"),
        ({"flow_embedding": torch.zeros(0, 192)}, "flow_embedding is missing"),
        ({"flow_embedding": torch.zeros(1, 100)}, r"speaker vector of shape \[100\]"),
        ({"text": torch.zeros(1, 0, dtype=torch.int32)}, "text has no tokens"),
        ({"text": torch.tensor([[10**6]])}, "text has tokens from 1000000 to 1000000, the model knows 0 to"),
        ({"text": None}, "takes a text or source_speech_token"),
        ({"source_speech_token": torch.ones(1, 5)}, "takes a text or source_speech_token"),
        ({"text": "Hello."}, "text is 'Hello.'; give a tensor"),
        ({"flow_prompt_speech_token": torch.ones(1, 1)}, "1 speech tokens and 100 mel frames"),
        ({"llm_prompt_speech_token": torch.tensor([[-1]])}, "llm_prompt_speech_token has tokens from -1"),
        ({"speed": 9.0}, r"speed 9\.0 is out of range"),
    ],
)
def test_inputs_that_do_not_fit(
    upstream2: CosyVoice2, clip: str, changed: dict[str, Any], words: str
) -> None:
    """One line, where upstream has an index error of torch or a hang."""
    inputs = upstream2.frontend.frontend_zero_shot(TEXT, "My words.", clip, 24_000, "") | changed
    with pytest.raises(CosyrtError, match=words) as caught:
        list(upstream2.model.tts(**inputs))
    assert "\n" not in str(caught.value)
