"""CosyVoice 3: its folder, and what is its own in the engine."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.hyperyaml import read_description
from cosyrt.engine.cosyvoice3 import noise_state, read_settings
from cosyrt.engine.decoding import LanguageModelInput, complete
from cosyrt.engine.mel_stream import Condition, MelStream
from cosyrt.engine.model import build
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.speech_tokens import speech_tokens
from cosyrt.engine.stages import eager
from cosyrt.engine.token_stream import SilenceFilter
from cosyrt.engine.vocoder_stream import CausalVocoderStream
from cosyrt.errors import ConfigError
from cosyrt.models.flow import DiTFlow, DiTFlowConfig
from cosyrt.models.llm import LanguageModelConfig
from cosyrt.models.source import CausalPitchPredictor
from cosyrt.models.vocoder import VocoderConfig
from tests import tiny3 as model
from tests.engine.pipelines import TEXT, joined, prompted, same, terse
from tests.engine.test_mel_stream import in_parts, speech, voice

PUBLISHED = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
}
TAGGED = "Hello [breath] there, [j][ǐ] friends."


def test_the_sizes_and_weights_of_the_folder(tiny3_folder: Path) -> None:
    """The networks have the sizes that were described and the weights that were written."""
    settings, networks = build(ModelFolder.open(tiny3_folder))

    assert (settings.llm, settings.flow, settings.vocoder) == (model.LLM, model.FLOW, model.VOCODER)
    for ours, written in (
        (networks.llm, model.language_model()),
        (networks.flow, model.flow()),
        (networks.vocoder, model.vocoder()),
    ):
        for key, value in written.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[key].float(), value, atol=1e-6, rtol=1e-6)


def test_the_pitch_is_computed_in_float64(tiny3_folder: Path) -> None:
    """The pitch is computed in float64, as upstream does: the phase of the source adds up its errors."""
    _, networks = build(ModelFolder.open(tiny3_folder))

    assert {weight.dtype for weight in networks.vocoder.f0_predictor.parameters()} == {torch.float64}


def test_the_description_of_the_golden_set() -> None:
    """Upstream's own dialect is understood: marks among the speech tokens, chunks of 25, 4 frames ahead."""
    path = Path(__file__).parent.parent / "golden" / "cosyvoice3-small.yaml"
    settings = read_settings(read_description(path), PUBLISHED)

    assert settings.llm == LanguageModelConfig(speech_vocabulary=120, shared_marks=True)
    assert (settings.flow.encoder.chunk_tokens, settings.flow.encoder.lookahead_tokens) == (25, 3)
    assert (settings.vocoder.lookahead_frames, settings.vocoder.pitch_channels) == (4, 32)
    assert (settings.decoding.end_token, settings.decoding.fill_token) == (120, 123)


def test_a_vocoder_that_is_not_causal(tiny3_folder: Path, tmp_path: Path) -> None:
    """Without its look-ahead the vocoder is of another family: a ConfigError that names the setting."""
    folder = Path(shutil.copytree(tiny3_folder, tmp_path / "model"))
    path = folder / "cosyvoice3.yaml"
    path.write_text(path.read_text().replace("    conv_pre_look_right: 4\n", ""))

    with pytest.raises(ConfigError, match="conv_pre_look_right"):
        build(ModelFolder.open(folder))


def test_the_noise_is_upstreams() -> None:
    """Replaying the draws gives the numbers that making upstream's modules in its order leads to."""
    flow, vocoder = model.FLOW, model.VOCODER
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.randn(1, 80, 15_000)
        nn.Embedding(flow.speech_vocabulary, 80)
        nn.Linear(192, 80)
        CausalPitchPredictor(80, vocoder.pitch_channels)
        torch.rand(1, vocoder.harmonics)
        noise = torch.rand(1, 4 * 480, vocoder.harmonics)
    generator = torch.Generator().set_state(noise_state(flow, vocoder))

    assert torch.equal(torch.rand(1, 4 * 480, vocoder.harmonics, generator=generator), noise)


def test_the_noise_of_the_published_model() -> None:
    """The first numbers that upstream's CosyVoice 3 hears, at full size (torch 2.13)."""
    state = noise_state(DiTFlowConfig(), VocoderConfig(lookahead_frames=4))
    first = torch.rand(2, 9, generator=torch.Generator().set_state(state))

    torch.testing.assert_close(
        first[:, :3],
        torch.tensor([[0.9228, 0.4774, 0.8271], [0.9203, 0.2437, 0.7897]]),
        atol=1e-4,
        rtol=0,
    )


def test_every_utterance_has_the_same_noise(tiny3: Pipeline) -> None:
    """The sound of given speech tokens depends on no seed, as upstream's."""
    mel = torch.randn(1, 80, 9, generator=torch.Generator().manual_seed(0))
    streams = [
        tiny3.model.settings.vocoder_stream(
            tiny3.model.stages, tiny3.model.settings.vocoder, torch.Generator().manual_seed(seed)
        )
        for seed in (1, 2)
    ]
    one, other = (stream.push(mel, True) for stream in streams)
    silent = CausalVocoderStream(tiny3.model.stages, tiny3.model.settings.vocoder, None)

    assert torch.equal(one, other)
    assert (silent.push(mel, True) - one).abs().max() > 1e-4


