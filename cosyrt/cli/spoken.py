"""What `say` speaks: the texts that were asked for, whole, streamed, or at the times of captions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from cosyrt.cli.options import PLAIN_READING, PaceOptions, ReadingOptions, SpeakerOptions, StyleOptions
from cosyrt.cli.terminal import ShowProgress
from cosyrt.cli.texts import not_empty

if TYPE_CHECKING:
    from cosyrt import Audio, Pipeline, Progress, Voice
    from cosyrt.engine.audio_stream import SpokenPiece
    from cosyrt.text.captions import Caption

GREETING = {
    "en": "Hello! This is CosyVoice, speaking from your own machine.",
    "zh": "你好！这是在你自己的电脑上合成的声音。",
}

GivenText = str | Iterator[str]  # whole, or in parts as they arrive on standard input


def _hidden(step: str, share: float | None) -> None:
    """Show no progress."""


class SpokenTexts:
    """The text that was asked for, or else the greetings, each with its voice; notes what is heard when."""

    def __init__(
        self,
        tts: Pipeline,
        asked: GivenText | None,
        speaker: SpeakerOptions,
        style: StyleOptions,
        pace: PaceOptions,
        voice_names: list[str],
        reading: ReadingOptions = PLAIN_READING,
    ) -> None:
        self.tts, self.voice_names = tts, voice_names
        self.heard: list[SpokenPiece] = []
        self._written: list[str] = []  # all text so far
        self._begin_s = 0.0  # of the present text
        self._speaker = speaker.of(tts)
        self._texts = _greeting(self._speaker) if asked is None else [asked]
        self._reading = reading.asked()
        self._options: dict[str, Any] = {
            "speed": pace.speed,
            "seed": pace.seed,
            "instruction": style.instruct,
            "cross_lingual": style.cross_lingual,
            **self._reading,
        }

    def whole(self, show: ShowProgress = _hidden) -> Generator[Audio]:
        """Speak each text in one piece."""
        for text, voice in self._with_voices():
            yield from self._counted([self._said(text, voice, progress=_shown_by(show))])

    def streamed(self, interleave: bool) -> Generator[Audio]:
        """Speak each text in chunks, the first of them soon."""
        for text, voice in self._with_voices():
            speech = self.tts.stream(
                text, voice=voice, interleave=interleave, on_piece=self._note, **self._options
            )
            yield from self._counted(speech)

    def on_time(self, captions: Sequence[Caption], show: ShowProgress = _hidden) -> Generator[Audio]:
        """Speak each caption when it is shown, with silence between; one that is too long is faster."""
        from cosyrt.cli.timed import speak_on_time

        voice = self._voice(" ".join(caption.text for caption in captions))

        def said(caption: Caption, faster: float) -> Audio:
            speed = self._options["speed"] * faster
            return self.tts.say(caption.text, voice=voice, **self._options | {"speed": speed})

        for number, (audio, heard) in enumerate(speak_on_time(captions, said, self.tts.sample_rate), 1):
            self.heard.append(heard)
            show(f"{number}/{len(captions)} captions", number / len(captions))
            yield audio

    def captions(self) -> list[Caption]:
        """Captions of all that was heard so far: the sentences as they are written."""
        from cosyrt.text.captions import captions_of
        from cosyrt.text.normalize import sentence_pairs

        text, lexicon = "\n\n".join(self._written), self._reading["lexicon"]
        if self._reading["as_written"] or not text:
            pairs = [(piece.text, piece.text) for piece in self.heard]
        else:
            pairs = list(sentence_pairs(text, self.tts.tokenizer.tags, lexicon))
        return captions_of(pairs, self.heard)

    def _said(self, text: GivenText, voice: Voice, **more: Any) -> Audio:
        return self.tts.say("".join(text), voice=voice, on_piece=self._note, **more, **self._options)

    def _counted(self, speech: Generator[Audio] | list[Audio]) -> Generator[Audio]:
        """Pass the audio of a text on, and note how long it is."""
        seconds = 0.0
        for audio in speech:
            seconds += audio.seconds
            yield audio
        self._begin_s += seconds

    def _note(self, piece: SpokenPiece) -> None:
        begin_s = self._begin_s
        self.heard.append(piece._replace(begin_s=begin_s + piece.begin_s, end_s=begin_s + piece.end_s))

    def _with_voices(self) -> Iterator[tuple[GivenText, Voice]]:
        for text in self._texts:
            opening, text = (text, text) if isinstance(text, str) else opened(text)
            yield self._kept(text), self._voice(opening)

    def _kept(self, text: GivenText) -> GivenText:
        """Keep the text, for its captions; in parts, as they come."""
        if isinstance(text, str):
            self._written.append(text)
            return text
        self._written.append("")
        return self._kept_parts(text)

    def _kept_parts(self, parts: Iterator[str]) -> Iterator[str]:
        for part in parts:
            self._written[-1] += part
            yield part

    def _voice(self, opening: str) -> Voice:
        voice = self._speaker or self.tts.voices[self.tts.default_voice(opening)]
        self.voice_names.append(voice.name)
        return voice


def opened(pieces: Iterator[str]) -> tuple[str, Iterator[str]]:
    """Read the first words, to choose a voice by; give them and all pieces including them."""
    opening = ""
    for piece in pieces:
        opening += piece
        if opening.strip():
            break
    return not_empty(opening, "standard input"), chain([opening], pieces)


def _greeting(speaker: Voice | None) -> list[GivenText]:
    """Greet in the speaker's language, or in every language."""
    language = speaker.language if speaker else None
    return [GREETING[language]] if language in GREETING else list(GREETING.values())


def _shown_by(show: ShowProgress) -> Callable[[Progress], None]:
    """Show how many pieces are spoken, as soon as there is more than one."""

    def on_piece(at: Progress) -> None:
        if at.pieces > 1:
            show(f"{at.pieces_done}/{at.pieces}  {at.seconds:.0f} s of audio", at.pieces_done / at.pieces)

    return on_piece
