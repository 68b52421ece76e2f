"""Upstream's `model` (cosyvoice/cli/model.py) on our engine: inputs as `frontend_…` gives them → speech."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.torchscript.stages import COMPONENTS
from cosyrt.arguments import check_kind
from cosyrt.compat.speech import Speech, seed_of_torch, speech_of
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.prompts import END_OF_PROMPT, Prompt
from cosyrt.engine.request import Request
from cosyrt.engine.token_stream import Item
from cosyrt.engine.utterance import Kind, Source
from cosyrt.errors import UsageError
from cosyrt.families import FAMILIES
from cosyrt.text.split import Piece
from cosyrt.voice.voice import MELS, Voice

LONGEST_CHARACTER = 8  # tokens
HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class EncodedText(str):
    """Text with the tokens that it is given to the model as."""

    tokens: list[int]

    @classmethod
    def of(cls, text: str, tokens: list[int]) -> EncodedText:
        """A text and its tokens."""
        made = cls(text)
        made.tokens = tokens
        return made

    def lstrip(self, chars: str | None = None, /) -> EncodedText:
        """The text as it is: its tokens have their blanks."""
        return self


class SpeechModel:
    """The three networks, called with tokens and tensors in place of texts and recordings."""

    def __init__(self, tts: Pipeline, fp16: bool) -> None:
        self._tts, self.fp16 = tts, fp16

    @property
    def device(self) -> torch.device:
        """Where the models run."""
        return self._tts.model.device

    @cached_property
    def llm(self) -> SimpleNamespace:
        """The `text_encoder` and the `llm` of CosyVoice 1 as TorchScript compiles them."""
        return self._scripted("llm")

    @cached_property
    def flow(self) -> SimpleNamespace:
        """The encoder of the flow as TorchScript compiles it; scripts that export archives read it."""
        return self._scripted("flow")

    def _scripted(self, network: str) -> SimpleNamespace:
        """Copies: a script that halves them halves nothing that speaks."""
        model = self._tts.model
        parts = {component.name: component for component in COMPONENTS.get(self._tts.family, ())}
        return SimpleNamespace(
            **{
                name.partition(".")[2]: copy.deepcopy(component.scripted(model.networks)).eval()
                for name, component in parts.items()
                if name.startswith(f"{network}.")
            }
        )

    def tts(
        self,
        text: Tensor | Generator[Tensor, None, None] | None = None,  # [1, T], or [1, 1] each
        flow_embedding: Tensor | None = None,  # [1, 192]
        llm_embedding: Tensor | None = None,  # [1, 192]
        prompt_text: Tensor | None = None,  # [1, T']
        llm_prompt_speech_token: Tensor | None = None,  # [1, S]
        flow_prompt_speech_token: Tensor | None = None,  # [1, P]
        prompt_speech_feat: Tensor | None = None,  # [1, M, 80]
        source_speech_token: Tensor | None = None,  # [1, S']
        stream: bool = False,
        speed: float = 1.0,
        **lengths: object,
    ) -> Speech:
        """Speak a text, or with `source_speech_token` say a recording again; lengths are not needed.

        Raises:
            UsageError: neither, both, or tokens that the model does not know. VoiceError: no speaker vector,
                or a prompt that does not fit. SpeechError: the models failed.
        """
        voice = self._voice(flow_embedding, flow_prompt_speech_token, prompt_speech_feat)
        request = Request(text="-", voice=voice, speed=speed, seed=seed_of_torch(), streamed=stream)
        source = self._speech_tokens(source_speech_token, "source_speech_token")
        if bool(source) is not (text is None):
            raise UsageError("model.tts takes a text or source_speech_token; give one of them")
        words = [] if isinstance(text, Generator) else self._text_tokens(text, "text")
        prompt, words = self._opened(self._text_tokens(prompt_text, "prompt_text"), words)
        items: Iterator[Item]
        if text is None:
            items, kind = iter([np.array(source)]), Kind.TOKENS
        elif isinstance(text, Generator):
            items, kind = self._words(text), Kind.WORDS
        else:
            items, kind = iter([Piece(self._encoded(words))]), Kind.PIECES
        given = Prompt(
            text=prompt,
            speech=self._speech_tokens(llm_prompt_speech_token, "llm_prompt_speech_token"),
            with_speaker=llm_embedding is not None and llm_embedding.numel() > 0,
            opening_tokens=self._opening(prompt),
        )
        voice = self._tts.fitting(voice)
        yield from speech_of(self._tts.speak(Source(request, voice, given, self._tokens, items, kind)))

    def _voice(self, speaker: Tensor | None, tokens: Tensor | None, mel: Tensor | None) -> Voice:
        """The voice of a call's inputs, for the flow."""
        if speaker is None or not speaker.numel():
            raise UsageError("flow_embedding is missing: the models need a speaker vector [1, 192]")
        frames = np.zeros((0, MELS), np.float32) if mel is None else mel.detach().cpu().float().numpy()
        return Voice(
            name="of the inputs",
            speaker=speaker.detach().cpu().float().numpy().ravel(),
            speech_tokens=np.array(self._speech_tokens(tokens, "flow_prompt_speech_token"), np.int64),
            mel=frames.reshape(-1, frames.shape[-1]),
            family=self._tts.family,
        )

    def _text_tokens(self, tokens: Tensor | None, name: str) -> list[int]:
        return _ids(tokens, name, self._tts.model.settings.llm.text_vocabulary)

    def _speech_tokens(self, tokens: Tensor | None, name: str) -> list[int]:
        return _ids(tokens, name, self._tts.model.settings.llm.speech_vocabulary)

    def _opened(self, prompt: list[int], text: list[int]) -> tuple[list[int], list[int]]:
        """The prompt with what stands in the text up to the mark that ends one, and the rest of the text.

        CosyVoice 3 never goes without that mark: where it is nowhere, its usual sentence opens the prompt.
        """
        mark = self._end_of_prompt
        if mark in text:
            at = text.index(mark) + 1
            return prompt + text[:at], text[at:]
        system = FAMILIES[self._tts.family].system_prompt
        if system and mark not in prompt:
            prompt = self._tts.tokenizer.encode(system + END_OF_PROMPT) + prompt
        return prompt, text

    def _opening(self, prompt: list[int]) -> int:
        """The number of tokens of a prompt that never stand between speech."""
        has_opening = bool(FAMILIES[self._tts.family].system_prompt)
        return prompt.index(self._end_of_prompt) + 1 if has_opening and self._end_of_prompt is not None else 0

    @cached_property
    def _end_of_prompt(self) -> int | None:
        """The token that ends a prompt, in models that have one."""
        tokens = self._tts.tokenizer.encode(END_OF_PROMPT)
        return tokens[0] if len(tokens) == 1 else None

    def _encoded(self, tokens: list[int]) -> EncodedText:
        if not tokens:
            raise UsageError("text has no tokens; give some words to say")
        return EncodedText.of(self._tts.tokenizer.decode(tokens), tokens)

    def _words(self, arriving: Generator[Tensor, None, None]) -> Iterator[str]:
        """Tokens as they arrive, those of one character together."""
        waiting: list[int] = []
        with closing(arriving):
            for token in arriving:
                waiting += self._text_tokens(token, "text")
                word = self._encoded(waiting)
                if HALF_A_CHARACTER not in word or len(waiting) >= LONGEST_CHARACTER:
                    yield word
                    waiting = []
        if waiting:
            yield self._encoded(waiting)

    def _tokens(self, text: str) -> list[int]:
        """The tokens of a text; those of an encoded one are known."""
        return text.tokens if isinstance(text, EncodedText) else self._tts.tokenizer.encode(text)


def _ids(tokens: Tensor | None, name: str, known: int) -> list[int]:
    """Token ids as a list, if the model knows each."""
    if tokens is None:
        return []
    check_kind(tokens, Tensor, name, "give a tensor of token ids")
    ids = [int(token) for token in tokens.flatten().tolist()]
    if ids and not 0 <= min(ids) <= max(ids) < known:
        raise UsageError(f"{name} has tokens from {min(ids)} to {max(ids)}, the model knows 0 to {known - 1}")
    return ids