def test_the_least_length_masks_the_end_and_not_the_start(tiny3_folder: Path) -> None:
    """Upstream forbids the start mark (6561) while speech is too short, and lets the end (6562) come."""
    settings, networks = build(ModelFolder.open(tiny3_folder))
    end = settings.llm.speech_vocabulary + 1
    wanted = torch.full((1, networks.llm.llm_decoder.out_features), -50.0)
    wanted[0, end] = 0.0
    stages = eager(networks)._replace(prefill=lambda *_: wanted, step=lambda *_: wanted)
    decoder = complete(settings.decoding, LanguageModelInput([1, 2, 3], [], []))
    spoken = list(speech_tokens(stages, decoder, torch.Generator(), torch.device("cpu")))

    assert len(spoken) == model.LEAST * 3
    assert max(spoken) < settings.llm.speech_vocabulary


def test_a_long_silence_is_cut_short() -> None:
    """Five silent tokens of a run are kept, a sound starts a new count; the language model heard them all."""
    folder = Path(__file__).parent.parent / "golden" / "cosyvoice3-small.yaml"
    config = read_settings(read_description(folder), PUBLISHED).decoding
    tokens = [7, *[1, 28] * 4, 7, 2, 2, 2323, 2, 2, 2]

    silence = SilenceFilter(config)

    assert [token for token in tokens if silence.passes(token)] == [7, 1, 28, 1, 28, 1, 7, 2, 2, 2323, 2, 2]


@pytest.mark.parametrize("prompt", [0, 31])
def test_a_stream_is_the_whole(tiny3: Pipeline, prompt: int) -> None:
    """Streamed samples are those of `say(chunked=True)`, one for one, over several chunks."""
    random = np.random.default_rng(2)
    who = prompted(
        family="cosyvoice3",
        speech_tokens=random.integers(0, tiny3.model.settings.flow.speech_vocabulary, prompt),
        mel=random.standard_normal((2 * prompt, 80)),
    )
    tts = terse(tiny3, 8)
    parts = list(tts.stream(TEXT, voice=who))

    assert len(parts) >= 3
    assert same(joined(iter(parts)), tts.say(TEXT, voice=who, chunked=True).samples, 1e-5)


@pytest.mark.parametrize("cache_bytes", [0, 500_000, sys.maxsize])
@pytest.mark.parametrize("prompt", [0, 40])
def test_the_mel_of_a_stream_is_one_masked_pass(tiny3: Pipeline, prompt: int, cache_bytes: int) -> None:
    """From keys, values and tails of each Euler step, or past the budget computed again: the same frames."""
    condition = Condition.of(voice(prompt), tiny3.model.stages, torch.device("cpu"))
    tokens = speech(90)

    def mels(cache_bytes: int) -> MelStream:
        condition.cache_bytes = cache_bytes
        d = tiny3.model.settings
        return MelStream(tiny3.model.stages, d.flow, condition, chunked=True, rates=d.rates)

    parts = in_parts(mels(cache_bytes), tokens)
    assert len(parts) >= 3
    torch.testing.assert_close(
        torch.cat(parts, dim=2), mels(sys.maxsize).until(tokens, None), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("speed", [0.7, 1.5])
def test_a_stream_at_another_speed(tiny3: Pipeline, speed: float) -> None:
    """A stream equals the whole at another pace, too."""
    who = prompted(family="cosyvoice3")
    parts = tiny3.stream(TEXT, voice=who, speed=speed)

    assert same(joined(parts), tiny3.say(TEXT, voice=who, speed=speed, chunked=True).samples, 1e-5)


def test_tags_are_single_tokens(tiny3: Pipeline) -> None:
    """Breath and pinyin in brackets reach the model whole."""
    numbers = tiny3.tokenizer.encode(TAGGED)

    assert tiny3.tokenizer.decode(numbers) == TAGGED
    assert len(numbers) == len("Hello  there,  friends.") + 3
    assert tiny3.say(TAGGED, voice="ann").seconds > 0


def test_the_end_of_the_prompt_is_there_in_every_mode(tiny3: Pipeline) -> None:
    """Upstream asserts that `<|endofprompt|>` is in the text; here it is put there, once, in every mode."""
    asked = []

    def prefill(text: torch.Tensor, *rest: object) -> torch.Tensor:
        asked.append(text[0].tolist())
        return tiny3.model.stages.prefill(text, *rest)  # type: ignore[arg-type]

    tts = Pipeline(replace(tiny3.model, stages=tiny3.model.stages._replace(prefill=prefill)))
    who = prompted(family="cosyvoice3")
    tts.say("Hello.", voice="ann")
    tts.say("Hello.", voice=who)
    tts.say("Hello.", voice=who, cross_lingual=True)
    tts.say("Hello.", voice=who, instruction="Speak softly.")
    tts.say("You are a helpful assistant.<|endofprompt|>Hello.", voice=who)
    (mark,) = tiny3.tokenizer.encode("<|endofprompt|>")

    assert [numbers.count(mark) for numbers in asked] == [1] * 5


def test_the_flow_is_the_dit(tiny3_folder: Path) -> None:
    """The token encoder is the look-ahead alone."""
    _, networks = build(ModelFolder.open(tiny3_folder))

    assert isinstance(networks.flow, DiTFlow)
    assert [name for name, _ in networks.flow.named_children()] == [
        "input_embedding",
        "spk_embed_affine_layer",
        "pre_lookahead_layer",
        "decoder",
    ]
