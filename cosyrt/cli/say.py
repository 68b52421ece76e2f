"""cosyrt say: text → sound, a file or standard output."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from cosyrt.cli.label import LabelOptions, label_options
from cosyrt.cli.options import (
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
from cosyrt.cli.paths import UserPath
from cosyrt.cli.run import SpeechRun
from cosyrt.cli.spoken import GREETING, GivenText, SpokenTexts
from cosyrt.cli.terminal import progress_bar
from cosyrt.cli.texts import WITH_TIMES, TextCommand, captions_in, not_empty, text_of
from cosyrt.errors import TextError, UsageError
from cosyrt.files import check_target, replace_file

if TYPE_CHECKING:
    from io import BufferedReader

    from cosyrt import Pipeline


@click.command(cls=TextCommand)
@click.argument("text", required=False)
@click.option(
    "--file",
    metavar="FILE",
    type=UserPath(),
    help="Speak a .txt, .md or .epub file, or an .srt or .vtt on time.",
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write .wav, .mp3, .flac, .opus, .m4a, .webm …; - is stdout."
)
@click.option("--stream", is_flag=True, help="Play or write while the speech is being made.")
@click.option("--interleave", is_flag=True, help="With --stream: begin a sentence before it is complete.")
@click.option(
    "--subtitles",
    metavar="FILE",
    type=UserPath(),
    help="Write the sentences and when they are heard: .srt or .vtt.",
)
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
    subtitles: Path | None,
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
    cosyrt say --file film.srt -o film.wav
    cosyrt say "Good morning. It is 9:30." -o a.wav --subtitles a.srt
    cat chapter.txt | cosyrt say - --stream
    cosyrt say "早上好。" -o - | ffmpeg -i - morning.opus
    """
    if interleave and not stream:
        raise UsageError("--interleave reads the text while it is spoken; add --stream")
    if text is not None and file is not None:
        raise UsageError("both TEXT and --file say what to speak; give one of them")
    reading.asked()  # what is wrong with it is told before a model is loaded
    has_times = file is not None and file.suffix.lower() in WITH_TIMES
    if interleave and (subtitles is not None or has_times):
        raise UsageError("--interleave knows no times of sentences; leave it out for subtitles")
    asked = text_of(file) if file is not None else None if text is None else _asked(text, stream)
    if show_text:
        _show(model.load(), asked, reading)
        return
    captions = captions_in(file) if file is not None and has_times else []
    with SpeechRun(output, model, printing, labelling, sound, piecewise=stream) as run:
        texts = SpokenTexts(run.tts, asked, speaker, style, pace, run.voice_names, reading)
        with captions_file(subtitles, texts), progress_bar(hidden=printing.quiet) as show:
            if captions:
                run.deliver(texts.on_time(captions, show))
            else:
                run.deliver(texts.streamed(interleave) if stream else texts.whole(show))


@contextmanager
def captions_file(path: Path | None, texts: SpokenTexts) -> Iterator[None]:
    """Write captions of what was spoken inside, if it ends well; a path that cannot be is refused before.

    Raises:
        UsageError: it is neither .srt nor .vtt, or cannot be written.
    """
    from cosyrt.text.captions import FORMATS

    if path is None:
        yield
        return
    if (write := FORMATS.get(path.suffix.lower())) is None:
        raise UsageError(f"{path} names no kind of subtitles; end it in {' or '.join(FORMATS)}")
    with _writable(path):
        check_target(path)
    yield
    with _writable(path):
        replace_file(path, write(texts.captions()).encode())


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; give another file") from error


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


def _asked(text: str, piecewise: bool) -> GivenText:
    if text != "-":
        return not_empty(text, "the text")
    pieces = _decoded(_standard_input())
    return pieces if piecewise else not_empty("".join(pieces), "standard input")


def _standard_input() -> BufferedReader:
    """Standard input as bytes.

    Raises:
        UsageError: it is closed.
    """
    if sys.stdin is None:
        raise UsageError("- reads standard input, which is closed; give the text itself")
    return cast("BufferedReader", sys.stdin.buffer)


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
