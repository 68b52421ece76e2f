"""Upstream's front end: what scripts call between their text and `model.tts`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosyrt.compat import AutoModel, CosyVoice, CosyVoice2, CosyVoice3
from cosyrt.compat.frontend import Frontend
from cosyrt.errors import CosyrtError, UsageError, VoiceNotFound
from cosyrt.voice.reference import speaker_vector, speech_tokens
from tests.compat.test_cosyvoice import TEXT

TEXT_FIELDS = {"text", "text_len"}
FLOW = {
    "flow_prompt_speech_token",
    "flow_prompt_speech_token_len",
    "prompt_speech_feat",
    "prompt_speech_feat_len",
}
EMBEDDINGS = {"llm_embedding", "flow_embedding"}
WORDS = {"prompt_text", "prompt_text_len"}
SPOKEN = {"llm_prompt_speech_token", "llm_prompt_speech_token_len"}
SOURCE = {"source_speech_token", "source_speech_token_len"}


@pytest.fixture(scope="module")
def frontend(upstream2: CosyVoice2) -> Frontend:
    return upstream2.frontend


def test_every_mode_has_upstreams_fields(frontend: Frontend, clip: str) -> None:
    """Names of the inputs of each mode are upstream's; older calls leave out the rate."""
    for inputs, fields in (
        (frontend.frontend_sft(TEXT, "ann"), TEXT_FIELDS | EMBEDDINGS),
        (
            frontend.frontend_zero_shot(TEXT, "My words.", clip, 24_000, ""),
            TEXT_FIELDS | FLOW | EMBEDDINGS | WORDS | SPOKEN,
        ),
        (
            frontend.frontend_zero_shot(TEXT, "My words.", clip),
            TEXT_FIELDS | FLOW | EMBEDDINGS | WORDS | SPOKEN,
        ),
        (frontend.frontend_cross_lingual(TEXT, clip, 24_000, ""), TEXT_FIELDS | FLOW | EMBEDDINGS),
        (
            frontend.frontend_instruct2(TEXT, "Softly.", clip, 24_000, ""),
            TEXT_FIELDS | FLOW | EMBEDDINGS | WORDS,
        ),
        (frontend.frontend_vc(clip, clip, 24_000), SOURCE | FLOW | {"flow_embedding"}),
    ):
        assert set(inputs) == fields
        for name, value in inputs.items():
            is_mel_or_speaker = name in ("prompt_speech_feat", *EMBEDDINGS)
            assert value.dtype == (torch.float32 if is_mel_or_speaker else torch.int32), name
            if name.endswith("_len"):
                assert value.tolist() == [inputs[name.removesuffix("_len")].shape[1]]
            else:
                assert value.shape[0] == 1 and value.ndim == (3 if name == "prompt_speech_feat" else 2)


def test_the_instruction_of_cosyvoice1(tiny1_folder: Path) -> None:
    """The language model of CosyVoice 1 is not given the speaker beside an instruction."""
    model = CosyVoice(str(tiny1_folder))
    name = model.list_available_spks()[0]
    inputs = model.frontend.frontend_instruct(TEXT, name, "Softly<|endofprompt|>")

    assert set(inputs) == TEXT_FIELDS | WORDS | {"flow_embedding"}
    assert inputs["prompt_text"].tolist() == [model.frontend.tokenizer.encode("Softly<|endofprompt|>")]


def test_a_kept_voice_gives_its_inputs(own_folder: Path, clip: str) -> None:
    """The recording is not needed where a voice is named; its own transcript counts, or the instruction."""
    model = CosyVoice2(str(own_folder))
    model.add_zero_shot_spk("My words.", clip, "me")
    made = model.frontend.frontend_zero_shot(TEXT, "My words.", clip, 24_000, "")
    kept = model.frontend.frontend_zero_shot(TEXT, "", None, 24_000, "me")  # type: ignore[arg-type]
    told = model.frontend.frontend_instruct2(TEXT, "Softly.", "", 24_000, "me")

    assert made.keys() == kept.keys() and all(torch.equal(made[name], kept[name]) for name in made)
    assert told["prompt_text"].tolist() == [model.frontend.tokenizer.encode("Softly.<|endofprompt|>")]


