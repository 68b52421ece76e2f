"""cosyrt say: text → sound, a file or standard output."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from cosyrt.cli.label import LabelOptions, label_options
from cosyrt.cli.options import (
    PLAIN_READING,
    ModelOptions,
    OutputOptions,
    PaceOptions,
    ReadingOptions,
    SoundOptions,
    SpeakerOptions,
    StyleOptions,
    model_options,
    output_options,
    pace_options,
    reading_options,
    sound_options,
    speaker_options,
    style_options,
    verbose_option,
)
from cosyrt.cli.run import SpeechRun
from cosyrt.cli.terminal import ShowProgress, progress_bar
from cosyrt.cli.texts import TextCommand, text_of
from cosyrt.errors import TextError, UsageError

if TYPE_CHECKING:
    from io import BufferedReader

    from cosyrt import Audio, Pipeline, Progress, Voice

GREETING = {
    "en": "Hello! This is CosyVoice, speaking from your own machine.",
    "zh": "你好！这是在你自己的电脑上合成的声音。",
}

GivenText = str | Iterator[str]  # whole, or in parts as they arrive on standard input


@click.command(cls=TextCommand)
@click.argument("text", required=False)
@click.option(
    "--file", metavar="FILE", type=click.Path(path_type=Path), help="Speak a .txt, .md, .srt or .epub file."
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write .wav, .mp3, .flac, .opus, .m4a, .webm …; - is stdout."
)
@click.option("--stream", is_flag=True, help="Play or write while the speech is being made.")
@click.option("--interleave", is_flag=True, help="With --stream: begin a sentence before it is complete.")
@click.option("--show-text", is_flag=True, help="Print what would be spoken, and speak nothing.")
@reading_options
@speaker_options
@style_options
@pace_options
@model_options
@sound_options
@label_options
@output_options
@verbose_option
def say(
    text: str | None,
    file: Path | None,
    output: str | None,
    stream: bool,
    interleave: bool,
    show_text: bool,
    reading: ReadingOptions,
    speaker: SpeakerOptions,
    style: StyleOptions,
    pace: PaceOptions,
    model: ModelOptions,
    sound: SoundOptions,
    labelling: LabelOptions,
    printing: OutputOptions,
) -> None:
    """Speak TEXT aloud. Where there is no sound device, write speech.wav.

    Without TEXT it says hello; - reads UTF-8 text from standard input.

    \b
    cosyrt say "Good morning." --voice NAME
    cosyrt say "Good morning." --ref me.wav --ref-text "What I say in it."
    cosyrt say "Good morning." --ref me.wav --instruct "Speak slowly."
    cosyrt say --file chapter.md --stream
    cat chapter.txt | cosyrt say - --stream
    cosyrt say "早上好。" -o - | ffmpeg -i - morning.opus
    """
    if interleave and not stream:
        raise UsageError("--interleave reads the text while it is spoken; add --stream")
    if text is not None and file is not None:
        raise UsageError("both TEXT and --file say what to speak; give one of them")
    asked = text_of(file) if file is not None else None if text is None else _asked(text, stream)
    if show_text:
        _show(model.load(), asked, reading)
        return
    with SpeechRun(output, model, printing, labelling, sound, piecewise=stream) as run:
        texts = SpokenTexts(run.tts, asked, speaker, style, pace, run.voice_names, reading)
        with progress_bar(hidden=printing.quiet) as show:
            run.deliver(texts.streamed(interleave) if stream else texts.whole(show))


class SpokenTexts:
    """The text that was asked for, or else the greetings, each with its voice."""

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
        self._speaker = speaker.of(tts)
        self._texts = _greeting(self._speaker) if asked is None else [asked]
        self._options: dict[str, Any] = {
            "speed": pace.speed,
            "seed": pace.seed,
            "instruction": style.instruct,
            "cross_lingual": style.cross_lingual,
            **reading.asked(),
        }

    def whole(self, show: ShowProgress = lambda step, share: None) -> Generator[Audio]:
        """Speak each text in one piece."""
        for text, voice in self._with_voices():
            yield self.tts.say("".join(text), voice=voice, progress=_shown_by(show), **self._options)

    def streamed(self, interleave: bool) -> Generator[Audio]:
        """Speak each text in chunks, the first of them soon."""
        for text, voice in self._with_voices():
            yield from self.tts.stream(text, voice=voice, interleave=interleave, **self._options)

    def _with_voices(self) -> Iterator[tuple[GivenText, Voice]]:
        for text in self._texts:
            opening, text = (text, text) if isinstance(text, str) else _opening(text)
            voice = self._speaker or self.tts.voices[self.tts.default_voice(opening)]
            self.voice_names.append(voice.name)
            yield text, voice


def _show(tts: Pipeline, asked: GivenText | None, reading: ReadingOptions) -> None:
    """Print each piece of the text as it would be spoken, and below it what the model is given."""
    from cosyrt import Request
    from cosyrt.text.pauses import written_pause

    text = "".join(asked) if asked is not None else "\n".join(GREETING.values())
    for piece in tts.read(Request(text=text, **reading.asked())):
        if piece.silence_s:
            click.echo(written_pause(piece.silence_s))
        if piece.text:
            click.echo(piece.text.strip())
            click.echo("    " + " ".join(tts.tokenizer.units(piece.text)))


def _greeting(speaker: Voice | None) -> list[GivenText]:
    """Greet in the speaker's language, or in every language."""
    language = speaker.language if speaker else None
    return [GREETING[language]] if language in GREETING else list(GREETING.values())


def _asked(text: str, piecewise: bool) -> GivenText:
    if text != "-":
        return _not_empty(text, "the text")
    pieces = _decoded(_standard_input())
    return pieces if piecewise else _not_empty("".join(pieces), "standard input")


def _standard_input() -> BufferedReader:
    """Standard input as bytes.

    Raises:
        UsageError: it is closed.
    """
    if sys.stdin is None:
        raise UsageError("- reads standard input, which is closed; give the text itself")
    return cast("BufferedReader", sys.stdin.buffer)


def _not_empty(text: str, what: str) -> str:
    if not text.strip():
        raise TextError(f"{what} is empty; give some words to speak")
    return text


def _decoded(stream: BufferedReader) -> Iterator[str]:
    """Decode text as it arrives: a pipe may be slow, and is spoken as it comes."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while data := stream.read1(1 << 16):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise TextError(f"standard input is not UTF-8 text ({error.reason}); convert it first") from error
    except OSError as error:  # it is open for writing only, or a folder
        raise UsageError(f"cannot read standard input: {error.strerror}; give the text itself") from error


def _opening(pieces: Iterator[str]) -> tuple[str, Iterator[str]]:
    """Read the first words, to choose a voice by; give them and all pieces including them."""
    opening = ""
    for piece in pieces:
        opening += piece
        if opening.strip():
            break
    return _not_empty(opening, "standard input"), chain([opening], pieces)


def _shown_by(show: ShowProgress) -> Callable[[Progress], None]:
    """Show how many pieces are spoken, as soon as there is more than one."""

    def on_piece(at: Progress) -> None:
        if at.pieces > 1:
            show(f"{at.pieces_done}/{at.pieces}  {at.seconds:.0f} s of audio", at.pieces_done / at.pieces)

    return on_piece
