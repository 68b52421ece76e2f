"""text → audio, top to bottom. Read this first.

    pieces of text → text tokens → [language model] → speech tokens → [flow] → mel → [vocoder] → samples
                                    speaking.py         chunks.py   mel_stream.py   audio_stream.py

Everything is a generator: asking for audio pulls tokens, closing it stops them. Nothing of an utterance is
kept on the pipeline, so that any number of utterances may run at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from cosyrt.audio import Audio
from cosyrt.engine.mel_stream import Conditions
from cosyrt.engine.model import Model
from cosyrt.engine.prefetch import theirs
from cosyrt.engine.prompts import (
    SpeakingStyle,
    split_arriving_instruction,
    split_instruction,
    without_late_instruction,
)
from cosyrt.engine.session import Session
from cosyrt.errors import TextError, UsageError, VoiceError
from cosyrt.text import split
from cosyrt.text.arriving import whole_words
from cosyrt.text.normalize import check_speakable, is_speakable, spoken_language
from cosyrt.text.passages import whole_passages
from cosyrt.text.split import readable
from cosyrt.text.tokenizer import tokenizer_of
from cosyrt.voice.conversion import recording_tokens
from cosyrt.voice.encoder import VoiceEncoder
from cosyrt.voice.library import VoiceLibrary
from cosyrt.voice.reference import speech_tokenizer_digest
from cosyrt.voice.spk2info import voices_of
from cosyrt.voice.voice import Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far `say` has come."""

    pieces_done: int
    pieces: int
    seconds: float  # of audio made so far


def _parts(text: object) -> Iterator[str]:
    """A text, or the parts in which it comes."""
    parts = [text] if isinstance(text, str) or not isinstance(text, Iterable) else text
    for part in parts:
        if not isinstance(part, str):
            raise UsageError(f"cannot speak {part!r:.80}; give a str, or an iterable of them")
        yield part


def _read(audio: Audio | str | Path) -> Audio:
    return audio if isinstance(audio, Audio) else Audio.read(audio)


