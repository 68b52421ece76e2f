"""Upstream's `frontend` (cosyvoice/cli/frontend.py) on our engine: text, recordings and kept voices → inputs.

The `frontend_…` functions give what `model.tts(**inputs)` takes, in upstream's fields, shapes and types.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosyrt.arguments import check_kind
from cosyrt.compat.recording import Recording, audio_of, told_apart
from cosyrt.compat.speakers import Entry, SpeakerTable
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.prompts import prompt_of
from cosyrt.engine.request import Request, SpeakingStyle
from cosyrt.errors import TextError
from cosyrt.mel import log_mel
from cosyrt.text.normalize import normalize
from cosyrt.text.ranked_tokenizer import RankedTokenizer
from cosyrt.text.tokenizer import TextTokenizer
from cosyrt.voice.conversion import recording_tokens
from cosyrt.voice.reference import ENCODER_HZ, mel_spec, speaker_vector
from cosyrt.voice.voice import Voice

VOICES_KEPT = 8  # of prompts: each is encoded once, not for every call and every piece of its text


class Tokenizer:
    """The text tokenizer of a model, called as upstream's are."""

    def __init__(self, tokenizer: TextTokenizer | RankedTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str, **ignored: object) -> list[int]:
        """Token ids of a text; tags are tokens, whatever `allowed_special` says."""
        return self._tokenizer.encode(text)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of token ids."""
        return self._tokenizer.decode([int(token) for token in tokens])


class Frontend:
    """What upstream's scripts reach for between their text and their model."""

    allowed_special = "all"

    def __init__(self, tts: Pipeline) -> None:
        self._tts = tts
        self._speakers = SpeakerTable(tts)
        self.tokenizer = Tokenizer(tts.tokenizer)
        self._made: dict[tuple[str, ...], Voice] = {}  # in the order of their use
        self._lock = Lock()

    @property
    def device(self) -> torch.device:
        """Where the tensors lie that this gives."""
        return self._tts.model.device

    @property
    def spk2info(self) -> SpeakerTable:
        """The voices of the model, by name; it may be assigned, and written into."""
        return self._speakers

    @spk2info.setter
    def spk2info(self, entries: Mapping[str, Entry]) -> None:
        if entries is not self._speakers:
            self._speakers.replace(entries)

    def text_normalize(
        self, text: Any, split: bool = True, text_frontend: bool = True
    ) -> Any:  # list[str] with `split`, else str; a generator stays in its list
        """Text as it is spoken, in pieces with `split`; text with a tag `<|…|>` is left as it is."""
        if isinstance(text, Generator):
            return [text]
        check_kind(text, str, "the text", "give a str, or a generator of them")
        if not text_frontend or not text or ("<|" in text and "|>" in text):
            return [text] if split else text
        try:
            return (
                [piece.text for piece in self._tts.read(Request(text=text)) if piece.text]
                if split
                else normalize(text)
            )
        except TextError:  # marks alone: there is nothing to speak
            return [] if split else text.strip()

    def voice_of(self, prompt_wav: Recording, prompt_text: str, name: str = "") -> Voice:
        """The voice that a call asks for: a kept one by its name, else that of a recording.

        Raises:
            UsageError: neither is given, or of a kind that can be read. VoiceNotFound: no voice of that name.
            AudioError: the recording cannot be read or is unfit.
        """
        if name:
            return self._speakers.voice(name)
        check_kind(prompt_text, str, "prompt_text", "give the words of the recording, or use cross_lingual")
        key, recording = told_apart(prompt_wav, "prompt_wav")
        with self._lock:
            voice = self._made.pop((prompt_text, *key), None)
        if voice is None:
            voice = self._tts.voice_from(recording, prompt_text, as_recorded=True)
        with self._lock:
            self._made[prompt_text, *key] = voice
            while len(self._made) > VOICES_KEPT:
                del self._made[next(iter(self._made))]
        return voice

    def frontend_sft(self, tts_text: Any, spk_id: str) -> Entry:
        """Inputs of a text in a kept voice, of which the timbre alone is taken."""
        speaker = self._tensor(self._speakers.voice(spk_id).speaker[None])
        return {**self._text(tts_text), "llm_embedding": speaker, "flow_embedding": speaker}

    def frontend_zero_shot(
        self,
        tts_text: Any,
        prompt_text: str,
        prompt_wav: Recording,
        resample_rate: int | None = None,
        zero_shot_spk_id: str = "",
    ) -> Entry:
        """Inputs of a text spoken as the recording would go on, or in a kept voice."""
        return self._inputs(self.voice_of(prompt_wav, prompt_text, zero_shot_spk_id), tts_text)

    def frontend_cross_lingual(
        self,
        tts_text: Any,
        prompt_wav: Recording,
        resample_rate: int | None = None,
        zero_shot_spk_id: str = "",
    ) -> Entry:
        """Inputs of a text in the recording's voice, without its words."""
        inputs = self._inputs(self.voice_of(prompt_wav, "", zero_shot_spk_id), tts_text)
        return without(inputs, "prompt_text", "llm_prompt_speech_token")

    def frontend_instruct(self, tts_text: Any, spk_id: str, instruct_text: str) -> Entry:
        """Inputs of a text in a kept voice, spoken as instructed, for CosyVoice 1."""
        inputs = without(self.frontend_sft(tts_text, spk_id), "llm_embedding")
        return inputs | self._instruction(self._speakers.voice(spk_id), instruct_text)

    def frontend_instruct2(
        self,
        tts_text: Any,
        instruct_text: str,
        prompt_wav: Recording,
        resample_rate: int | None = None,
        zero_shot_spk_id: str = "",
    ) -> Entry:
        """Inputs of a text in the recording's voice, or a kept one, spoken as instructed."""
        voice = self.voice_of(prompt_wav, "", zero_shot_spk_id)
        inputs = without(self._inputs(voice, tts_text), "llm_prompt_speech_token")
        return inputs | self._instruction(voice, instruct_text)

    def frontend_vc(
        self, source_speech_16k: Recording, prompt_wav: Recording, resample_rate: int | None = None
    ) -> Entry:
        """Inputs of a recording that is to be said in the voice of another."""
        tokens, length = self._extract_speech_token(source_speech_16k)
        prompt = self.frontend_cross_lingual("", prompt_wav, resample_rate)
        inputs = without(prompt, "text", "llm_embedding")
        return {"source_speech_token": tokens, "source_speech_token_len": length, **inputs}

    def _inputs(self, voice: Voice, tts_text: Any) -> Entry:
        entry = self._speakers.entry_of(voice)
        if len(voice.speech_tokens):
            entry = without(entry, "embedding", "text", "language")
        else:
            entry = {"llm_embedding": entry["embedding"], "flow_embedding": entry["embedding"]}
        return entry | self._text(tts_text)

    def _text(self, text: Any) -> Entry:
        tokens, length = self._extract_text_token(text)
        return {"text": tokens, "text_len": length}

    def _instruction(self, voice: Voice, instruction: str) -> Entry:
        prompt = prompt_of(voice, SpeakingStyle(instruction=instruction), self._tts.tokenizer.encode)
        tokens = self._tensor(np.array([prompt.text], np.int32))
        return {"prompt_text": tokens, "prompt_text_len": self._length(tokens)}

    def _extract_text_token(self, text: Any) -> tuple[Any, Tensor]:  # [1, T], or [1, 1] each of a generator
        """The text tokens of a text and their number; of a generator one after another, and none."""
        if isinstance(text, Generator):
            return self._arriving_text_tokens(text), self._tensor(np.zeros(1, np.int32))
        check_kind(text, str, "the text", "give a str, or a generator of them")
        tokens = self._tensor(np.array([self._tts.tokenizer.encode(text)], np.int32))
        return tokens, self._length(tokens)

    def _arriving_text_tokens(self, texts: Iterator[str]) -> Iterator[Tensor]:  # [1, 1] each
        for text in texts:
            yield from self._extract_text_token(text)[0].split(1, dim=1)

    def _extract_speech_token(self, prompt_wav: Recording) -> tuple[Tensor, Tensor]:  # [1, S], [1]
        """The speech tokens of a recording of any length, and their number."""
        parts = recording_tokens(self._tts.model.folder, audio_of(prompt_wav, "the recording"))
        tokens = self._tensor(np.concatenate(list(parts))[None].astype(np.int32))
        return tokens, self._length(tokens)

    def _extract_spk_embedding(self, prompt_wav: Recording) -> Tensor:  # [1, 192]
        """The speaker vector of a recording."""
        samples = audio_of(prompt_wav, "the recording").resample(ENCODER_HZ).samples
        return self._tensor(speaker_vector(self._tts.model.folder, samples)[None])

    def _extract_speech_feat(self, prompt_wav: Recording) -> tuple[Tensor, Tensor]:  # [1, M, 80], [1]
        """The mel of a recording and the number of its frames."""
        spec = mel_spec(self._tts.model.folder)
        mel = log_mel(audio_of(prompt_wav, "the recording").resample(spec.sample_hz).samples, spec)
        frames = self._tensor(np.ascontiguousarray(mel.T)[None])
        return frames, self._length(frames)

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values.copy()).to(self.device)

    def _length(self, values: Tensor) -> Tensor:  # [1]
        return torch.tensor([values.shape[1]], dtype=torch.int32, device=self.device)


def without(inputs: Entry, *fields: str) -> Entry:
    """The inputs without some fields and their lengths."""
    left_out = {*fields, *(f"{field}_len" for field in fields)}
    return {field: value for field, value in inputs.items() if field not in left_out}
