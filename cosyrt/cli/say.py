"""cosyrt say: text → sound, a file or standard output."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.options import (
    Mode,
    Model,
    Pace,
    Speaker,
    Telling,
    mode_options,
    model_options,
    pace_options,
    speaker_options,
    telling_options,
    verbose_option,
)
from cosyrt.cli.report import Run
from cosyrt.cli.streams import is_watched, standard_input
from cosyrt.errors import TextError, UsageError

if TYPE_CHECKING:
    from io import BufferedReader

    from cosyrt import Audio, Pipeline, Progress, Voice

GREETING = {
    "en": "Hello! This is CosyVoice, speaking from your own machine.",
    "zh": "你好！这是在你自己的电脑上合成的声音。",
}

Text = str | Iterator[str]
OnProgress = Callable[["Progress"], None]


@click.command()
@click.argument("text", required=False)
@click.option(
    "-o", "--output", metavar="FILE", help="Write .wav, .mp3, .flac, .ogg or .m4a; - is stdout (WAV)."
)
@click.option("--stream", is_flag=True, help="Play or write while the speech is being made.")
@click.option("--interleave", is_flag=True, help="With --stream: begin a sentence before it is complete.")
@speaker_options
@mode_options
@pace_options
@model_options
@telling_options
@verbose_option
def say(
    text: str | None,
    output: str | None,
    stream: bool,
    interleave: bool,
    speaker: Speaker,
    mode: Mode,
    pace: Pace,
    model: Model,
    telling: Telling,
) -> None:
    """Speak TEXT aloud. Where there is no sound device, write speech.wav.

    Without TEXT it says hello; - reads UTF-8 text from standard input.

    \b
    cosyrt say "Good morning." --voice NAME
    cosyrt say "Good morning." --ref me.wav --ref-text "What I say in it."
    cosyrt say "Good morning." --ref me.wav --instruct "Speak slowly."
    cat chapter.txt | cosyrt say - --stream
    cosyrt say "早上好。" -o - | ffmpeg -i - morning.opus
    """
    if interleave and not stream:
        raise UsageError("--interleave reads the text while it is spoken; add --stream")
    asked = None if text is None else _asked(text, stream)
    with Run(output, model, telling, piecewise=stream) as run:
        speech = Speech(run.tts, asked, speaker, mode, pace, run.spoken_by)
        with _progress_bar(telling) as progress:
            run.deliver(speech.streamed(interleave) if stream else speech.whole(progress))


class Speech:
    """What is said, by whom: the text that was asked for, or the greeting."""

    def __init__(
        self,
        tts: Pipeline,
        asked: Text | None,
        speaker: Speaker,
        mode: Mode,
        pace: Pace,
        spoken_by: list[str],
    ) -> None:
        self.tts, self.spoken_by = tts, spoken_by
        self._speaker = speaker.of(tts)
        self._texts = _greeting(self._speaker) if asked is None else [asked]
        self._options: dict[str, Any] = {
            "speed": pace.speed,
            "seed": pace.seed,
            "instruction": mode.instruct,
            "cross_lingual": mode.cross_lingual,
        }

    def whole(self, progress: OnProgress | None) -> Generator[Audio]:
        """Each text in one piece."""
        for text, voice in self._with_voices():
            yield self.tts.say("".join(text), voice=voice, progress=progress, **self._options)

    def streamed(self, interleave: bool) -> Generator[Audio]:
        """Each text in chunks, the first one soon."""
        for text, voice in self._with_voices():
            yield from self.tts.stream(text, voice=voice, interleave=interleave, **self._options)

    def _with_voices(self) -> Iterator[tuple[Text, Voice]]:
        for text in self._texts:
            opening, text = (text, text) if isinstance(text, str) else _opening(text)
            voice = self._speaker or self.tts.voices[self.tts.default_voice(opening)]
            self.spoken_by.append(voice.name)
            yield text, voice


def _greeting(speaker: Voice | None) -> list[Text]:
    """Hello in every language, or in the speaker's own."""
    language = speaker.language if speaker else None
    return [GREETING[language]] if language in GREETING else list(GREETING.values())


def _asked(text: str, piecewise: bool) -> Text:
    if text != "-":
        return _not_empty(text, "the text")
    pieces = _decoded(standard_input())
    return pieces if piecewise else _not_empty("".join(pieces), "standard input")


def _not_empty(text: str, what: str) -> str:
    if not text.strip():
        raise TextError(f"{what} is empty; give some words to speak")
    return text


def _decoded(stream: BufferedReader) -> Iterator[str]:
    """What is there so far, again and again until the end: a pipe may be slow, and is spoken as it comes."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while data := stream.read1(1 << 16):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise TextError(f"standard input is not UTF-8 text ({error.reason}); convert it first") from error


def _opening(pieces: Iterator[str]) -> tuple[str, Iterator[str]]:
    """The first words, to choose a voice by, and all pieces including them."""
    opening = ""
    for piece in pieces:
        opening += piece
        if opening.strip():
            break
    return _not_empty(opening, "standard input"), chain([opening], pieces)


@contextmanager
def _progress_bar(telling: Telling) -> Iterator[OnProgress | None]:
    """A bar on the terminal's standard error, as soon as there is more than one piece to speak."""
    if telling.quiet or not is_watched():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[seconds]:.0f} s of audio")
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, visible=False, seconds=0.0)

        def show(at: Progress) -> None:
            long = at.pieces > 1
            bar.update(task, visible=long, total=at.pieces, completed=at.pieces_done, seconds=at.seconds)

        yield show
