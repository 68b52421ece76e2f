"""text → audio, top to bottom. Read this first.

    text → pieces → text tokens → [language model] → speech tokens → [flow] → mel → [vocoder] → samples
           pieces.py               token_stream.py   audio_stream.py: chunks, mel_stream.py, vocoder_stream.py

A request is opened (`frontend.py`), becomes an `Utterance`, which holds all of its state, and is spoken in
turns (`turns.py`): here one utterance in the caller's thread, in the scheduler many.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Mapping, Sized
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosyrt.arguments import check_kind
from cosyrt.audio import Audio
from cosyrt.engine.asynchronous import Arriving, in_thread
from cosyrt.engine.audio_stream import Made, OnPiece, SpokenPiece, ignore
from cosyrt.engine.callers import Callers
from cosyrt.engine.forked import check_usable, stay_usable_when_forked
from cosyrt.engine.frontend import Frontend
from cosyrt.engine.mel_stream import Conditions
from cosyrt.engine.model import Model
from cosyrt.engine.pace import Pace
from cosyrt.engine.request import Request, SpeakingStyle, Text
from cosyrt.engine.rows import Rows
from cosyrt.engine.turns import alone
from cosyrt.engine.utterance import Source, Utterance
from cosyrt.engine.voices import Recording, read_recording
from cosyrt.text.lexicon import NO_LEXICON, Lexicon
from cosyrt.text.pauses import NO_PAUSES, Pauses
from cosyrt.voice.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far `say` has come."""

    pieces_done: int
    pieces: int
    seconds: float  # of audio made so far


