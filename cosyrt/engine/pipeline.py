"""text → audio, top to bottom. Read this first.

    text → pieces → text tokens → [language model] → speech tokens → [flow] → mel → [vocoder] → samples
           pieces.py               decoding.py       chunks.py       mel_stream.py  vocoder_stream.py

Everything is a generator: asking for audio pulls tokens, closing it stops them. All state of a request is in
`utterance.py`, nothing of it is kept on the pipeline, so that any number of them may be spoken at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterator, Sized
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from cosyrt.arguments import check_kind
from cosyrt.audio import Audio, Source
from cosyrt.engine.asynchronous import Arriving, in_thread
from cosyrt.engine.forked import check_usable, stay_usable_when_forked
from cosyrt.engine.mel_stream import Conditions
from cosyrt.engine.model import Model
from cosyrt.engine.pieces import Count, OpenedText, opened, speakable_words, text_pieces
from cosyrt.engine.request import Request, SpeakingStyle, Text
from cosyrt.engine.utterance import Utterance
from cosyrt.errors import UsageError, VoiceError
from cosyrt.text.normalize import spoken_language
from cosyrt.text.split import BY_SENTENCE, readable
from cosyrt.text.tokenizer import tokenizer_of
from cosyrt.voice.conversion import recording_tokens
from cosyrt.voice.encoder import VoiceEncoder
from cosyrt.voice.library import VoiceLibrary
from cosyrt.voice.reference import MAX_REFERENCE_S, speech_tokenizer_digest
from cosyrt.voice.spk2info import voices_of
from cosyrt.voice.transcript import warn_of_misfit
from cosyrt.voice.voice import Voice

ENCODED_TEXTS = 256  # that are kept of an utterance
Recording = Audio | Source  # in memory, a file, or what is in one


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far `say` has come."""

    pieces_done: int
    pieces: int
    seconds: float  # of audio made so far


def _read(source: Recording, max_s: float | None = None) -> Audio:
    return source if isinstance(source, Audio) else Audio.read(source, max_s=max_s)