class Pipeline:
    """A loaded model: says text, streams text, converts speech, makes voices."""

    def __init__(self, model: Model) -> None:
        self.model = model
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
        return VoiceEncoder(self.model.folder, self.model.settings.chunking.first_edge)

    def voice_from(
        self,
        audio: Audio | str | Path,
        text: str,
        name: str = "reference",
        *,
        license: str = "",
        consent: str = "",
    ) -> Voice:
        """A voice from reference audio (1 to 30 s) and its transcript; `registered.add(voice)` keeps it.

        Raises:
            AudioError: the audio cannot be read or is unfit.
            ModelError: the folder lacks an encoder or it cannot be used.
        """
        return self.encoder.encode(audio, text, name, license=license, consent=consent)

    def voice(self, name: str) -> Voice:
        """A voice of the model, else a registered one.

        Raises:
            VoiceNotFound: there is none of that name.
            VoiceError: a registered one that cannot be used with this model.
        """
        return self.fitting(self.registered.named(name, self.voices))

    def fitting(self, voice: Voice) -> Voice:
        """The voice, if this model can speak with it.

        Raises:
            VoiceError: it is of another family, or its speech tokens are of another model.
        """
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
            VoiceError: the model comes without voices.
        """
        if not self.voices:
            raise VoiceError(
                f"{self.model.folder.path} comes without voices; give a reference clip and its transcript"
            )
        language = spoken_language(text)
        fitting = (name for name, voice in self.voices.items() if voice.language == language)
        return next(fitting, next(iter(self.voices)))

    def say(
        self,
        text: str | Iterable[str],
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
        sees its whole piece, as upstream does offline. With `chunked` it sees what it would see in `stream`:
        the samples are those of the stream.

        Raises:
            TextError: nothing to speak. VoiceNotFound: no such voice. SpeechError: the models failed.
            UsageError: no text, a speed or seed out of range, or an instruction to a model that follows none.
        """
        style = SpeakingStyle(instruction=instruction, cross_lingual=cross_lingual)
        text, style = split_instruction("".join(_parts(text)), style)
        pieces = list(readable(self._split(text, as_written), self.tokenizer.unread))
        session = Session(
            self, self._voice(voice, text), speed, seed, chunked=chunked, edges=False, style=style
        )
        samples: list[np.ndarray] = []
        for number, audio in enumerate(session.run(iter(pieces)), 1):
            samples.append(audio)
            if progress is not None:
                seconds = sum(map(len, samples)) / self.sample_rate
                progress(Progress(pieces_done=number, pieces=len(pieces), seconds=seconds))
        return Audio(np.concatenate(samples), self.sample_rate)

    def stream(
        self,
        text: str | Iterable[str],
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
        if interleave and not self.interleaves:
            raise UsageError("this model reads whole sentences; stream without interleave")
        whole, parts = isinstance(text, str), theirs(_parts(text))
        style = SpeakingStyle(instruction=instruction, cross_lingual=cross_lingual)
        parts, style = split_arriving_instruction(parts, style)
        ready = whole_words(parts) if interleave else parts if whole else whole_passages(parts)
        first, style = split_instruction(next(ready, ""), style)
        chunked = not by_piece
        session = Session(
            self, self._voice(voice, first), speed, seed, chunked=chunked, edges=chunked, style=style
        )
        ready = chain([first], without_late_instruction(ready))
        yield from self._audio(
            session.interleave(self._words(ready))
            if interleave
            else session.run(readable(self._pieces(ready, as_written), self.tokenizer.unread))
        )

    @property
    def interleaves(self) -> bool:
        """Whether the model can begin a sentence before it is complete."""
        return (
            self.model.settings.speaking.fill_token is not None and self.model.settings.pronunciation is None
        )

    def convert(
        self,
        source: Audio | str | Path,
        *,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        seed: int = 0,
        chunked: bool = False,
    ) -> Audio:
        """What is said in a recording of any length, said by another voice: same words, same timing.

        Raises:
            AudioError: the recording cannot be read, is shorter than a tenth of a second, or has fewer than
                8,000 samples a second.
            VoiceNotFound: no such voice. ModelError: the folder lacks the speech tokenizer.
        """
        session = Session(self, self._voice(voice, ""), speed, seed, chunked=chunked, edges=False)
        return Audio.join(self._audio(session.convert(recording_tokens(self.model.folder, _read(source)))))

    def stream_conversion(
        self,
        source: Audio | str | Path,
        *,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        seed: int = 0,
    ) -> Generator[Audio, None, None]:
        """The same as `convert(chunked=True)`, given out as soon as it is certain."""
        session = Session(self, self._voice(voice, ""), speed, seed, chunked=True, edges=True)
        yield from self._audio(session.convert(recording_tokens(self.model.folder, _read(source))))

    def _audio(self, chunks: Generator[np.ndarray, None, None]) -> Generator[Audio, None, None]:
        with contextlib.closing(chunks):
            for samples in chunks:
                yield Audio(samples, self.sample_rate)

    def _split(self, text: str, as_written: bool) -> Iterator[str]:
        if as_written:
            return split.as_written(text, self.tokenizer.count)
        return split.iter_pieces(text, self.tokenizer.count, tags=self.tokenizer.tags)

    def _pieces(self, parts: Iterator[str], as_written: bool) -> Iterator[str]:
        """The pieces of all parts; one that cannot be spoken is passed over, unless there are no others."""
        if not as_written:
            yield from split.arriving_pieces(parts, self.tokenizer.count, tags=self.tokenizer.tags)
            return
        found, refused = False, TextError("the text is empty; give some words to say")
        for part in parts:
            try:
                for piece in self._split(part, as_written):
                    found = True
                    yield piece
            except TextError as error:
                refused = error
        if not found:
            raise refused

    def _words(self, words: Iterator[str]) -> Iterator[str]:
        """The words, of which at least one can be spoken."""
        heard = ""
        for word in words:
            heard = heard if is_speakable(heard) else heard + word
            yield word
        check_speakable(heard, heard)

    def _voice(self, voice: str | Voice | None, text: str) -> Voice:
        if voice is None:
            voice = self.default_voice(text)
        return self.voice(voice) if isinstance(voice, str) else self.fitting(voice)
