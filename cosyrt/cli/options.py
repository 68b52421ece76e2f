"""Groups of options: each is one decorator, and hands a command one typed value."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.paths import UserPath
from cosyrt.errors import UsageError
from cosyrt.formats import FORMATS
from cosyrt.ranges import SEED, SPEED

if TYPE_CHECKING:
    from cosyrt import Audio, Pipeline, Voice
    from cosyrt.engine.frontend import Frontend

VERBOSE = "cosyrt.verbose"
as_recorded_option = click.option(
    "--as-recorded", is_flag=True, help="Keep the recording's samples: do not trim it, or let its ends fade."
)
MIN_RATE, MAX_RATE = 4_000, 192_000


def group(kind: type, name: str, *options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a decorator that adds options and hands their values to the command as one `kind`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def gathered(**values: Any) -> None:
            mine = {field.name: values.pop(field.name) for field in fields(kind)}
            command(**values, **{name: kind(**mine)})

        for option in reversed(options):
            gathered = option(gathered)
        return gathered

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which model is loaded, and where it runs."""

    model: str | None
    weights: str
    device: str | None

    def load(self) -> Pipeline:
        """Load the model.

        Raises:
            ModelError: the folder cannot be used.
        """
        import cosyrt

        return cosyrt.load(self.model, device=self.device, weights=self.weights)

    def frontend(self) -> Frontend:
        """Read texts and voices for the model; its weights are loaded elsewhere.

        Raises:
            ModelError: the folder cannot be used.
        """
        from cosyrt.engine.frontend import Frontend
        from cosyrt.engine.model import DescribedModel, folder_of

        return Frontend(DescribedModel.read(folder_of(self.model, self.weights)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerOptions:
    """Who speaks: a voice by its name, or a reference clip.

    Raises:
        UsageError: an empty name, both a name and a reference clip, or a transcript without a clip.
    """

    voice: str | None
    ref: Path | None
    ref_text: str | None
    as_recorded: bool

    def __post_init__(self) -> None:
        if self.voice is not None and not self.voice.strip():
            raise UsageError("--voice is empty; give a name of `cosyrt voices list`, or leave it out")
        if self.voice and self.ref:
            raise UsageError("both --voice and --ref name who speaks; give one of them")
        if self.ref_text and not self.ref:
            raise UsageError("--ref-text is the transcript of a clip; give the clip with --ref")
        if self.as_recorded and not self.ref:
            raise UsageError("--as-recorded is about a clip; give the clip with --ref")

    def of(self, tts: Frontend) -> Voice | None:
        """The voice that was asked for, or None where the text decides.

        Raises:
            VoiceNotFound: neither the model has a voice of that name, nor is one registered.
            AudioError: the reference clip cannot be read or used.
        """
        if self.ref:
            return tts.voice_from(self.ref, self.ref_text or "", as_recorded=self.as_recorded)
        return tts.voice(self.voice) if self.voice else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceOptions:
    """How fast the speech is, and the seed of its random numbers."""

    speed: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleOptions:
    """How the text is to be spoken."""

    instruct: str | None
    cross_lingual: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How the text is read: its numbers, certain words of it, and the silence between its parts."""

    as_written: bool = False
    lexicon: Path | None = None
    sentence_gap: float = 0.0
    paragraph_gap: float = 0.0

    def asked(self) -> dict[str, Any]:
        """The arguments of `Pipeline.say` and of a `Request` that these options ask for.

        Raises:
            UsageError: the lexicon cannot be used, or a gap is out of range.
        """
        from cosyrt import Lexicon, Pauses

        return {
            "as_written": self.as_written,
            "lexicon": Lexicon() if self.lexicon is None else Lexicon.read(self.lexicon),
            "pauses": Pauses(sentence_s=self.sentence_gap, paragraph_s=self.paragraph_gap),
        }


PLAIN_READING = ReadingOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundOptions:
    """How the sound is written, and how loud it is.

    Raises:
        UsageError: both a gain and a loudness.
    """

    format: str | None = None
    rate: int | None = None
    gain: float | None = None
    loudness: float | None = None

    def __post_init__(self) -> None:
        if self.gain is not None and self.loudness is not None:
            raise UsageError("both --gain and --loudness say how loud it is; give one of them")

    def levelled(self, chunks: Generator[Audio]) -> Generator[Audio]:
        """Pass audio on, as loud as was asked for; a loudness can be told of the whole alone."""
        from cosyrt.audio import Audio
        from cosyrt.loudness import amplified_stream, at_loudness

        with closing(chunks):
            if self.loudness is not None:
                yield at_loudness(Audio.join(chunks), self.loudness)
            elif self.gain is not None:
                yield from amplified_stream(chunks, self.gain)
            else:
                yield from chunks


PLAIN_SOUND = SoundOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How much a command prints about its work."""

    json: bool
    quiet: bool

    @property
    def result(self) -> bool:
        """Tell whether the result is printed; JSON that was asked for always is."""
        return self.json or not self.quiet


model_options = group(
    ModelOptions,
    "model",
    click.option(
        "--model", metavar="FOLDER", help="A CosyVoice model folder.  [default: the built-in voice]"
    ),
    click.option(
        "--weights", metavar="NAME", default="", help="Of several language models: rl for llm.rl.pt."
    ),
    click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps …  [default: the best there is]"),
)

speaker_options = group(
    SpeakerOptions,
    "speaker",
    click.option("--voice", metavar="NAME", help="Who speaks; see `cosyrt voices list`."),
    click.option("--ref", metavar="CLIP", type=UserPath(), help="Speak like this recording."),
    click.option("--ref-text", metavar="TEXT", help="What is said in the recording."),
    as_recorded_option,
)

pace_options = group(
    PaceOptions,
    "pace",
    click.option(
        "--speed",
        type=click.FloatRange(SPEED.least, SPEED.most),
        default=1.0,
        show_default=True,
        help="2 is twice as fast.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(SEED.least, SEED.most),
        default=0,
        show_default=True,
        help="The same seed gives the same speech.",
    ),
)

reading_options = group(
    ReadingOptions,
    "reading",
    click.option("--as-written", is_flag=True, help="Leave numbers and signs of the text as they are."),
    click.option(
        "--lexicon",
        metavar="FILE",
        type=UserPath(),
        help='How words are said: TOML lines such as GIF = "jiff" or "重庆" = "chong2 qing4".',
    ),
    click.option(
        "--sentence-gap", metavar="SECONDS", type=float, default=0.0, help="Silence between sentences."
    ),
    click.option(
        "--paragraph-gap", metavar="SECONDS", type=float, default=0.0, help="Silence between paragraphs."
    ),
)

sound_options = group(
    SoundOptions,
    "sound",
    click.option(
        "--format",
        metavar="NAME",
        type=click.Choice(list(FORMATS), case_sensitive=False),
        help="Write wav, mp3, flac, ulaw …, whatever the file is called.  [default: by name; for - wav]",
    ),
    click.option(
        "--rate",
        metavar="HZ",
        type=click.IntRange(MIN_RATE, MAX_RATE),
        help="Samples a second of the file, such as 8000.",
    ),
    click.option("--gain", metavar="DB", type=float, help="Make it louder, or softer with a minus: -6."),
    click.option(
        "--loudness", metavar="LUFS", type=float, help="Make the whole this loud, such as -16 (EBU R 128)."
    ),
)

style_options = group(
    StyleOptions,
    "style",
    click.option("--instruct", metavar="TEXT", help='How to speak, such as "Speak softly."'),
    click.option(
        "--cross-lingual",
        is_flag=True,
        help="Take the voice without its words: for a text in another language.",
    ),
)


def _print_only_errors(_ctx: click.Context, _option: click.Parameter, given: bool) -> bool:
    if given:
        logging.getLogger("cosyrt").setLevel(logging.ERROR)
    return given


output_options = group(
    OutputOptions,
    "printing",
    click.option("--json", is_flag=True, help="Print one JSON object instead of text."),
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        callback=_print_only_errors,
        help="Print nothing but errors and what --json prints.",
    ),
)


def _print_more(ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        ctx.meta[VERBOSE] = True
        logging.getLogger("cosyrt").setLevel(logging.INFO)


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_more,
    help="Print more, and where an error came from.",
)


def is_verbose(ctx: click.Context) -> bool:
    """Tell whether -v was given, to whichever command."""
    return bool(ctx.meta.get(VERBOSE))
