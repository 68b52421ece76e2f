"""Text to speech tokens of one request: what is asked for, what is read, and that rows are given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from cosyrt.engine.decoding import LanguageModelInput
from cosyrt.engine.need import Need
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.rows import Rows
from cosyrt.engine.token_stream import END, GivenTokens, TokenStream
from cosyrt.errors import SpeechError
from cosyrt.text.split import Piece
from tests.engine.quick import quick

ONE, TWO = Piece("Hello there, my dear old friends."), Piece("How are you today, my friends?", 0.5)


@pytest.fixture
def begin(tiny: Pipeline) -> Callable[..., TokenStream]:
    """Makes a stream of a model whose tokens cost nothing."""

    def begin(*, interleaved: bool = False, reads_sounds: bool = False, **how: bool) -> TokenStream:
        tts = quick(tiny)
        model = tts.model
        if reads_sounds:
            model = replace(model, settings=replace(model.settings, pronunciation="arpabet-pinyin"))
        rows = Rows(model.stages, model.settings.decoding, model.device)
        return TokenStream(
            model,
            Request(**how),
            lambda text: LanguageModelInput(text, [], []),
            tts.tokenizer.encode,
            rows,
            torch.Generator().manual_seed(0),
            interleaved=interleaved,
        )

    return begin


def read(stream: TokenStream) -> None:
    """Read until it needs something else."""
    while stream.need is Need.READ:
        assert stream.row is not None
        stream.accept(stream.rows.step([stream.row])[0])


def test_pieces_follow_one_another(begin: Callable[..., TokenStream]) -> None:
    """A piece is asked for when the one before it was spoken; each ends with a mark, silence is none."""
    stream = begin()
    for piece in (ONE, TWO, Piece("", 1.0)):
        assert stream.need is Need.TEXT
        stream.push(piece)
        read(stream)
    stream.push(None)

    made = list(stream.made)
    assert stream.need is Need.NOTHING
    assert made.count(END) == 2 and made[-1] == END and END not in (made[0], made[-2])
    assert [piece.text for piece in stream.begun] == [ONE.text, TWO.text, ""]


def test_a_row_is_taken_while_a_piece_is_spoken(begin: Callable[..., TokenStream]) -> None:
    """Between pieces and after closing nothing is taken of the cache."""
    stream = begin()
    assert stream.rows.free == 1
    stream.push(ONE)
    assert stream.rows.free == 0
    read(stream)
    assert stream.rows.free == 1
    stream.push(TWO)
    stream.close()

    assert (stream.rows.free, stream.row, stream.need) == (1, None, Need.NOTHING)


def test_words_are_asked_for_while_it_speaks(begin: Callable[..., TokenStream]) -> None:
    """Interleaved text is read before it is complete, marks alone begin nothing, it ends once."""
    stream = begin(interleaved=True)
    for word in ("…", " Hello", " there,", " my"):
        assert stream.need is Need.TEXT
        stream.push(word)
        read(stream)
    assert stream.made, "it speaks before the text has ended"
    stream.push(None)
    read(stream)

    assert stream.need is Need.NOTHING and list(stream.made).count(END) == 1


def test_a_piece_that_loses_words_is_spoken_in_parts(
    begin: Callable[..., TokenStream], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it is not heard yet, smaller pieces take its place; in chunks the loss is only logged."""
    monkeypatch.setattr("cosyrt.engine.token_stream.loses_words", lambda *args: True)
    lengths = []
    for chunked in (True, False):
        stream = begin(reads_sounds=True, chunked=chunked)
        stream.push(ONE)
        assert chunked or not stream.made
        read(stream)
        assert stream.pieces_losing_words == 1
        assert list(stream.made).count(END) == 1
        lengths.append(len(stream.made))

    assert caplog.text.count("were not spoken") == 2
    assert lengths[0] != lengths[1]


def test_a_row_without_a_token_is_an_error(begin: Callable[..., TokenStream]) -> None:
    """The error that came of a row is raised, and the row is free again."""
    stream = begin()
    stream.push(ONE)
    with pytest.raises(SpeechError, match="not finite"):
        stream.accept(SpeechError("not finite"))

    assert stream.rows.free == 1


def test_tokens_of_a_recording_are_parts() -> None:
    """Each part ends like a piece of a text."""
    tokens = GivenTokens()
    tokens.push(np.array([1, 2]))
    tokens.push(np.array([3]))
    assert tokens.need is Need.TEXT
    tokens.push(None)

    assert (list(tokens.made), tokens.need) == ([1, 2, END, 3, END], Need.NOTHING)
