"""Option groups: each is one decorator, and hands a command one typed value."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt import Pipeline, Voice

VERBOSE = "cosyrt.verbose"


def group(kind: type, name: str, *options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A decorator that adds `options` and passes their values to the command as one `kind`, called `name`."""

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
class Model:
    """Which model, and where it runs."""

    model: str | None
    device: str | None

    def load(self) -> Pipeline:
        """Load it.

        Raises:
            ModelError: the folder cannot be used.
        """
        import cosyrt

        return cosyrt.load(self.model, device=self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who speaks.

    Raises:
        UsageError: both a voice's name and a reference clip, or a transcript without a clip.
    """

    voice: str | None
    ref: Path | None
    ref_text: str | None

    def __post_init__(self) -> None:
        if self.voice and self.ref:
            raise UsageError("both --voice and --ref name who speaks; give one of them")
        if self.ref_text and not self.ref:
            raise UsageError("--ref-text is the transcript of a clip; give the clip with --ref")

    def of(self, tts: Pipeline) -> Voice | None:
        """The voice that was asked for, or None where the text decides.

        Raises:
            VoiceNotFound: neither the model has a voice of that name, nor is one registered.
            AudioError: the reference clip cannot be read or used.
        """
        if self.ref:
            return tts.voice_from(self.ref, self.ref_text or "")
        return tts.voice(self.voice) if self.voice else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast, and by which random numbers."""

    speed: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What the model is told beside the text."""

    instruct: str | None
    cross_lingual: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How much is said about the work."""

    json: bool
    quiet: bool

    @property
    def result(self) -> bool:
        """Whether the result is printed: what was asked for as JSON always is."""
        return self.json or not self.quiet


model_options = group(
    Model,
    "model",
    click.option(
        "--model", metavar="FOLDER", help="A CosyVoice model folder.  [default: the built-in voice]"
    ),
    click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps …  [default: the best there is]"),
)

speaker_options = group(
    Speaker,
    "speaker",
    click.option("--voice", metavar="NAME", help="Who speaks; see `cosyrt voices list`."),
    click.option("--ref", metavar="CLIP", type=click.Path(path_type=Path), help="Speak like this recording."),
    click.option("--ref-text", metavar="TEXT", help="What is said in the recording."),
)

pace_options = group(
    Pace,
    "pace",
    click.option(
        "--speed",
        type=click.FloatRange(0.5, 2.0),
        default=1.0,
        show_default=True,
        help="2 is twice as fast.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        show_default=True,
        help="The same seed gives the same speech.",
    ),
)

mode_options = group(
    Mode,
    "mode",
    click.option("--instruct", metavar="TEXT", help='How to speak, such as "Speak softly."'),
    click.option(
        "--cross-lingual",
        is_flag=True,
        help="Take the voice without its words: for a text in another language.",
    ),
)


def _less_to_read(_ctx: click.Context, _option: click.Parameter, given: bool) -> bool:
    if given:
        logging.getLogger("cosyrt").setLevel(logging.ERROR)
    return given


telling_options = group(
    Telling,
    "telling",
    click.option("--json", is_flag=True, help="Print one JSON object instead of text."),
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        callback=_less_to_read,
        help="Print nothing but errors and what --json prints.",
    ),
)


def _more_to_read(ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        ctx.meta[VERBOSE] = True
        logging.getLogger("cosyrt").setLevel(logging.INFO)


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_more_to_read,
    help="Print more, and where an error came from.",
)


def is_verbose(ctx: click.Context) -> bool:
    """Whether -v was given, to whichever command."""
    return bool(ctx.meta.get(VERBOSE))
