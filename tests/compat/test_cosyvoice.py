"""Upstream's classes: signatures, and what each call does on our engine."""

from __future__ import annotations

import inspect
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import cosyrt
from cosyrt import compat
from cosyrt.audio import Audio
from cosyrt.compat import AutoModel, CosyVoice, CosyVoice2, CosyVoice3
from cosyrt.errors import AudioError, ModelNotFound, UsageError, VoiceNotFound, WeightsError
from tests.compat.conftest import noise

UPSTREAM = json.loads((Path(__file__).parent / "upstream_signatures.json").read_text())
METHODS = [(kind, name) for kind in UPSTREAM for name in UPSTREAM[kind].get("methods", ())]
TEXT = "Hello there, you."


def arguments(function: Any) -> list[list[Any]]:
    """Name, and default where there is one, of each argument but `self`."""
    found = [value for name, value in inspect.signature(function).parameters.items() if name != "self"]
    return [
        [f"**{p.name}" if p.kind is p.VAR_KEYWORD else p.name, *([] if p.default is p.empty else [p.default])]
        for p in found
    ]


def samples(speech: Iterator[dict[str, Tensor]]) -> list[Tensor]:
    """Every result, each checked to be what upstream gives."""
    out = []
    for result in speech:
        assert list(result) == ["tts_speech"]
        assert result["tts_speech"].dtype == torch.float32
        assert result["tts_speech"].ndim == 2 and result["tts_speech"].shape[0] == 1
        out.append(result["tts_speech"])
    return out


def seeded(speech: Iterator[dict[str, Tensor]]) -> Tensor:
    """Join the audio of a call, made from one set of random numbers."""
    torch.manual_seed(3)
    return torch.cat(samples(speech), dim=1)


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_signatures_are_upstreams(kind: str, name: str) -> None:
    """Names, order and defaults of every argument, by the table in this folder."""
    assert arguments(vars(getattr(compat, kind))[name]) == UPSTREAM[kind]["methods"][name]


def test_classes_are_upstreams() -> None:
    """Classes and bases are upstream's, and AutoModel takes what it is given."""
    for kind in ("CosyVoice", "CosyVoice2", "CosyVoice3"):
        bases = [base.__name__ for base in getattr(compat, kind).__bases__ if base is not object]
        assert bases == UPSTREAM[kind]["bases"]
    assert arguments(AutoModel) == UPSTREAM["AutoModel"]["function"]


def test_the_folder_decides_the_class(spelling_folder: Path) -> None:
    """AutoModel gives the class of the folder; the wrong class says which is right."""
    model = AutoModel(model_dir=str(spelling_folder), fp16=False)

    assert type(model) is CosyVoice2
    assert (model.sample_rate, model.model_dir, model.fp16) == (24_000, str(spelling_folder), False)
    for wrong in (CosyVoice, CosyVoice3):
        with pytest.raises(UsageError, match="is a cosyvoice2 model; open it with CosyVoice2 or AutoModel"):
            wrong(str(spelling_folder))
    with pytest.raises(ModelNotFound, match="no model folder at nowhere"):
        AutoModel(model_dir="nowhere")
    with pytest.raises(UsageError, match="AutoModel needs the folder"):
        AutoModel()


def test_every_mode_gives_speech(upstream2: CosyVoice2, clip: str) -> None:
    """Each call, whole and streamed, gives [1, N] tensors; streamed they are more."""
    assert upstream2.list_available_spks() == ["ann", "mei"]
    calls = (
        lambda stream: upstream2.inference_sft(TEXT, "ann", stream=stream),
        lambda stream: upstream2.inference_zero_shot(TEXT, "My words.", clip, stream=stream),
        lambda stream: upstream2.inference_cross_lingual(TEXT, clip, stream=stream),
        lambda stream: upstream2.inference_instruct2(TEXT, "Softly<|endofprompt|>", clip, stream=stream),
        lambda stream: upstream2.inference_vc(clip, clip, stream=stream),
    )
    for call in calls:
        assert len(samples(call(False))) == 1
        assert len(samples(call(True))) >= 2


def test_the_modes_are_the_engines(upstream2: CosyVoice2, clip: str) -> None:
    """Each call is `say` or `convert` with the arguments that docs/from_upstream.md names."""
    tts = upstream2.tts
    voice, wordless = (tts.voice_from(clip, words, as_recorded=True) for words in ("My words.", ""))
    torch.manual_seed(3)
    seed = int(torch.randint(2**32, ()))
    for theirs, ours in (
        (upstream2.inference_zero_shot(TEXT, "My words.", clip), tts.say(TEXT, voice=voice, seed=seed)),
        (
            upstream2.inference_cross_lingual(TEXT, clip),
            tts.say(TEXT, voice=wordless, cross_lingual=True, seed=seed),
        ),
        (
            upstream2.inference_instruct2(TEXT, "Softly.", clip, speed=2.0),
            tts.say(TEXT, voice=wordless, instruction="Softly.", seed=seed, speed=2.0),
        ),
        (upstream2.inference_vc(clip, clip), tts.convert(clip, voice=wordless, seed=seed)),
        (
            upstream2.inference_sft("It is 12.", "ann", text_frontend=False),
            tts.say("It is 12.", voice="ann", as_written=True, seed=seed),
        ),
    ):
        assert np.array_equal(seeded(theirs)[0].numpy(), ours.samples)


