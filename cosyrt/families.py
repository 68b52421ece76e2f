"""The facts that are special to each family of models. A fourth begins here; docs/engine.md says how.

A family is told by the class of the language model in a folder's description. What else is its own in making
speech stands in one file of `engine/`, which is named here and imported when such a folder is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cosyrt.units import MelSpec

SYSTEM_PROMPT = "You are a helpful assistant."


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The facts of one family that no model folder says."""

    name: str  # in voice files, plans and messages; the official description is `{name}.yaml`
    title: str  # for people
    described_as: str  # upstream's class of the language model in a description
    module: str  # of `cosyrt.engine`, which reads such a folder
    # The kinds of networks, for backends that can run some and not others.
    language_model: Literal["transformer", "qwen2"]
    flow: Literal["regulated", "unet", "dit"]
    vocoder: Literal["hift", "causal hift"]
    # Text.
    text_tokenizer: Literal["ranked", "qwen2"]
    sound_tags: bool = False  # single sounds in brackets are text tokens: [AA1], [ǐ]
    # Prompts.
    system_prompt: str = ""  # stands before everything else, closed by the mark that ends a prompt
    end_of_prompt_is_a_token: bool = True  # else the mark is several tokens, as it is written
    instruction_with_speaker: bool = True  # the language model is given the speaker beside an instruction
    # Voices.
    speech_tokenizer: str  # the file of the ONNX model
    mel: MelSpec  # of the reference audio, unless the description has a `feat_extractor`
    prompt_frames_per_token: int | None = 2  # mel frames of a prompt's token; None: of no fixed number
    # TorchScript.
    instead_of_archives: str = ""  # why no part is worth an archive and what helps; empty: there are archives


COSYVOICE1 = Family(
    name="cosyvoice",
    title="CosyVoice 1",
    described_as="TransformerLM",
    module="cosyvoice1",
    language_model="transformer",
    flow="regulated",
    vocoder="hift",
    text_tokenizer="ranked",
    end_of_prompt_is_a_token=False,
    instruction_with_speaker=False,  # the speaker vector carries the voice's own style
    speech_tokenizer="speech_tokenizer_v1.onnx",
    mel=MelSpec(sample_hz=22_050, n_fft=1_024, win=1_024, hop=256),
    prompt_frames_per_token=None,
)
COSYVOICE2 = Family(
    name="cosyvoice2",
    title="CosyVoice 2",
    described_as="Qwen2LM",
    module="cosyvoice2",
    language_model="qwen2",
    flow="unet",
    vocoder="hift",
    text_tokenizer="qwen2",
    speech_tokenizer="speech_tokenizer_v2.onnx",
    mel=MelSpec(),
)
COSYVOICE3 = Family(
    name="cosyvoice3",
    title="CosyVoice 3",
    described_as="CosyVoice3LM",
    module="cosyvoice3",
    language_model="qwen2",
    flow="dit",
    vocoder="causal hift",
    text_tokenizer="qwen2",
    sound_tags=True,
    system_prompt=SYSTEM_PROMPT,
    speech_tokenizer="speech_tokenizer_v3.onnx",
    mel=MelSpec(fmax=None),
    instead_of_archives=(
        "CosyVoice 3 has no encoder to export: its flow looks ahead with two convolutions. Its time goes "
        "into the language model (half or quantised weights, CUDA graphs) and the ten steps of the DiT (half "
        "weights, CUDA graphs, TensorRT or OpenVINO)"
    ),
)
FAMILIES: dict[str, Family] = {family.name: family for family in (COSYVOICE1, COSYVOICE2, COSYVOICE3)}
