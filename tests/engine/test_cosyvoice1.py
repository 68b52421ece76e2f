"""CosyVoice 1: its folder, its modes, its stream."""

from __future__ import annotations

import shutil
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import cosyrt
from cosyrt.audio import Audio
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import ConfigError, ModelNotFound, UsageError, WeightsError
from cosyrt.text.ranked_tokenizer import WHISPER
from cosyrt.voice.voice import Voice
from tests import tiny1 as model
from tests.engine.pipelines import Counted, joined, other, prompted, same

TEXT = "Hello there, my dear old friends. How do you do today, and where have you been, I ask?"
SHORT = "Hello there."
PROMPTED = prompted(
    family="cosyvoice",
    mel=np.random.default_rng(2).standard_normal((53, 80)),  # 31 tokens at 50 Hz
)
VOICES = pytest.mark.parametrize("voice", ["中文女", PROMPTED], ids=["preset", "prompt"])


@pytest.fixture
def folder(tiny1_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny1_folder, tmp_path / "model"))


def edit(folder: Path, old: str, new: str) -> None:
    """Replace text of the description; it must be there."""
    path = folder / "cosyvoice.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Asked:
    """Records the input of the language model, and speaks tokens of the test's choice."""

    def __init__(self, tiny1: Pipeline) -> None:
        self.prefill, self.step = tiny1.model.stages.prefill, tiny1.model.stages.step
        self.prompts: list[tuple[Tensor, ...]] = []
        self.said: list[int] = []
        self.tts = other(tiny1, prefill=self.first, step=self.next)

    def first(self, text: Tensor, speech: Tensor, cache: Any, *speaker: Tensor) -> Tensor:
        self.prompts.append((text, speech, *speaker))
        return self.prefill(text, speech, cache, *speaker)

    def next(self, token: Tensor, *rest: Any) -> Tensor:
        self.said.append(int(token))
        return self.step(token, *rest)


def test_the_sizes_and_weights_of_the_folder(tiny1_folder: Path) -> None:
    """The networks have the sizes that were described and the weights that were written."""
    settings, networks = build(ModelFolder.open(tiny1_folder))

    assert (settings.llm, settings.flow, settings.vocoder) == (model.LLM, model.FLOW, model.VOCODER)
    assert (settings.rates.sample_hz, settings.rates.samples_per_frame) == (22_050, 256)
    assert settings.rates.samples_per_token == 441
    for ours, written in (
        (networks.llm, model.language_model()),
        (networks.flow, model.flow()),
        (networks.vocoder, model.vocoder()),
    ):
        for key, value in written.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key], value, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("input_frame_rate: 50", "", "lacks the key 'input_frame_rate'"),
        ("input_frame_rate: 50", "input_frame_rate: often", "'input_frame_rate' of the model is"),
        ("sampling_rate: !ref <sample_rate>", "sampling_rate: 24000", "22050 samples a second in one part"),
        ("channels: [16, 16]", "channels: 16", "'channels' of the model is"),
        ("sampling_ratios: [1, 1, 1, 1]", "sampling_ratios: 4", "'sampling_ratios' of the model is"),
        ("text_token_size: ", "text_tokens: ", "lacks the key 'text_token_size'"),
    ],
)
def test_descriptions_that_cannot_be_used(folder: Path, old: str, new: str, words: str) -> None:
    """A setting missing or of the wrong kind, rates that do not fit: a ConfigError in one line."""
    edit(folder, old, new)

    with pytest.raises(ConfigError, match=words) as caught:
        build(ModelFolder.open(folder))
    assert "\n" not in str(caught.value)


def test_sizes_that_are_not_those_of_the_weights(folder: Path) -> None:
    """A description of other sizes than the tensors names the tensor, both shapes and the file."""
    edit(
        folder,
        "        linear_units: 48\n        num_blocks: 2",
        "        linear_units: 40\n        num_blocks: 2",
    )

    with pytest.raises(
        WeightsError, match=r"llm.pt: 'llm.encoders.0.feed_forward.w_1.weight' is \[48, 32\].*\[40, 32\]"
    ):
        build(ModelFolder.open(folder))