def test_each_call_speaks_anew(upstream2: CosyVoice2) -> None:
    """Torch's own seed decides, as upstream."""
    first, other, again = (
        seeded(upstream2.inference_sft(TEXT, "ann")),
        torch.cat(samples(upstream2.inference_sft(TEXT, "ann")), dim=1),
        seeded(upstream2.inference_sft(TEXT, "ann")),
    )

    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_one_result_a_piece(upstream2: CosyVoice2) -> None:
    """A long text gives several results, as upstream's split does."""
    text = "One two three four five six, seven eight nine ten, and so on. " * 3

    assert len(samples(upstream2.inference_sft(text, "ann"))) >= 2


def test_text_that_is_still_written(upstream2: CosyVoice2, clip: str) -> None:
    """A generator of text is read while it is spoken, with stream and without."""

    def text() -> Iterator[str]:
        yield "Hello the"
        yield "re, you two over "
        yield "there."

    whole = seeded(upstream2.inference_zero_shot(text(), "My words.", clip))
    streamed = seeded(upstream2.inference_zero_shot(text(), "My words.", clip, stream=True))

    assert whole.shape == streamed.shape


@pytest.mark.parametrize("kind", ["path", "file", "tensor", "array"])
def test_prompts_of_every_kind(upstream2: CosyVoice2, clip: str, kind: str) -> None:
    """A path, an open file, or 16 kHz samples as older scripts pass them."""
    at_16k = Audio.read(clip).resample(16_000).samples
    prompt: Any = {
        "path": Path(clip),
        "file": io.BytesIO(Path(clip).read_bytes()),
        "tensor": torch.from_numpy(at_16k)[None],
        "array": at_16k,
    }[kind]

    assert samples(upstream2.inference_cross_lingual(TEXT, prompt))


def test_a_prompt_is_encoded_once(upstream2: CosyVoice2, tmp_path: Path, monkeypatch: Any) -> None:
    """One file and transcript are one voice; a changed file is another."""
    path = tmp_path / "clip.wav"
    noise(2, 1).write(path)
    made: list[str] = []
    monkeypatch.setattr(
        upstream2.tts,
        "voice_from",
        lambda *args, **options: made.append(args[1]) or upstream2.tts.voices["ann"],
    )
    for _ in range(2):
        samples(upstream2.inference_zero_shot(TEXT, "My words.", str(path)))
    assert made == ["My words."]
    noise(3, 2).write(path)
    samples(upstream2.inference_zero_shot(TEXT, "My words.", str(path)))
    assert made == ["My words.", "My words."]


def test_a_kept_voice(own_folder: Path, clip: str) -> None:
    """A voice that was added speaks by its name, with its own transcript, and follows instructions."""
    model = CosyVoice2(str(own_folder))

    assert model.add_zero_shot_spk("My words.", clip, "me") is True
    assert model.list_available_spks() == ["ann", "mei", "me"]
    kept = seeded(model.inference_zero_shot(TEXT, "", "", zero_shot_spk_id="me"))
    told = seeded(model.inference_instruct2(TEXT, "Softly.", "", zero_shot_spk_id="me"))

    assert torch.equal(kept, seeded(model.inference_zero_shot(TEXT, "My words.", clip)))
    assert torch.equal(told, seeded(model.inference_instruct2(TEXT, "Softly.", clip)))
    assert not torch.equal(kept, told)


def test_closing_a_result_stops_the_work(upstream2: CosyVoice2) -> None:
    """The generator closes what it reads."""
    speech = upstream2.inference_sft(TEXT * 5, "ann", stream=True)
    next(speech)
    speech.close()

    assert inspect.getgeneratorstate(speech) == "GEN_CLOSED"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda model: model.inference_sft(TEXT, "bob"),
            VoiceNotFound,
            "no voice is called 'bob'; this model has ann, mei",
        ),
        (
            lambda model: model.inference_zero_shot(TEXT, "", "", "bob"),
            VoiceNotFound,
            "no voice is called 'bob'",
        ),
        (lambda model: model.inference_zero_shot(TEXT, "", "no.wav"), AudioError, r"no\.wav"),
        (
            lambda model: model.inference_zero_shot(TEXT, "", None),
            UsageError,
            "prompt_wav is None; give a path",
        ),
        (lambda model: model.inference_zero_shot(TEXT, "", ""), UsageError, "prompt_wav is empty"),
        (lambda model: model.inference_zero_shot(TEXT, "", 7), UsageError, "prompt_wav is 7; give a path"),
        (lambda model: model.inference_cross_lingual(TEXT, [0.1, 0.2]), UsageError, r"prompt_wav is \[0\.1"),
        (lambda model: model.inference_cross_lingual(TEXT, b"RIFF"), AudioError, "cannot read the audio"),
        (
            lambda model: model.inference_zero_shot(TEXT, None, "a.wav"),
            UsageError,
            "prompt_text is None; give",
        ),
        (lambda model: model.inference_vc(None, noise(2)), UsageError, "source_wav is None"),
        (lambda model: model.inference_sft(None, "ann"), UsageError, "cannot speak None"),
        (
            lambda model: model.inference_instruct(TEXT, "ann", "Softly."),
            UsageError,
            "inference_instruct is of CosyVoice 1; CosyVoice2 has inference_instruct2",
        ),
    ],
)
def test_mistakes_are_one_line(upstream2: CosyVoice2, call: Any, error: type[Exception], words: str) -> None:
    """Where upstream has an assert, a KeyError or an IndexError."""
    with pytest.raises(error, match=words) as caught:
        list(call(upstream2))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["?!", "", "  ", "。。", "\n"])
