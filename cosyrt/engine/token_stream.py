"""text → speech tokens of one request: text is pushed, and its row of the language model is read.

Written as a generator that says what it needs and is sent what came of it, so that whoever drives it may read
for many requests in one batch. It calls no stage itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, MutableSequence
from typing import Any

import numpy as np
import torch

from cosyrt.engine.decoding import Decoder, DecodingConfig, LanguageModelInput, Pause, complete
from cosyrt.engine.lost_words import loses_words, smaller_pieces, unspoken
from cosyrt.engine.model import Model
from cosyrt.engine.need import Need
from cosyrt.engine.prompts import EncodeText
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Outcome, Row, Rows
from cosyrt.errors import SpeechError
from cosyrt.text.arriving import UtteranceEnd
from cosyrt.text.normalize import is_speakable
from cosyrt.text.split import Piece

LONG, LONGEST = 400, 800  # characters of an utterance that is spoken while it is written
END = -1  # follows the speech tokens of a piece, so that its last chunk need not wait for the next piece
log = logging.getLogger(__name__)

Item = Piece | str | np.ndarray  # a piece of text, a word of interleaved text, or tokens [S]
WithPrompt = Callable[[list[int]], LanguageModelInput]  # text tokens, with the prompt of the voice
Steps = Generator[Need, Any, None]  # is sent text, None for its end, or what came of the row


class TokenStream:
    """Speech tokens of one request; `made` holds those that nobody has taken yet.

    While it needs a turn of the language model, it is `row` that is to be read.
    """

    def __init__(
        self,
        model: Model,
        request: Request,
        with_prompt: WithPrompt,
        encode: EncodeText,
        rows: Rows,
        rng: torch.Generator,
        *,
        interleaved: bool = False,
    ) -> None:
        self.config, self.reads_sounds = model.settings.decoding, model.settings.pronunciation is not None
        self.request, self.with_prompt, self.encode = request, with_prompt, encode
        self.rows, self.rng = rows, rng
        self.row: Row | None = None
        self.made: deque[int] = deque()  # END after the tokens of each piece
        self.begun: deque[Piece] = deque()  # until whoever reads the tokens takes them
        self.pieces_losing_words = 0
        self._text_over = False
        self._steps = self._words() if interleaved else self._pieces()
        self.need = next(self._steps)

    def push(self, item: Item | None) -> None:
        """Give it a piece of text, or a word where it is interleaved; None: there is no more."""
        assert self.need is Need.TEXT
        self._go_on(item)

    def accept(self, outcome: Outcome) -> None:
        """Take what came of reading its row.

        Raises:
            SpeechError: no token could be picked.
        """
        assert self.need is Need.READ
        self._go_on(outcome)

    def close(self) -> None:
        """Give the row back; nothing more will be made."""
        self._steps.close()
        self.need = Need.NOTHING

    def _go_on(self, given: Item | Outcome) -> None:
        try:
            self.need = self._steps.send(given)
        except StopIteration:
            self.need = Need.NOTHING

    def _pieces(self) -> Steps:
        while (piece := (yield Need.TEXT)) is not None:
            self.begun.append(piece)
            if piece.text:
                yield from self._piece(piece.text)
                self.made.append(END)

    def _piece(self, piece: str) -> Steps:
        """Speak a piece; one that loses words is spoken again in smaller pieces, once.

        In chunks the beginning is heard by then: there what is left of it is spoken behind.
        """
        text, tokens = self.encode(piece), list[int]()
        is_heard = self.request.chunked or not self.reads_sounds
        count = yield from self._speak(text, self.made if is_heard else tokens)
        lost = self.reads_sounds and loses_words(piece, len(text), count)
        if lost:
            self.pieces_losing_words += 1
            log.warning("some words of %r were not spoken; they are said again", piece[:40])
        if not lost:
            self.made.extend(tokens)
            return
        if is_heard:
            piece = unspoken(piece, count, lambda text: len(self.encode(text)))
        for part in smaller_pieces(piece, is_speakable):
            yield from self._speak(self.encode(part), self.made)

    def _words(self) -> Steps:
        """Speak one utterance after another, each read while it is spoken; marks alone begin none."""
        while not self._text_over and (word := (yield Need.TEXT)) is not None:
            if is_speakable(word):
                decoder = Decoder(self.config, self.with_prompt([]), interleaved=True)
                decoder.push(self.encode(word.lstrip()))
                yield from self._decode(decoder, self.made, UtteranceEnd(word, least=LONG, most=LONGEST))
                self.made.append(END)

    def _speak(self, text: list[int], into: MutableSequence[int]) -> Generator[Need, Any, int]:
        """Put the speech tokens of complete text into a list; return how many they are."""
        return (yield from self._decode(complete(self.config, self.with_prompt(text)), into))

    def _decode(
        self, decoder: Decoder, into: MutableSequence[int], end: UtteranceEnd | None = None
    ) -> Generator[Need, Any, int]:
        """Put the speech tokens of a decoder into a list; return how many they are."""
        silence, count = SilenceFilter(self.config), 0
        self.row = self.rows.join(decoder, self.rng)
        try:
            while (given := decoder.next_input()) is not Pause.FINISHED:
                if given is Pause.AWAITS_TEXT:
                    assert end is not None
                    yield from self._read_on(decoder, end)
                elif (token := _spoken((yield Need.READ))) is not None and silence.passes(token):
                    into.append(token)
                    count += 1
        finally:
            self.rows.leave(self.row)
            self.row = None
        return count

    def _read_on(self, decoder: Decoder, end: UtteranceEnd) -> Steps:
        """Push the next word of an utterance, or tell the decoder that there is none."""
        word = None if end.reached else (yield Need.TEXT)
        if word is not None:
            end.add(word)
            decoder.push(self.encode(word))
            return
        self._text_over = not end.reached
        decoder.end_of_text()


class GivenTokens:
    """Speech tokens of a recording, which stand in the place of those of a text."""

    def __init__(self) -> None:
        self.made: deque[int] = deque()  # END after the tokens of each part
        self.need = Need.TEXT

    def push(self, item: Item | None) -> None:
        """Give it the tokens [S] of one part; None: there is no more."""
        assert self.need is Need.TEXT
        if item is None:
            self.close()
        else:
            assert isinstance(item, np.ndarray)
            self.made.extend((*item.tolist(), END))

    def close(self) -> None:
        """Take no more."""
        self.need = Need.NOTHING


def _spoken(outcome: Outcome) -> int | None:
    """The speech token that came of a row, if it was one.

    Raises:
        SpeechError: no token could be picked.
    """
    if isinstance(outcome, SpeechError):
        raise outcome
    return outcome


class SilenceFilter:
    """Leaves out what makes a run of silence too long; the language model reads all of it itself."""

    def __init__(self, config: DecodingConfig) -> None:
        self.config, self.run = config, 0

    def passes(self, token: int) -> bool:
        """Whether the next token is to be heard."""
        self.run = self.run + 1 if token in self.config.silent_tokens else 0
        return self.run <= self.config.longest_silence_tokens