def test_an_official_folder_without_a_vocabulary(folder: Path) -> None:
    """Loading says at once what is missing and where it is to be had."""
    (folder / WHISPER).unlink()

    with pytest.raises(ModelNotFound, match="copy it there from whisper/assets"):
        cosyrt.load(folder, device="cpu")


@VOICES
@pytest.mark.parametrize("speed", [1.0, 1.3])
def test_the_stream_is_what_say_says(tiny1: Pipeline, voice: str | Voice, speed: float) -> None:
    """Chunks joined are, sample for sample, the audio of the same windows made at once."""
    parts = list(tiny1.stream(TEXT, voice=voice, speed=speed))
    whole = tiny1.say(TEXT, voice=voice, speed=speed, chunked=True)

    assert len(parts) >= 2
    assert {part.rate for part in parts} == {whole.rate} == {22_050}
    assert same(joined(iter(parts)), whole.samples)


def test_the_stream_speaks_the_same_tokens(tiny1: Pipeline) -> None:
    """However it is cut, the language model says the same; a window's frames are rounded down."""
    streamed, whole = Asked(tiny1), Asked(tiny1)
    parts = list(streamed.tts.stream(TEXT))
    audio = whole.tts.say(TEXT)

    assert streamed.said == whole.said
    assert 0 <= len(audio.samples) - sum(len(part.samples) for part in parts) <= 256 * (len(parts) - 1)


def test_joins_without_clicks(tiny1: Pipeline) -> None:
    """From sample to sample the sound moves no further at a join than elsewhere."""
    parts = [part.samples for part in tiny1.stream(TEXT, voice=PROMPTED)]
    moves = np.abs(np.diff(np.concatenate(parts)))
    joins = np.cumsum([len(part) for part in parts[:-1]])

    assert len(joins) >= 1
    assert moves[joins - 1].max() <= np.quantile(moves, 0.99)


def test_two_sessions_at_once_are_the_two_alone(tiny1: Pipeline) -> None:
    """Two streams that take turns, of other voices and seeds, give what each gives alone."""
    asked: list[dict[str, Any]] = [{"voice": "中文女", "seed": 1}, {"voice": PROMPTED, "seed": 2}]
    alone = [joined(tiny1.stream(TEXT, **each)) for each in asked]
    turns: list[list[Audio]] = [[], []]
    for both in zip_longest(*(tiny1.stream(TEXT, **each) for each in asked)):
        for given, part in zip(turns, both, strict=True):
            given += [part] if part is not None else []

    for one, at_once in zip(alone, turns, strict=True):
        assert same(one, joined(iter(at_once)), 1e-6)


def test_the_seed_decides(tiny1: Pipeline) -> None:
    """One seed gives one audio, bit for bit; another seed gives another."""
    once, again, another = (tiny1.say(SHORT, seed=seed).samples for seed in (3, 3, 4))

    assert np.array_equal(once, again)
    assert once.shape != another.shape or not same(once, another)


def test_closing_the_stream_stops_the_models(tiny1: Pipeline) -> None:
    """After the first chunk nothing more is asked of the language model."""
    counted = Counted(tiny1.model.stages.step)
    stream = other(tiny1, step=counted).stream(TEXT)
    next(stream)
    stream.close()

    assert counted.calls == 119  # the token of the prefill, then the others of hop and overlap


def test_a_preset_is_heard_alone(tiny1: Pipeline) -> None:
    """sft: no words and no speech before the text, the speaker vector with it."""
    asked = Asked(tiny1)
    asked.tts.say(SHORT)
    text, speech, speaker = asked.prompts[0]

    assert text[0].tolist() == tiny1.tokenizer.encode("Hello there.")
    assert speech.shape == (1, 0)
    assert np.array_equal(speaker[0].numpy(), tiny1.voices["中文女"].speaker)


def test_a_prompt_is_heard_with_its_words(tiny1: Pipeline) -> None:
    """zero-shot: transcript, text, speech of the prompt, and the speaker vector."""
    asked = Asked(tiny1)
    asked.tts.say(SHORT, voice=PROMPTED)
    text, speech, speaker = asked.prompts[0]

    assert tiny1.tokenizer.decode(text[0].tolist()) == "Good day." + "Hello there."
    assert np.array_equal(speech[0].numpy(), PROMPTED.speech_tokens)
    assert np.array_equal(speaker[0].numpy(), PROMPTED.speaker)