def test_cosyvoice3_opens_its_prompt(tiny3_folder: Path, clip: str) -> None:
    """The sentence to the system that CosyVoice 3 needs stands before the transcript, once."""
    model = CosyVoice3(str(tiny3_folder))
    opening = "You are a helpful assistant.<|endofprompt|>"
    for words in ("My words.", opening + "My words."):
        inputs = model.frontend.frontend_zero_shot(TEXT, words, clip, 24_000, "")
        assert inputs["prompt_text"].tolist() == [model.frontend.tokenizer.encode(opening + "My words.")]


def test_what_is_extracted(upstream2: CosyVoice2, clip: str) -> None:
    """Tokens, mel and speaker of a recording come from the folder's own encoders, whole."""
    frontend, folder = upstream2.frontend, upstream2.tts.model.folder
    from cosyrt.audio import Audio

    at_16k = Audio.read(clip).resample(16_000).samples
    tokens, tokens_len = frontend._extract_speech_token(clip)
    mel, mel_len = frontend._extract_speech_feat(clip)
    assert tokens[0].tolist() == speech_tokens(folder, at_16k).tolist() and tokens_len.tolist() == [
        tokens.shape[1]
    ]
    assert mel.shape == (1, 100, 80) and mel_len.tolist() == [100]  # two seconds
    assert np.allclose(frontend._extract_spk_embedding(at_16k)[0], speaker_vector(folder, at_16k))
    text, text_len = frontend._extract_text_token(TEXT)
    assert text.tolist() == [frontend.tokenizer.encode(TEXT, allowed_special="all")]
    assert text_len.tolist() == [text.shape[1]] and frontend.tokenizer.decode(text[0]) == TEXT


def test_text_that_arrives(frontend: Frontend) -> None:
    """A generator of text becomes one of single tokens, each [1, 1]; it is not normalised."""

    def parts() -> Iterator[str]:
        yield "Hello "
        yield "you."

    arriving = parts()
    assert frontend.text_normalize(arriving) == [arriving]
    tokens, length = frontend._extract_text_token(parts())
    found = list(tokens)
    assert length.tolist() == [0] and {tuple(token.shape) for token in found} == {(1, 1)}
    assert torch.cat(found, 1).tolist() == [frontend.tokenizer.encode("Hello you.")]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("It is 12.", {}, ["It is twelve."]),
        ("It is 12.", {"split": False}, "It is twelve."),
        ("It is 12.", {"text_frontend": False}, ["It is 12."]),
        ("It is 12.", {"text_frontend": False, "split": False}, "It is 12."),
        ("<|en|>It is 12.", {}, ["<|en|>It is 12."]),
        ("", {}, [""]),
        ("", {"split": False}, ""),
        ("?!", {}, []),
        (" \n", {}, []),
        ("?! ", {"split": False}, "?!"),
    ],
)
def test_text_is_normalised(frontend: Frontend, text: str, options: dict[str, Any], expected: Any) -> None:
    """Pieces, or one text without `split`; a text with a tag is left as it is."""
    assert frontend.text_normalize(text, **options) == expected


def test_a_long_text_has_pieces(frontend: Frontend) -> None:
    """No piece is longer than the model speaks well, and none of the text is lost."""
    text = "One two three four five six, seven eight nine ten, and so on. " * 3
    pieces = frontend.text_normalize(text)

    assert len(pieces) > 1 and "".join("".join(pieces).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: f.frontend_sft(TEXT, "bob"), "no voice is called 'bob'"),
        (lambda f: f.frontend_zero_shot(TEXT, "", None), "prompt_wav is None"),
        (lambda f: f.frontend_zero_shot(TEXT, None, "a.wav"), "prompt_text is None"),
        (lambda f: f.text_normalize(None), "the text is None"),
        (lambda f: f._extract_text_token(7), "the text is 7"),
        (lambda f: f._extract_speech_token(None), "the recording is None"),
    ],
)
def test_mistakes_are_one_line(frontend: Frontend, call: Any, words: str) -> None:
    """Where upstream has a KeyError or a TypeError of a library."""
    with pytest.raises(CosyrtError, match=words) as caught:
        call(frontend)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError | VoiceNotFound)


def test_automodel_has_it(spelling_folder: Path) -> None:
    """Whatever opens the folder, the front end knows the device, and what is special in text."""
    frontend = AutoModel(model_dir=str(spelling_folder)).frontend
    assert (frontend.device.type, frontend.allowed_special) in {("cpu", "all"), ("cuda", "all")}