class Pipeline:
    """A loaded model: says text, streams text, converts speech, makes voices."""

    def __init__(self, model: Model) -> None:
        self.model, self.loaded_by = model, os.getpid()
        stay_usable_when_forked()
        folder, settings = model.folder, model.settings
        self.tokenizer = tokenizer_of(folder, settings.pronunciation, settings.llm.text_vocabulary)
        self.voices: dict[str, Voice] = voices_of(folder)
        self.registered = VoiceLibrary()
        # On a CPU the language model and the flow compete for the same cores and gain nothing side by side.
        self.overlap = model.device.type != "cpu"
        self.conditions = Conditions(model.stages, model.device)

    @property
    def family(self) -> str:
        """Which CosyVoice: `cosyvoice2`."""
        return self.model.folder.family

    @property
    def device(self) -> str:
        """Where the models run."""
        return str(self.model.device)

    @property
    def sample_rate(self) -> int:
        """Samples a second of all audio made here."""
        return self.model.settings.rates.sample_hz

    @cached_property
    def encoder(self) -> VoiceEncoder:
        """Turns reference audio into voices; its ONNX sessions are made on first use and kept."""
        return VoiceEncoder(self.model.folder, self.model.settings.chunking.first_boundary)

    def voice_from(
        self,
        audio: Recording,
        text: str | None,
        name: str = "reference",
        *,
        license: str = "",
        consent: str = "",
    ) -> Voice:
        """A voice from reference audio (1 to 30 s) and its transcript; `registered.add(voice)` keeps it.

        An empty transcript, or None, stands for one that is not known.

        Raises:
            UsageError: a text, name, license or consent that is no str; audio of no kind that can be read.
            AudioError: the audio cannot be read or is unfit.
            ModelError: the folder lacks an encoder or it cannot be used.
        """
        for what, given in ("name", name), ("license", license), ("consent", consent), ("text", text or ""):
            check_kind(given, str, f"the {what} of a voice", "give a str")
        if not isinstance(audio, str | Path):  # of a file the encoder keeps the digest
            audio = _read(audio, MAX_REFERENCE_S)
        voice = self.encoder.encode(audio, text or "", name, license=license, consent=consent)
        warn_of_misfit(voice.text, voice.prompt_s)
        return voice

    def voice(self, name: str) -> Voice:
        """A voice of the model, else a registered one.

        Raises:
            VoiceNotFound: there is none of that name.
            VoiceError: a registered one that cannot be used with this model.
            UsageError: a name that is no str.
        """
        check_kind(name, str, "the name of a voice", "give a str")
        return self.fitting(self.registered.named(name, self.voices))

    def fitting(self, voice: Voice) -> Voice:
        """The voice, if this model can speak with it.

        Raises:
            VoiceError: it is of another family, or its speech tokens are of another model.
            UsageError: it is no voice.
        """
        check_kind(voice, Voice, "the voice", "give a Voice, such as voice_from makes")
        own, highest = speech_tokenizer_digest(self.model.folder), int(voice.speech_tokens.max(initial=0))
        wrong = ""
        if voice.family != self.family:
            wrong = f"is of {voice.family}, the model is {self.family}"
        elif own and voice.origin.speech_tokenizer not in ("", own):
            wrong = "was made with another speech tokenizer than this model's"
        elif highest >= (vocabulary := self.model.settings.flow.speech_vocabulary):
            wrong = f"has the speech token {highest}, the model only {vocabulary}"
        if wrong:
            raise VoiceError(f"the voice {voice.name!r} {wrong}; make it again with this model")
        return voice

    def default_voice(self, text: str) -> str:
        """The first voice of the text's language, else the first voice.

        Raises:
            VoiceError: the model comes without voices. UsageError: a text that is no str.
        """
        check_kind(text, str, "the text", "give a str")
        if not self.voices:
            raise VoiceError(
                f"{self.model.folder.path} comes without voices; give a reference clip and its transcript"
            )
        language = spoken_language(text)
        fitting = (name for name, voice in self.voices.items() if voice.language == language)
        return next(fitting, next(iter(self.voices)))

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
        progress: Callable[[Progress], None] | None = None,
    ) -> Audio:
        """Speak the whole text, or all its parts joined; the same seed gives the same audio again.

        `instruction` says how ("Speak softly."); `cross_lingual` takes the voice without the words of its
        recording, which suits a text in another language. Text `as_written` is not normalised. Every frame
        attends to its whole piece, as upstream does offline. With `chunked` it attends to what it would in
        `stream`: the samples are those of the stream.

        Raises:
            TextError: nothing to speak. VoiceNotFound: no such voice. SpeechError: the models failed.
            UsageError: no text, a speed or seed out of range, or an instruction to a model that follows none.
        """
        check_kind(progress, Callable | None, "progress", "give a function")
        parts = Request(text=text).text_parts()
        request = Request(
            text="".join(parts),
            voice=voice,
            style=SpeakingStyle(instruction=instruction, cross_lingual=cross_lingual),
            speed=speed,
            seed=seed,
            chunked=chunked,
            as_written=as_written,
        )
        utterance, text_pieces = self._begin(request)
        every, samples = list(text_pieces), list[np.ndarray]()
        for number, audio in enumerate(utterance.speak(iter(every)), 1):
            samples.append(audio)
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
            Request(
                text=text,
                voice=voice,
                style=SpeakingStyle(instruction=instruction, cross_lingual=cross_lingual),
                speed=speed,
                seed=seed,
                as_written=as_written,
                interleave=interleave,
                streamed=not by_piece,
            )
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
    ) -> AsyncGenerator[Audio, None]:
        """Speak as `stream` does, for `async for`: the loop runs on while a chunk is being made.

        An asynchronous `text` is asked for on the loop in which this is awaited. Closing, or cancelling the
        task, stops all work.

        Raises:
            TextError, VoiceNotFound, SpeechError, UsageError: as `stream` does.
        """
        return self.arun(
            Request(
                text=text,
                voice=voice,
                style=SpeakingStyle(instruction=instruction, cross_lingual=cross_lingual),
                speed=speed,
                seed=seed,
                as_written=as_written,
                interleave=interleave,
                streamed=not by_piece,
            )
        )

    @property
    def interleaves(self) -> bool:
        """Whether the model can begin a sentence before it is complete."""
        return (
            self.model.settings.decoding.fill_token is not None and self.model.settings.pronunciation is None
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
        recording = _read(source)
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
        recording = _read(source)
        yield from self.run(Request(recording=recording, voice=voice, speed=speed, seed=seed, streamed=True))

    def run(self, request: Request) -> Generator[Audio, None, None]:
        """Audio of a request, in the parts that it asks for. Closing the generator stops all work.

        Raises:
            CosyrtError: as `say`, `stream` and `convert`, each of which is one request.
        """
        check_kind(request, Request, "the request", "give a Request")
        if request.recording is not None:
            utterance = self.utterance(request)
            samples = utterance.convert(recording_tokens(self.model.folder, request.recording))
        else:
            utterance, text = self._begin(request)
            samples = (utterance.interleave if request.interleave else utterance.speak)(text)
        with contextlib.closing(samples):
            for each in samples:
                yield Audio(each, self.sample_rate)

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

    def _begin(self, request: Request) -> tuple[Utterance, Iterator[str]]:
        """The state of a request, and the pieces of its text, or its words where it interleaves."""
        if request.interleave and not self.interleaves:
            raise UsageError("this model reads whole sentences; stream without interleave")
        text = opened(request)
        utterance = self.utterance(text.request, text.first)
        if request.interleave:
            return utterance, speakable_words(text.parts)
        return utterance, self._pieces(text, lambda candidate: len(utterance.encode(candidate)))

    def spoken_pieces(self, text: str, *, as_written: bool = False) -> list[str]:
        """Read a text without speaking it: the pieces that `say` would speak one after another.

        Raises:
            TextError: nothing to speak.
        """
        return list(self._pieces(opened(Request(text=text, as_written=as_written)), self.tokenizer.count))

    def _pieces(self, text: OpenedText, count: Count) -> Iterator[str]:
        limits = BY_SENTENCE if self.model.settings.pronunciation else None
        return readable(text_pieces(text, count, self.tokenizer.tags, limits), self.tokenizer.unread)

    def utterance(self, request: Request, text: str = "") -> Utterance:
        """The state of a request that is about to be spoken; `text` is what is known of its text.

        Raises:
            VoiceNotFound, VoiceError: there is no such voice, or it cannot be used with this model.
            UsageError: the model was loaded before this process was forked, and cannot run in it.
        """
        check_usable(self.model, self.loaded_by)
        voice = self._voice(request, text)
        return Utterance(
            self.model,
            request,
            voice,
            self.conditions.of(voice),
            # The splitter measures the pieces that are then spoken: each is encoded once.
            lru_cache(ENCODED_TEXTS)(self.tokenizer.encode),
            overlap=self.overlap,
        )

    def _voice(self, request: Request, text: str) -> Voice:
        asked = self.default_voice(text) if request.voice is None else request.voice
        voice = self.voice(asked) if isinstance(asked, str) else self.fitting(asked)
        if request.voice_digest not in ("", voice.digest):
            raise VoiceError(f"the voice {voice.name!r} is not the one that was asked for; it has changed")
        return voice