def test_marks_alone_are_no_speech(upstream2: CosyVoice2, clip: str, text: str) -> None:
    """As upstream, a text of which no piece is left gives no result."""
    assert samples(upstream2.inference_sft(text, "ann")) == []
    assert samples(upstream2.inference_zero_shot(text, "My words.", clip, stream=True)) == []


def test_a_voice_without_a_name_is_refused(upstream2: CosyVoice2, clip: str) -> None:
    """Upstream asserts."""
    with pytest.raises(UsageError, match="zero_shot_spk_id is empty"):
        upstream2.add_zero_shot_spk("My words.", clip, "")


@pytest.mark.parametrize("official", [False, True], ids=["safetensors", "pt"])
def test_voices_survive(own_folder: Path, clip: str, official: bool) -> None:
    """Saved voices are there when the folder is opened again, in either kind of file."""
    ours = own_folder / "spk2info.safetensors"
    if official:
        ours.unlink()
    model = CosyVoice2(str(own_folder))
    model.add_zero_shot_spk("My words.", clip, "me")
    model.save_spkinfo()
    kept, again = model.tts.voices["me"], cosyrt.load(own_folder, device="cpu").voices["me"]

    assert ours.is_file() is not official
    entry = torch.load(own_folder / "spk2info.pt", weights_only=True)["me"]
    assert entry["prompt_text"][0].tolist() == model.tts.tokenizer.encode("My words.")
    assert (again.text, again.language) == ("My words.", "en")
    assert np.array_equal(again.speech_tokens, kept.speech_tokens)
    assert np.array_equal(again.mel, kept.mel)
    assert np.array_equal(again.speaker, kept.speaker)


def test_the_class_decides_between_descriptions(tiny1_folder: Path, own_folder: Path, clip: str) -> None:
    """Where there are two descriptions, that of the class is taken; AutoModel takes the first."""
    shutil.copy(tiny1_folder / "cosyvoice.yaml", own_folder)
    assert samples(CosyVoice2(str(own_folder)).inference_cross_lingual("Hi.", clip))
    with pytest.raises(UsageError, match="is a cosyvoice model; open it with CosyVoice"):
        CosyVoice3(str(tiny1_folder))
    with pytest.raises(
        WeightsError, match=r"llm\.safetensors lacks 'text_embedding"
    ):  # as CosyVoice 1, by the order of upstream's AutoModel
        AutoModel(model_dir=str(own_folder))


def test_a_folder_of_before_2025_speaks(own_folder: Path, clip: str) -> None:
    """An old description is called cosyvoice.yaml and says nothing of chunks."""
    text = (own_folder / "cosyvoice2.yaml").read_text()
    (own_folder / "cosyvoice2.yaml").unlink()
    text = re.sub(r"^ +(static_chunk_size|num_decoding_left_chunks): .*\n", "", text, flags=re.MULTILINE)
    (own_folder / "cosyvoice.yaml").write_text(text.replace("CausalConditionalDecoder", "ConditionalDecoder"))
    for model in (CosyVoice2(str(own_folder)), AutoModel(model_dir=str(own_folder))):
        assert type(model) is CosyVoice2
        assert len(samples(model.inference_cross_lingual(TEXT, clip, stream=True))) >= 2


def test_weights_that_were_trained_further(own_folder: Path) -> None:
    """The variant of a language model is chosen by its name, with either way to open a folder."""
    with pytest.raises(ModelNotFound, match="has no weights 'rl'"):
        CosyVoice2(str(own_folder), weights="rl")  # type: ignore[call-arg]
    changed = load_file(own_folder / "llm.safetensors")
    changed["llm_decoder.weight"] = -changed["llm_decoder.weight"]
    save_file(changed, own_folder / "llm.rl.safetensors")
    plain, other = CosyVoice2(str(own_folder)), AutoModel(model_dir=str(own_folder), weights="rl")

    weight = (model.tts.model.networks.llm.llm_decoder.weight for model in (plain, other))
    assert torch.equal(next(weight), -next(weight))
