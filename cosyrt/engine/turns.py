"""Utterances are run in turns: a turn does what one utterance needs, or what many need, in one call.

`alone` takes all turns of one utterance, in the caller's thread. The scheduler takes the same turns for many.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

from cosyrt.engine.audio_stream import AudioStream, Made
from cosyrt.engine.need import Need
from cosyrt.engine.prefetch import prefetch
from cosyrt.engine.rows import Outcome
from cosyrt.engine.token_stream import GivenTokens, Item, TokenStream
from cosyrt.engine.utterance import Utterance
from cosyrt.engine.vocoder_stream import vocode_together
from cosyrt.models.solver import step

PREFETCHED_TOKENS = 500  # 20 s of speech tokens may wait for the flow

Came = Outcome | Exception  # of a turn, for one of its utterances
Failures = dict[Utterance, Exception]


def take_turn(need: Need, utterances: Sequence[Utterance], most: int | None = None) -> Failures:
    """Do what all of these need, in one call of a stage where that can be, and let them go on.

    The language model reads at most that many positions of a text. Returned are the errors of single
    utterances; one of the call itself is raised, and the same turn may be taken again one by one.
    """
    return settle(need, utterances, work(need, utterances, most))


def work(need: Need, utterances: Sequence[Utterance], most: int | None = None) -> list[Came]:
    """Do what all of these need; returned is what came of it for each, which `settle` is to be told.

    A turn that reads changes nothing but the rows that are read, any other nothing but the audio halves of
    its utterances: what it leaves alone may be changed meanwhile, in another thread.
    """
    audio = [utterance.audio for utterance in utterances]
    match need:
        case Need.READ:
            return list(read([_reading(utterance) for utterance in utterances], most))
        case Need.READ_AGAIN:
            again = read([each.retry for each in audio if each.retry is not None])
            return [_error_of(partial(each.accept, came)) for each, came in zip(audio, again, strict=True)]
        case Need.SOLVE:
            solve(audio)
        case Need.VOCODE:
            vocode(audio)
    return [_error_of(each.advance) for each in audio]


def settle(need: Need, utterances: Sequence[Utterance], came: Sequence[Came]) -> Failures:
    """Let utterances go on after a turn of which that has come; returned are the errors of single ones."""
    failed = Failures()
    for utterance, outcome in zip(utterances, came, strict=True):
        if need is Need.READ and not isinstance(outcome, Exception):
            outcome = _error_of(partial(_reading(utterance).accept, outcome))
        if not isinstance(outcome, Exception):
            outcome = _error_of(utterance.pass_on)
        if isinstance(outcome, Exception):
            failed[utterance] = outcome
    return failed


def _error_of(go_on: Callable[[], None]) -> Exception | None:
    """Let an utterance go on; the error that ends it alone."""
    try:
        go_on()
    except Exception as error:
        return error
    return None


def _reading(utterance: Utterance) -> TokenStream:
    """Where the language model reads the text of an utterance."""
    assert isinstance(utterance.tokens, TokenStream)
    return utterance.tokens


def read(streams: Sequence[TokenStream], most: int | None = None) -> list[Outcome]:
    """Read the rows of these in one batch: they belong to one cache."""
    rows = [stream.row for stream in streams if stream.row is not None]
    return streams[0].rows.step(rows, most)


def solve(audio: Sequence[AudioStream]) -> None:
    """Take an Euler step of the chunk of each, in one call."""
    step(audio[0].model.stages.velocity, [each.state for each in audio if each.state is not None])


def vocode(audio: Sequence[AudioStream]) -> None:
    """Call the vocoder for each, once for all whose calls have the same sizes."""
    calls = [each.call for each in audio if each.call is not None]
    for each, samples in zip(audio, vocode_together(audio[0].model.stages.vocode, calls), strict=True):
        each.vocoded = samples


def alone(utterance: Utterance, *, overlap: bool = False) -> Generator[Made, None, None]:
    """Audio of an utterance in the caller's thread; closing the generator stops all work.

    With `overlap` the language model runs in a thread of its own, ahead of flow and vocoder.
    """
    with contextlib.closing(utterance):
        if overlap:
            tokens = prefetch(_tokens(utterance.tokens, utterance.source.items), PREFETCHED_TOKENS)
            with contextlib.closing(tokens):
                yield from voiced(utterance.audio, tokens)
        else:
            yield from _taken(utterance, utterance.source.items)


def _taken(utterance: Utterance, items: Iterator[Item]) -> Generator[Made, None, None]:
    """Take every turn of one utterance."""
    while (need := utterance.need) is not Need.NOTHING:
        if need is Need.TEXT:
            utterance.push(next(items, None))
        elif failed := take_turn(need, [utterance]):
            raise failed[utterance]
        while utterance.made:
            yield utterance.made.popleft()


def _tokens(stream: TokenStream | GivenTokens, items: Iterator[Item]) -> Generator[int, None, None]:
    """Speech tokens of a stream that nobody else drives."""
    with contextlib.closing(stream):
        while stream.need is not Need.NOTHING:
            if stream.need is Need.TEXT:
                stream.push(next(items, None))
            else:
                assert isinstance(stream, TokenStream)
                stream.accept(read([stream])[0])
            while stream.made:
                yield stream.made.popleft()


def voiced(audio: AudioStream, tokens: Iterator[int]) -> Generator[Made, None, None]:
    """Audio of speech tokens that come from elsewhere, with END after those of each piece."""
    while audio.need is not Need.NOTHING:
        match audio.need:
            case Need.TOKENS:
                audio.push(next(tokens, None))
            case Need.READ_AGAIN:
                assert audio.retry is not None
                audio.accept(read([audio.retry])[0])
            case Need.SOLVE:
                solve([audio])
                audio.advance()
            case Need.VOCODE:
                vocode([audio])
                audio.advance()
            case _:
                audio.advance()
        while audio.made:
            yield audio.made.popleft()
