"""`AutoModel`, `CosyVoice`, `CosyVoice2` and `CosyVoice3` as upstream has them (cosyvoice/cli/cosyvoice.py).

Names, order and defaults of all arguments are upstream's. docs/from_upstream.md lists what is different.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.load import load
from cosyrt.audio import Audio, Source
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.compat.flags import Flags
from cosyrt.engine.prompts import transcript_tokens
from cosyrt.engine.request import Text
from cosyrt.errors import UsageError
from cosyrt.families import COSYVOICE1, COSYVOICE2, COSYVOICE3, FAMILIES, Family
from cosyrt.voice.spk2info import spk2info_path, write_voices
from cosyrt.voice.voice import Voice

Speech = Generator[dict[str, Tensor], None, None]  # {"tts_speech": float32 [1, N]} each
Sound = Audio | Source | Tensor | np.ndarray  # arrays: [1, N] or [N] at 16 kHz, as older scripts pass

ARRAY_HZ = 16_000
VOICES_KEPT = 8


class CosyVoice:
    """CosyVoice 1, and what all families have in common.

    Raises:
        ModelError: the folder cannot be used. ArchiveError: `load_jit` without archives that fit.
        UsageError, MissingDependency: a folder of another family; a flag that cannot be honoured.
    """

    family = COSYVOICE1

    def __init__(
        self,
        model_dir: str,
        load_jit: bool = False,
        load_trt: bool = False,
        fp16: bool = False,
        trt_concurrent: int = 1,
    ) -> None:
        self._open(
            model_dir, Flags(load_jit=load_jit, load_trt=load_trt, fp16=fp16, trt_concurrent=trt_concurrent)
        )

    def _open(self, model_dir: str, flags: Flags) -> None:
        family = FAMILIES[ModelFolder.open(model_dir).family]
        if family != self.family:
            right = _class_of(family).__name__
            raise UsageError(
                f"{model_dir} is a {family.name} model; open it with {right} or AutoModel, "
                f"not with {type(self).__name__}"
            )
        self.model_dir, self.fp16 = model_dir, flags.fp16
        self.tts = load(model_dir, accelerate=flags.accelerate)
        self.sample_rate = self.tts.sample_rate
        # A prompt's voice is made once, not for each call and each piece of its text.
        self._voice_of_file = lru_cache(VOICES_KEPT)(self._encode_file)

    def list_available_spks(self) -> list[str]:
        """Names of the voices in the folder, and of those added since."""
        return list(self.tts.voices)

    def add_zero_shot_spk(self, prompt_text: str, prompt_wav: Sound, zero_shot_spk_id: str) -> bool:
        """Keep the voice of a recording under a name."""
        if not zero_shot_spk_id:
            raise UsageError("zero_shot_spk_id is empty; give the voice a name")
        self.tts.voices[zero_shot_spk_id] = self.tts.voice_from(
            _audio(prompt_wav), prompt_text, zero_shot_spk_id
        )
        return True

    def save_spkinfo(self) -> None:
        """Write all voices into the folder, in a file that upstream reads as well."""
        tts = self.tts
        tokens = partial(transcript_tokens, encode=tts.tokenizer.encode)
        write_voices(spk2info_path(tts.model.folder), tts.voices, tokens)

    def inference_sft(
        self,
        tts_text: Text,
        spk_id: str,
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in a voice of the folder."""
        yield from self._speech(tts_text, self.tts.voice(spk_id), stream, speed, text_frontend)

    def inference_zero_shot(
        self,
        tts_text: Text,
        prompt_text: str,
        prompt_wav: Sound,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text as the recording would go on; a kept voice has its own transcript."""
        voice = self._prompt(prompt_wav, prompt_text, zero_shot_spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend)

    def inference_cross_lingual(
        self,
        tts_text: Text,
        prompt_wav: Sound,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in the recording's voice, without its words."""
        voice = self._prompt(prompt_wav, "", zero_shot_spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend, cross_lingual=True)

    def inference_instruct(
        self,
        tts_text: Text,
        spk_id: str,
        instruct_text: str,
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in a voice of the folder, spoken as instructed: CosyVoice 1 alone."""
        if self.family != COSYVOICE1:
            name = type(self).__name__
            raise UsageError(f"inference_instruct is of CosyVoice 1; {name} has inference_instruct2")
        voice = self.tts.voice(spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend, instruction=instruct_text)

    def inference_vc(
        self, source_wav: Sound, prompt_wav: Sound, stream: bool = False, speed: float = 1.0
    ) -> Speech:
        """Say what one recording says in the voice of another."""
        voice, source = self._prompt(prompt_wav, "", ""), _audio(source_wav)
        if stream:
            yield from _tensors(self.tts.stream_conversion(source, voice=voice, speed=speed, seed=_seed()))
        else:
            yield _tensor(self.tts.convert(source, voice=voice, speed=speed, seed=_seed()))

    def _speech(
        self, text: Text, voice: Voice, stream: bool, speed: float, text_frontend: bool, **manner: Any
    ) -> Speech:
        yield from _tensors(
            self.tts.stream(
                text,
                voice=voice,
                speed=speed,
                seed=_seed(),
                as_written=not text_frontend,
                interleave=not isinstance(text, str) and self.tts.interleaves,
                by_piece=not stream,
                **manner,
            )
        )

    def _prompt(self, prompt_wav: Sound, prompt_text: str, name: str) -> Voice:
        if name:
            return self.tts.voice(name)
        if isinstance(prompt_wav, (str, Path)) and os.path.exists(prompt_wav):
            return self._voice_of_file(str(prompt_wav), os.stat(prompt_wav).st_mtime_ns, prompt_text)
        return self.tts.voice_from(_audio(prompt_wav), prompt_text)

    def _encode_file(self, path: str, changed_ns: int, text: str) -> Voice:
        return self.tts.voice_from(path, text)


class CosyVoice2(CosyVoice):
    """CosyVoice 2. Raises as `CosyVoice` does."""

    family = COSYVOICE2

    def __init__(
        self,
        model_dir: str,
        load_jit: bool = False,
        load_trt: bool = False,
        load_vllm: bool = False,
        fp16: bool = False,
        trt_concurrent: int = 1,
    ) -> None:
        flags = Flags(
            load_jit=load_jit,
            load_trt=load_trt,
            load_vllm=load_vllm,
            fp16=fp16,
            trt_concurrent=trt_concurrent,
        )
        self._open(model_dir, flags)

    def inference_instruct2(
        self,
        tts_text: Text,
        instruct_text: str,
        prompt_wav: Sound,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in the voice of the recording, or in a kept one, spoken as instructed."""
        voice = self._prompt(prompt_wav, "", zero_shot_spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend, instruction=instruct_text)


class CosyVoice3(CosyVoice2):
    """CosyVoice 3. Raises as `CosyVoice` does."""

    family = COSYVOICE3

    def __init__(
        self,
        model_dir: str,
        load_trt: bool = False,
        load_vllm: bool = False,
        fp16: bool = False,
        trt_concurrent: int = 1,
    ) -> None:
        flags = Flags(load_trt=load_trt, load_vllm=load_vllm, fp16=fp16, trt_concurrent=trt_concurrent)
        self._open(model_dir, flags)


def AutoModel(**kwargs: Any) -> CosyVoice:
    """The class that a folder needs, by its description; takes `model_dir` and the flags of that class.

    Raises:
        ModelError: the folder cannot be used.
        UsageError: no `model_dir`, or `load_jit` for a family that has no archives.
    """
    if "model_dir" not in kwargs:
        raise UsageError("AutoModel needs the folder: AutoModel(model_dir='…')")
    family = FAMILIES[ModelFolder.open(kwargs["model_dir"]).family]
    if family.instead_of_archives and kwargs.pop("load_jit", False):
        raise UsageError(f"{family.title} has no part that TorchScript would make faster; leave load_jit out")
    return _class_of(family)(**kwargs)


def _class_of(family: Family) -> type[CosyVoice]:
    """The class that upstream has for a family."""
    classes = {kind.family: kind for kind in (CosyVoice, CosyVoice2, CosyVoice3)}
    if family not in classes:
        raise UsageError(f"upstream's API has no class for {family.title} yet; use cosyrt.load")
    return classes[family]


def _seed() -> int:
    """From torch's own generator: each call speaks anew, and `torch.manual_seed` decides, as upstream."""
    return int(torch.randint(2**32, ()))


def _audio(sound: Sound) -> Audio:
    if isinstance(sound, Audio):
        return sound
    if isinstance(sound, Tensor | np.ndarray):
        return Audio(sound, ARRAY_HZ)  # type: ignore[arg-type]
    return Audio.read(sound)


def _tensor(audio: Audio) -> dict[str, Tensor]:
    return {"tts_speech": torch.from_numpy(audio.samples)[None]}


def _tensors(speech: Generator[Audio, None, None]) -> Speech:
    with closing(speech):
        for audio in speech:
            yield _tensor(audio)