class Pipeline(Frontend):
    """A loaded model: says text, streams text, converts speech, makes voices."""

    model: Model

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.loaded_by = os.getpid()
        stay_usable_when_forked()
        # On a CPU the language model and the flow compete for the same cores and gain nothing side by side.
        self.overlap = model.device.type != "cpu"
        pace = Pace.measured(model.calls, model.settings)
        self.conditions = Conditions(model.stages, model.device, pace, model.unread_bytes)
        self._callers, self._ahead = Callers(model), threading.Lock()

    def say(
        self,
        text: Text,
        *,
        voice: str | Voice | None = None,
        instruction: str | None = None,
        cross_lingual: bool = False,
        speed: float = 1.0,
        seed: int = 0,
        chunked: bool = False,
        as_written: bool = False,
        pauses: Pauses = NO_PAUSES,
        lexicon: Lexicon | Mapping[str, str] = NO_LEXICON,
        progress: Callable[[Progress], None] | None = None,
        on_piece: OnPiece = ignore,
    ) -> Audio:
        """Speak the whole text, or all its parts joined; the same seed gives the same audio again.

        `instruction` says how ("Speak softly."); `cross_lingual` takes the voice without the words of its
        recording, which suits a text in another language. Text `as_written` is not normalised. `pauses` are
        added between sentences and paragraphs; `[pause:500ms]` in the text is one of its own. `on_piece` is
        told of each piece that was spoken, and when it is heard. `lexicon` says how certain words are said:
        `{"GIF": "jiff", "重庆": "chong2 qing4"}`. Every frame attends to its whole piece, as
        upstream does offline. With `chunked` it attends to what it would in `stream`: the samples are those
        of the stream.

        Raises:
            TextError: nothing to speak. VoiceNotFound: no such voice. SpeechError: the models failed.
            UsageError: no text, a speed or seed out of range, or an instruction to a model that follows none.
        """
        check_kind(progress, Callable | None, "progress", "give a function")
        parts = Request(text=text).text_parts()
        request = _request(
            "".join(parts),
            voice,
            instruction,
            cross_lingual,
            speed=speed,
            seed=seed,
            chunked=chunked,
            as_written=as_written,
            pauses=pauses,
            lexicon=Lexicon.of(lexicon),
        )
        source = self.open(request)
        every, samples = list(source.items), list[np.ndarray]()
        speech = self.speak(source._replace(items=iter(every)), on_piece)
        for number, audio in enumerate(speech, 1):
            samples.append(audio.samples)
            if progress is not None:
                seconds = sum(map(len, samples)) / self.sample_rate
                progress(Progress(pieces_done=number, pieces=len(every), seconds=seconds))
        return Audio(np.concatenate(samples), self.sample_rate)

    def stream(
        self,
        text: Text,
        *,
        voice: str | Voice | None = None,
        instruction: str | None = None,
        cross_lingual: bool = False,
        speed: float = 1.0,
        seed: int = 0,
        as_written: bool = False,
        interleave: bool = False,
        by_piece: bool = False,
        pauses: Pauses = NO_PAUSES,
        lexicon: Lexicon | Mapping[str, str] = NO_LEXICON,
        on_piece: OnPiece = ignore,
    ) -> Generator[Audio, None, None]:
        """Speak while the text is still being made: audio as soon as it is certain.

        `text` may be an iterable of parts, such as the output of a chat model; each sentence is spoken when
        it is complete. With `interleave` a sentence is begun before it is complete: the published models of
        CosyVoice 2 and 3 were taught to; such text is not normalised. With `by_piece` each piece of the text
        comes whole, every frame as in `say`. Closing the generator stops all work; it does not wait
        for `text`, of which nothing more is asked. The rest is as in `say`.

        Raises:
            TextError: nothing to speak. VoiceNotFound: no such voice. SpeechError: the models failed.
            UsageError: no text, a speed or seed out of range, what the model was not made for, or
                `<|endofprompt|>` where words before it were spoken already.
        """
        yield from self.run(
            _request(
                text,
                voice,
                instruction,
                cross_lingual,
                speed=speed,
                seed=seed,
                as_written=as_written,
                interleave=interleave,
                streamed=not by_piece,
                pauses=pauses,
                lexicon=Lexicon.of(lexicon),
            ),
            on_piece,
        )

    def astream(
        self,
        text: Text,
        *,
        voice: str | Voice | None = None,
        instruction: str | None = None,
        cross_lingual: bool = False,
        speed: float = 1.0,
        seed: int = 0,
        as_written: bool = False,
        interleave: bool = False,
        by_piece: bool = False,
        pauses: Pauses = NO_PAUSES,
        lexicon: Lexicon | Mapping[str, str] = NO_LEXICON,
    ) -> AsyncGenerator[Audio, None]:
        """Speak as `stream` does, for `async for`: the loop runs on while a chunk is being made.

        An asynchronous `text` is asked for on the loop in which this is awaited. Closing, or cancelling the
        task, stops all work.

        Raises:
            TextError, VoiceNotFound, SpeechError, UsageError: as `stream` does.
        """
        return self.arun(
            _request(
                text,
                voice,
                instruction,
                cross_lingual,
                speed=speed,
                seed=seed,
                as_written=as_written,
                interleave=interleave,
                streamed=not by_piece,
                pauses=pauses,
                lexicon=Lexicon.of(lexicon),
            )
        )

    def convert(
        self,
        source: Recording,
        *,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        seed: int = 0,
        chunked: bool = False,
    ) -> Audio:
        """Say what a recording of any length says in another voice: same words, same timing.

        Raises:
            AudioError: the recording cannot be read, is shorter than a tenth of a second, or has fewer than
                8,000 samples a second.
            VoiceNotFound: no such voice. ModelError: the folder lacks the speech tokenizer.
        """
        recording = read_recording(source)
        request = Request(recording=recording, voice=voice, speed=speed, seed=seed, chunked=chunked)
        return Audio.join(self.run(request))

    def stream_conversion(
        self,
        source: Recording,
        *,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        seed: int = 0,
    ) -> Generator[Audio, None, None]:
        """Convert as `convert(chunked=True)` does, and give audio out as soon as it is certain."""
        recording = read_recording(source)
        yield from self.run(Request(recording=recording, voice=voice, speed=speed, seed=seed, streamed=True))

    def run(self, request: Request, on_piece: OnPiece = ignore) -> Generator[Audio, None, None]:
        """Audio of a request, in the parts that it asks for. Closing the generator stops all work.

        `on_piece` is told of each piece of its text that was spoken, unless the request interleaves.

        Raises:
            CosyrtError: as `say`, `stream` and `convert`, each of which is one request.
        """
        yield from self.speak(self.open(request), on_piece)

    def _check_usable(self, request: Request) -> None:
        check_usable(self.model, self.loaded_by)
        super()._check_usable(request)

    def utterance(self, source: Source, rows: Rows | None = None) -> Utterance:
        """The state of a request that is about to be spoken, on a row of a cache that others may share."""
        return Utterance(self.model, source, self.conditions.of(source.voice), rows)

    def speak(self, source: Source, on_piece: OnPiece = ignore) -> Generator[Audio, None, None]:
        """Audio of what was opened, in the caller's thread; closing the generator stops all work."""
        check_kind(on_piece, Callable, "on_piece", "give a function")
        with contextlib.closing(self._made(source)) as made:
            for each in made:
                if isinstance(each, SpokenPiece):
                    on_piece(each)
                else:
                    yield Audio(each, self.sample_rate)

    def _made(self, source: Source) -> Generator[Made, None, None]:
        """Turns of one utterance, which are shared with all that other threads speak at the same time.

        Where the language model runs ahead, the first of them does not share: it has a thread for that.
        """
        if self.overlap and self._ahead.acquire(blocking=False):
            try:
                yield from alone(self.utterance(source), overlap=True)
            finally:
                self._ahead.release()
            return
        rows = None if source.request.exact else self._callers.rows
        yield from self._callers.speak(self.utterance(source, rows))

    async def arun(self, request: Request) -> AsyncGenerator[Audio, None]:
        """Audio of a request as `run` gives it, made in a thread while the loop runs on; raises as `run`."""
        check_kind(request, Request, "the request", "give a Request")
        text, arriving = request.text, None
        if isinstance(text, AsyncIterable):
            arriving = Arriving(text, asyncio.get_running_loop())
            request = replace(request, text=arriving)
        waits = isinstance(text, Sized | AsyncIterable)  # any other text may keep the thread waiting for ever
        async with contextlib.aclosing(in_thread(self.run(request), arriving, waits=waits)) as speech:
            async for audio in speech:
                yield audio


def _request(
    text: Text, voice: str | Voice | None, instruction: str | None, cross_lingual: bool, **how: Any
) -> Request:
    """The request that the arguments of `say` or `stream` make."""
    style = SpeakingStyle(instruction=instruction, cross_lingual=cross_lingual)
    return Request(text=text, voice=voice, style=style, **how)
