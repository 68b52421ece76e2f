"""cosyrt convert: what is said in a recording, said by another voice."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosyrt.cli.label import LabelOptions, label_options
from cosyrt.cli.options import (
    ModelOptions,
    OutputOptions,
    PaceOptions,
    SoundOptions,
    SpeakerOptions,
    model_options,
    output_options,
    pace_options,
    sound_options,
    speaker_options,
    verbose_option,
)
from cosyrt.cli.paths import UserPath
from cosyrt.cli.run import SpeechRun

if TYPE_CHECKING:
    from cosyrt import Audio, Pipeline, Voice


@click.command()
@click.argument("source", type=UserPath())
@click.option(
    "-o", "--output", metavar="FILE", help="Write .wav, .mp3, .flac, .opus, .m4a, .webm …; - is stdout."
)
@click.option("--stream", is_flag=True, help="Play or write while the speech is being made.")
@speaker_options
@pace_options
@model_options
@sound_options
@label_options
@output_options
@verbose_option
def convert(
    source: Path,
    output: str | None,
    stream: bool,
    speaker: SpeakerOptions,
    pace: PaceOptions,
    model: ModelOptions,
    sound: SoundOptions,
    labelling: LabelOptions,
    printing: OutputOptions,
) -> None:
    """Say again what is said in the recording SOURCE, in another voice: same words, same timing.

    \b
    cosyrt convert mine.wav --voice NAME -o theirs.wav
    cosyrt convert mine.wav --ref someone.wav -o theirs.wav
    """
    from cosyrt import Audio

    recording = Audio.read(source)
    with SpeechRun(output, model, printing, labelling, sound, piecewise=stream) as run:
        voice = speaker.of(run.tts) or run.tts.voices[run.tts.default_voice("")]
        run.voice_names.append(voice.name)
        run.deliver((_streamed if stream else _whole)(run.tts, recording, voice, pace))


def _whole(tts: Pipeline, recording: Audio, voice: Voice, pace: PaceOptions) -> Generator[Audio]:
    yield tts.convert(recording, voice=voice, speed=pace.speed, seed=pace.seed)


def _streamed(tts: Pipeline, recording: Audio, voice: Voice, pace: PaceOptions) -> Generator[Audio]:
    yield from tts.stream_conversion(recording, voice=voice, speed=pace.speed, seed=pace.seed)
