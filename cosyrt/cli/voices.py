"""cosyrt voices: the voices of a model, and those that were registered once and are used by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.options import (
    ModelOptions,
    OutputOptions,
    PaceOptions,
    SpeakerOptions,
    StyleOptions,
    as_recorded_option,
    model_options,
    output_options,
    pace_options,
    verbose_option,
)
from cosyrt.cli.paths import UserPath
from cosyrt.cli.store import database_option
from cosyrt.cli.stored_voices import account_option, add_to_account, remove_from_account, rows_of_account
from cosyrt.cli.terminal import table
from cosyrt.errors import UsageError, VoiceError
from cosyrt.files import check_target

if TYPE_CHECKING:
    from cosyrt import Voice
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.voice.library import VoiceLibrary

COLUMNS = ("name", "language", "source", "family", "prompt_s")
REGISTERED = "registered"

folder_option = click.option(
    "--model", "folder", metavar="FOLDER", help="A CosyVoice model folder.  [default: the built-in voice]"
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there under that name.")


@click.group()
def voices() -> None:
    """Manage the voices of a model and those that were registered.

    \b
    cosyrt voices add me clip.wav --text "What is said in the clip."
    cosyrt say "It speaks as I do." --voice me
    """


@voices.command("list")
@folder_option
@account_option
@database_option
@json_option
@verbose_option
def list_voices(folder: str | None, account: str | None, database: str | None, as_json: bool) -> None:
    """List the voices: language, where each is from, model family, how long its prompt is.

    With --account those that an account of the service may speak with, beside the model's own.
    """
    registered = _rows_of_registered() if account is None else rows_of_account(account, database)
    rows = [*_rows_of_model(folder), *registered]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
    else:
        click.echo(table(COLUMNS, [[_cell(value) for value in row.values()] for row in rows]))


@voices.command()
@click.argument("name")
@folder_option
@json_option
@verbose_option
def show(name: str, folder: str | None, as_json: bool) -> None:
    """Show all that is known of the voice NAME."""
    voice = _named(name, folder)
    facts = _facts(voice)
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else _lines(facts))


@voices.command()
@click.argument("name")
@click.argument("clip", type=UserPath())
@click.option("--text", default="", help="What is said in the clip; without it only the timbre is learnt.")
@click.option("--license", default="", help="Under which terms the voice may be used.")
@click.option("--consent", default="", help="Who agreed to it, when, for what.")
@as_recorded_option
@overwrite_option
@account_option
@database_option
@model_options
@json_option
@verbose_option
def add(
    name: str,
    clip: Path,
    text: str,
    license: str,
    consent: str,
    as_recorded: bool,
    overwrite: bool,
    account: str | None,
    database: str | None,
    model: ModelOptions,
    as_json: bool,
) -> None:
    """Register the voice of the recording CLIP (1 to 30 s) as NAME.

    With --account it is kept for an account of the service, with the consent that was given.

    \b
    cosyrt voices add me clip.wav --text "What is said in the clip." --consent "Myself, 2026-11-21"
    """
    from cosyrt.voice.encoder import read_reference

    library = _library()
    if account is None:
        library.check_free(name, overwrite=overwrite)
    read_reference(clip)  # before the seconds that loading a model takes
    tts = model.load()
    _check_not_own(name, tts.voices)
    voice = tts.voice_from(clip, text, name, license=license, consent=consent, as_recorded=as_recorded)
    if account is not None:
        add_to_account(voice, account, database, overwrite=overwrite)
        _print_stored(voice, account, as_json)
        return
    library.add(voice, overwrite=overwrite)
    settings = tts.model.settings
    chunking = settings.chunking
    chunk_tokens = chunking.first_boundary(len(voice.speech_tokens)) + chunking.lookahead_tokens
    chunk = {"first_chunk_s": round(chunk_tokens / settings.rates.token_hz, 2)}
    _print_registered([voice], as_json, chunk)


@voices.command("import")
@click.argument("file", type=UserPath())
@click.option("--name", help="Another name than the one in the file, which must hold a single voice.")
@overwrite_option
@folder_option
@json_option
@verbose_option
def import_voices(file: Path, name: str | None, overwrite: bool, folder: str | None, as_json: bool) -> None:
    """Register the voices of FILE: a voice file, or spk2info.pt of the model given.

    Of several, those that the model has itself are left out.
    """
    found = _read_voices(file, folder)
    if name is not None:
        if len(found) != 1:
            raise UsageError(f"{file} holds {len(found)} voices; --name is for one, leave it out")
        found = [replace(found[0], name=name)]
    found = _not_own(found, _own(folder))
    library = _library()
    for voice in found:
        library.check_free(voice.name, overwrite=overwrite)
    for voice in found:
        library.add(voice, overwrite=overwrite)
    _print_registered(found, as_json)


@voices.command("export")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", type=UserPath(), required=True)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@model_options
@verbose_option
def export_voices(names: tuple[str, ...], output: Path, overwrite: bool, model: ModelOptions) -> None:
    """Write a voice to a .safetensors file, or one and more to a .pt file that upstream reads.

    A .pt file is of the model given: it holds the text tokens of each transcript.
    """
    _check_output(output, overwrite)
    names = tuple(dict.fromkeys(names))
    if output.suffix == ".pt":
        _export_for_upstream(names, output, model)
    elif output.suffix != ".safetensors":
        raise UsageError(f"{output} ends in neither .safetensors nor .pt; it must be one of them")
    elif len(names) > 1:
        raise UsageError(f"a .safetensors file holds one voice, not {len(names)}; export each to its own")
    else:
        _named(names[0], model.model).save(output)
    click.echo(f"{', '.join(names)} · {output}")


@voices.command()
@click.argument("old")
@click.argument("new")
@folder_option
@verbose_option
def rename(old: str, new: str, folder: str | None) -> None:
    """Call the registered voice OLD by the name NEW."""
    _check_not_own(new, _own(folder))
    _library().rename(old, new)
    click.echo(f"{old} is now {new}")


@voices.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@account_option
@database_option
@verbose_option
def remove(names: tuple[str, ...], account: str | None, database: str | None) -> None:
    """Delete registered voices, with --account those of an account of the service; there is no way back."""
    if account is None:
        _library().remove(*names)
    else:
        remove_from_account(names, account, database)
    for name in dict.fromkeys(names):
        click.echo(f"removed {name}")


@voices.command()
@click.argument("name")
@click.argument("text", required=False)
@click.option("-o", "--output", metavar="FILE", help="Write to a file instead of playing.")
@pace_options
@model_options
@output_options
@verbose_option
def preview(
    name: str,
    text: str | None,
    output: str | None,
    pace: PaceOptions,
    model: ModelOptions,
    printing: OutputOptions,
) -> None:
    """Hear the voice NAME say hello in its language, or TEXT."""
    from cosyrt.cli.run import SpeechRun
    from cosyrt.cli.spoken import SpokenTexts

    with SpeechRun(output, model, printing, piecewise=False) as run:
        speaker = SpeakerOptions(voice=name, ref=None, ref_text=None, as_recorded=False)
        plain = StyleOptions(instruct=None, cross_lingual=False)
        texts = SpokenTexts(run.tts, text, speaker, plain, pace, run.voice_names)
        run.deliver(texts.whole())


def _library() -> VoiceLibrary:
    from cosyrt.voice.library import VoiceLibrary

    return VoiceLibrary()


def _opened(folder: str | None) -> ModelFolder:
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.engine.model import BUILTIN

    return ModelFolder.open(BUILTIN if folder is None else folder)


def _own(folder: str | None) -> dict[str, Voice]:
    from cosyrt.voice.spk2info import voices_of

    return voices_of(_opened(folder))


def _named(name: str, folder: str | None) -> Voice:
    return _library().named(name, _own(folder))


def _check_not_own(name: str, own: Mapping[str, Voice]) -> None:
    """Refuse a name that hides the voice: a model's own voice of that name is found first.

    Raises:
        UsageError: the model has a voice of that name.
    """
    if name in own:
        raise UsageError(f"the model has a voice {name!r} of its own; choose another name")


def _not_own(found: list[Voice], own: Mapping[str, Voice]) -> list[Voice]:
    """Leave out the model's own voices; a model's file of voices holds them too."""
    rest = [voice for voice in found if voice.name not in own]
    if found and not rest:
        _check_not_own(found[0].name, own)
    for voice in found:
        if voice not in rest:
            click.echo(f"cosyrt: {voice.name!r} is the model's own and was left out", err=True)
    return rest


def _read_voices(file: Path, folder: str | None) -> list[Voice]:
    from cosyrt import Voice
    from cosyrt.voice.spk2info import voices_in

    if not file.is_file():
        raise UsageError(f"there is no file {file}; check the path")
    if file.suffix == ".pt" or file.name == "spk2info.safetensors":
        return list(voices_in(file, _opened(folder)).values())
    return [Voice.load(file)]


def _check_output(output: Path, overwrite: bool) -> None:
    """Check, before a model is loaded, that the file may be written.

    Raises:
        UsageError: it exists already, or cannot be written.
    """
    try:
        check_target(output)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot write {output}: {reason}; give another file with -o") from error
    if output.exists() and not overwrite:
        raise UsageError(f"{output} is there already; choose another file, or --overwrite")


def _export_for_upstream(names: tuple[str, ...], output: Path, model: ModelOptions) -> None:
    tts = model.load()
    chosen = {name: tts.voice(name) for name in names}
    from cosyrt.engine.prompts import transcript_tokens
    from cosyrt.voice.spk2info import write_voices

    write_voices(output, chosen, partial(transcript_tokens, encode=tts.tokenizer.encode))


def _rows_of_model(folder: str | None) -> Iterator[dict[str, Any]]:
    for voice in _own(folder).values():
        yield _row(voice, "built-in" if folder is None else folder)


def _rows_of_registered() -> Iterator[dict[str, Any]]:
    """List the registered voices; a damaged file is reported and hides none of the others."""
    library = _library()
    for name in library.names():
        try:
            voice = library.find(name)
        except VoiceError as error:
            click.echo(f"cosyrt: {error}", err=True)
            continue
        if voice is not None:
            yield _row(voice, REGISTERED)


def _row(voice: Voice, source: str) -> dict[str, Any]:
    row = (voice.name, voice.language, source, voice.family, round(voice.prompt_s, 2))
    return dict(zip(COLUMNS, row, strict=True))


def _facts(voice: Voice) -> dict[str, Any]:
    """Describe a voice under the names of the voice file's fields."""
    return {
        "name": voice.name,
        "language": voice.language,
        "family": voice.family,
        "prompt_s": round(voice.prompt_s, 2),
        "text": voice.text,
        **asdict(voice.origin),
    }


def _print_stored(voice: Voice, account: str, as_json: bool) -> None:
    facts = {**_facts(voice), "account": account}
    line = f"{voice.name} · prompt {voice.prompt_s:.2f} s · account {account}"
    click.echo(json.dumps([facts], ensure_ascii=False) if as_json else line)


def _print_registered(made: list[Voice], as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    library = _library()
    facts = [{**_facts(voice), **(more or {}), "file": str(library.path(voice.name))} for voice in made]
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for each in facts:
        chunk = f" · first chunk {each['first_chunk_s']:g} s" if "first_chunk_s" in each else ""
        click.echo(f"{each['name']} · prompt {each['prompt_s']:g} s{chunk} · {each['file']}")


def _lines(facts: Mapping[str, Any]) -> str:
    """Write one line for each fact that is known."""
    known = ((key, value) for key, value in facts.items() if value not in (None, ""))
    return "\n".join(f"{key:<16} {_printable(value)}" for key, value in known)


def _cell(value: object) -> object:
    return "any" if value is None else _printable(value) if isinstance(value, str) else value


def _printable(value: object) -> str:
    """Replace what could steer a terminal: a voice file may be a stranger's."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))
