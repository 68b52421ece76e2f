"""One request while it is spoken: its voice, its random numbers, and both halves of its state.

    text → TokenStream → speech tokens → AudioStream → samples
           language model                flow, vocoder

Neither half runs anything by itself: each says what it needs (need.py), and `turns.py` does it for one
utterance or for many.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import NamedTuple

import torch

from cosyrt.engine.audio_stream import AudioStream, Made
from cosyrt.engine.decoding import LanguageModelInput
from cosyrt.engine.engine_rows import rows_on
from cosyrt.engine.mel_stream import Condition
from cosyrt.engine.model import Model
from cosyrt.engine.need import Need
from cosyrt.engine.prompts import EncodeText, Prompt, prompt_of
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Rows
from cosyrt.engine.token_stream import GivenTokens, Item, TokenStream
from cosyrt.text.split import Piece
from cosyrt.voice.voice import Voice

log = logging.getLogger(__name__)


class Kind(Enum):
    """What an utterance is given, item by item."""

    PIECES = "pieces of a text, each spoken in one go"
    WORDS = "words of a text that is read while it is spoken"
    TOKENS = "speech tokens of a recording"


class Source(NamedTuple):
    """What an utterance is made from."""

    request: Request  # an instruction in front of its text is in its style
    voice: Voice
    prompt: Prompt
    encode: EncodeText
    items: Iterator[Item]  # the next one may keep one waiting
    kind: Kind = Kind.PIECES


class Utterance:
    """The state of one request: of nothing else, so that any number of them may be spoken at once.

    Its row is one of `rows`, which others may share; without them it has a cache of its own.
    """

    def __init__(self, model: Model, source: Source, condition: Condition, rows: Rows | None = None) -> None:
        self.model, self.source = model, source
        self.at_work = False  # a turn of its audio is under way, and nothing of that may be touched
        request = source.request
        noise_rng = torch.Generator().manual_seed(request.seed)
        if source.kind is Kind.TOKENS:
            self.tokens: TokenStream | GivenTokens = GivenTokens()
            self.audio = AudioStream(model, request, condition, noise_rng)
            return
        self.tokens = self._token_stream(request.seed, rows or self._own_rows(), source.prompt)
        begun = self.tokens.begun if source.kind is Kind.PIECES else None
        self.audio = AudioStream(model, request, condition, noise_rng, begun, self._again)

    @property
    def need(self) -> Need:
        """What must be done or given next for its audio."""
        return self.tokens.need if self.audio.need is Need.TOKENS else self.audio.need

    @property
    def packs(self) -> bool:
        """Whether others' chunks may be solved in its call; a flow that looks both ways takes one."""
        return self.model.plain.regulate is None

    @property
    def made(self) -> deque[Made]:
        """Samples and pieces that nobody has taken yet."""
        return self.audio.made

    def push(self, item: Item | None) -> None:
        """Give it more of its text, or of the tokens of its recording; None: there is no more."""
        self.tokens.push(item)
        self.pass_on()

    def close(self) -> None:
        """Give back its row and drop all state; nothing more will be made."""
        self.tokens.close()
        self.audio.close()

    def pass_on(self) -> None:
        """Give the speech tokens that were made to the audio, as far as it needs them."""
        while not self.at_work and self.audio.need is Need.TOKENS:
            if self.tokens.made:
                self.audio.push(self.tokens.made.popleft())
            elif self.tokens.need is Need.NOTHING:
                self.audio.push(None)
            else:
                return

    def _again(self, piece: str) -> TokenStream:
        """Other speech tokens of a piece, drawn with another seed and without the words of the recording.

        Words that do not fit, or that are many beside a short text, make a model continue with silence.
        """
        log.warning("nothing can be heard of %r; it is said again with another seed", piece[:40])
        source, style = self.source, replace(self.source.request.style, cross_lingual=True)
        prompt = prompt_of(source.voice, style, source.encode)
        stream = self._token_stream((source.request.seed + 1) % 2**64, self._own_rows(), prompt)
        stream.push(Piece(piece))
        return stream

    def _own_rows(self) -> Rows:
        own = Rows if self.source.request.exact else rows_on  # an engine batches as it likes
        return own(self.model.stages, self.model.settings.decoding, self.model.device)

    def _token_stream(self, seed: int, rows: Rows, prompt: Prompt) -> TokenStream:
        rng = torch.Generator().manual_seed(seed)
        source = self.source
        return TokenStream(
            self.model,
            source.request,
            partial(self._with_prompt, prompt),
            source.encode,
            rows,
            rng,
            interleaved=source.kind is Kind.WORDS,
        )

    def _with_prompt(self, prompt: Prompt, text: list[int]) -> LanguageModelInput:
        """Text tokens and a prompt, as the language model is given them."""
        speaker = self._speaker(prompt)
        return LanguageModelInput(text, prompt.text, prompt.speech, speaker, prompt.opening_tokens)

    def _speaker(self, prompt: Prompt) -> torch.Tensor | None:  # [1, 192]
        """The speaker vector, if the language model is to be given it."""
        if not (self.model.settings.decoding.reads_speaker and prompt.with_speaker):
            return None
        return torch.from_numpy(self.source.voice.speaker.copy())[None].to(self.model.device)