def test_cross_lingual_hears_the_speaker_alone(tiny1: Pipeline) -> None:
    """Neither words nor speech of the prompt; the speaker vector stays, as in upstream."""
    asked = Asked(tiny1)
    asked.tts.say(SHORT, voice=PROMPTED, cross_lingual=True)
    text, speech, speaker = asked.prompts[0]

    assert tiny1.tokenizer.decode(text[0].tolist()) == "Hello there."
    assert (speech.shape[1], len(speaker)) == (0, 1)


@VOICES
def test_an_instruction_is_heard_without_the_speaker(tiny1: Pipeline, voice: str | Voice) -> None:
    """instruct: the instruction before the text, nothing of the prompt, and no speaker vector."""
    asked = Asked(tiny1)
    asked.tts.say(SHORT, voice=voice, instruction="Theo, a rebel.")
    (text, speech), *_ = asked.prompts

    assert tiny1.tokenizer.decode(text[0].tolist()) == "Theo, a rebel.<|endofprompt|>Hello there."
    assert speech.shape == (1, 0)


def test_text_is_read_whole(tiny1: Pipeline) -> None:
    """CosyVoice 1 was never taught to speak while it reads: asking for it is refused."""
    with pytest.raises(UsageError, match="reads whole sentences"):
        next(tiny1.stream(TEXT, interleave=True))


def test_a_voice_from_a_recording(tiny1: Pipeline) -> None:
    """50 speech tokens and 86 mel frames a second, all of them; what is converted keeps its length."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(48_000 * 3).astype(np.float32)
    voice = tiny1.voice_from(Audio(noise, 48_000), "Good day.", as_recorded=True)
    said, converted = tiny1.say(SHORT, voice=voice), tiny1.convert(Audio(noise, 48_000), voice="英文男")

    assert (len(voice.speech_tokens), len(voice.mel)) == (150, 3 * 22_050 // 256)
    assert said.seconds > 0
    assert abs(converted.seconds - 3) < 0.02


def test_a_conversion_in_a_stream(tiny1: Pipeline) -> None:
    """The windows of a conversion, one by one, are those made at once."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 5).astype(np.float32)
    parts = list(tiny1.stream_conversion(Audio(noise, 16_000), voice=PROMPTED))

    assert len(parts) == 3
    assert same(
        joined(iter(parts)), tiny1.convert(Audio(noise, 16_000), voice=PROMPTED, chunked=True).samples
    )


@pytest.mark.slow
def test_the_25_hz_model(tmp_path: Path) -> None:
    """The description's token rate decides: tokens last twice as long and hops have half as many."""
    model.write_model(tmp_path / "model", token_hz=25)
    tts = cosyrt.load(tmp_path / "model", device="cpu")
    asked = Asked(tts)
    parts = list(asked.tts.stream(TEXT))

    assert tts.model.settings.chunking.first_boundary(0) == 50
    assert same(joined(iter(parts)), tts.say(TEXT, chunked=True).samples)
    assert abs(sum(part.seconds for part in parts) - (len(asked.said) + 1) / 25) < 0.1


def test_stored_references_of_upstream(folder: Path) -> None:
    """Entries of `add_zero_shot_spk`, whose transcript is text tokens, are voices; old fields are ignored."""
    tokenizer = cosyrt.load(folder, device="cpu").tokenizer
    entry = {
        "prompt_text": torch.tensor([tokenizer.encode("Good day.")]),
        "flow_prompt_speech_token": torch.from_numpy(PROMPTED.speech_tokens.copy())[None],
        "prompt_speech_feat": torch.from_numpy(PROMPTED.mel.copy())[None],
        "flow_embedding": torch.from_numpy(PROMPTED.speaker.copy())[None],
    }
    old = {
        "embedding": torch.ones(1, 192),
        "speech_feat": torch.zeros(1, 7, 80),
        "speech_token": torch.ones(1, 4),
    }
    torch.save({"ada": entry, "old": old}, folder / "spk2info.pt")
    voices = cosyrt.load(folder, device="cpu").voices

    assert (voices["ada"].text, len(voices["ada"].mel)) == ("Good day.", 53)
    assert (voices["old"].text, len(voices["old"].mel)) == ("", 0)
