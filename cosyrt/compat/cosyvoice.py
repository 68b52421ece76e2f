"""`AutoModel`, `CosyVoice`, `CosyVoice2` and `CosyVoice3` as upstream has them (cosyvoice/cli/cosyvoice.py).

Names, order and defaults of all arguments are upstream's. docs/from_upstream.md lists what is different.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from cosyrt.accel.load import load
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.compat.flags import Flags
from cosyrt.compat.frontend import Frontend
from cosyrt.compat.local import local_folder
from cosyrt.compat.model import SpeechModel
from cosyrt.compat.older import accepts_older_flags, understands_older_calls, warn_once
from cosyrt.compat.recording import Recording, audio_of
from cosyrt.compat.speech import Speech, seed_of_torch, speech_of
from cosyrt.engine.prompts import transcript_tokens
from cosyrt.engine.request import Request, SpeakingStyle, Text
from cosyrt.errors import UsageError
from cosyrt.families import COSYVOICE1, COSYVOICE2, COSYVOICE3, FAMILIES, Family
from cosyrt.text.normalize import is_speakable
from cosyrt.voice.spk2info import OFFICIAL, spk2info_path, write_voices
from cosyrt.voice.voice import Voice


class CosyVoice:
    """CosyVoice 1, and what all families have in common.

    Raises:
        ModelError: the folder cannot be used. ArchiveError: `load_jit` without archives that fit.
        UsageError, MissingDependency: a folder of another family; a flag that cannot be honoured.
    """

    family = COSYVOICE1
    device_asked: str | None = None  # a torch device, which upstream's constructors do not take
    weights_asked: str = ""  # `rl` for `llm.rl.pt`, which upstream leaves to renaming files

    @accepts_older_flags
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
        folder = ModelFolder.open(
            local_folder(model_dir), family=self.family.name, variant=self.weights_asked
        )
        family = FAMILIES[folder.family]
        if family != self.family:
            right = _class_of(family).__name__
            raise UsageError(
                f"{model_dir} is a {family.name} model; open it with {right} or AutoModel, "
                f"not with {type(self).__name__}"
            )
        self.model_dir, self.fp16 = model_dir, flags.fp16
        self.tts = load(folder, device=self.device_asked, accelerate=flags.acceleration)
        self.sample_rate = self.tts.sample_rate
        self.frontend = Frontend(self.tts)
        self.model = SpeechModel(self.tts, flags.on(self.tts.model.device).fp16)

    def list_available_spks(self) -> list[str]:
        """Names of the voices in the folder, and of those added since."""
        return list(self.frontend.spk2info)

    def list_avaliable_spks(self) -> list[str]:
        """Names of the voices, by a name that upstream's method had in 2024."""
        warn_once("list_avaliable_spks is list_available_spks today")
        return self.list_available_spks()

    @understands_older_calls
    def add_zero_shot_spk(self, prompt_text: str, prompt_wav: Recording, zero_shot_spk_id: str) -> bool:
        """Keep the voice of a recording under a name."""
        if not zero_shot_spk_id:
            raise UsageError("zero_shot_spk_id is empty; give the voice a name")
        voice = self.frontend.voice_of(prompt_wav, prompt_text)
        self.tts.voices[zero_shot_spk_id] = replace(voice, name=zero_shot_spk_id)
        return True

    def save_spkinfo(self) -> None:
        """Write all voices into the folder: `spk2info.pt`, which upstream reads as well, and our own file."""
        folder, tokens = self.tts.model.folder, partial(transcript_tokens, encode=self.tts.tokenizer.encode)
        voices = {name: self.frontend.spk2info.voice(name) for name in self.list_available_spks()}
        for path in {folder.path / OFFICIAL, spk2info_path(folder)}:
            write_voices(path, voices, tokens)

    @understands_older_calls
    def inference_sft(
        self,
        tts_text: Text,
        spk_id: str,
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in a voice of the folder."""
        yield from self._speech(tts_text, self.frontend.spk2info.voice(spk_id), stream, speed, text_frontend)

    @understands_older_calls
    def inference_zero_shot(
        self,
        tts_text: Text,
        prompt_text: str,
        prompt_wav: Recording,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text as the recording would go on; a kept voice has its own transcript."""
        voice = self.frontend.voice_of(prompt_wav, prompt_text, zero_shot_spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend)

    @understands_older_calls
    def inference_cross_lingual(
        self,
        tts_text: Text,
        prompt_wav: Recording,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in the recording's voice, without its words."""
        voice = self.frontend.voice_of(prompt_wav, "", zero_shot_spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend, cross_lingual=True)

    @understands_older_calls
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
        voice = self.frontend.spk2info.voice(spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend, instruction=instruct_text)

    @understands_older_calls
    def inference_vc(
        self, source_wav: Recording, prompt_wav: Recording, stream: bool = False, speed: float = 1.0
    ) -> Speech:
        """Say what one recording says in the voice of another."""
        voice, recording = self.frontend.voice_of(prompt_wav, ""), audio_of(source_wav, "source_wav")
        yield from self._spoken(
            Request(recording=recording, voice=voice, speed=speed, seed=seed_of_torch(), streamed=stream)
        )

    def _speech(
        self, text: Text, voice: Voice, stream: bool, speed: float, text_frontend: bool, **style: Any
    ) -> Speech:
        if isinstance(text, str) and not is_speakable(text):
            return  # as upstream: marks alone have no pieces
        yield from self._spoken(
            Request(
                text=text,
                voice=voice,
                style=SpeakingStyle(**style),
                speed=speed,
                seed=seed_of_torch(),
                as_written=not text_frontend,
                interleave=not isinstance(text, str) and self.tts.interleaves,
                streamed=stream,
            )
        )

    def _spoken(self, request: Request) -> Speech:
        yield from speech_of(self.tts.run(request))


class CosyVoice2(CosyVoice):
    """CosyVoice 2. Raises as `CosyVoice` does."""

    family = COSYVOICE2

    @accepts_older_flags
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

    @understands_older_calls
    def inference_instruct2(
        self,
        tts_text: Text,
        instruct_text: str,
        prompt_wav: Recording,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Speech:
        """The text in the voice of the recording, or in a kept one, spoken as instructed."""
        voice = self.frontend.voice_of(prompt_wav, "", zero_shot_spk_id)
        yield from self._speech(tts_text, voice, stream, speed, text_frontend, instruction=instruct_text)


class CosyVoice3(CosyVoice2):
    """CosyVoice 3. Raises as `CosyVoice` does."""

    family = COSYVOICE3

    @accepts_older_flags
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
    family = FAMILIES[ModelFolder.described(local_folder(kwargs["model_dir"]))[0].family]
    if family.instead_of_archives and kwargs.pop("load_jit", False):
        raise UsageError(f"{family.title} has no part that TorchScript would make faster; leave load_jit out")
    return _class_of(family)(**kwargs)


def _class_of(family: Family) -> type[CosyVoice]:
    """The class that upstream has for a family."""
    classes = {kind.family: kind for kind in (CosyVoice, CosyVoice2, CosyVoice3)}
    if family not in classes:
        raise UsageError(f"upstream's API has no class for {family.title} yet; use cosyrt.load")
    return classes[family]
