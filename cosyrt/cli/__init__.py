"""The command line: words come in, the library is called, a result or one line of error goes out.

One module is one command; `say.py` is the first to read. `options.py` holds the options that commands
share, `run.py` a run that makes sound, `output.py` where the sound goes, `terminal.py` tables and progress.
Heavy imports stand in functions, so that help comes at once.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import click

from cosyrt import __version__
from cosyrt.cli.accounts import accounts
from cosyrt.cli.batch import batch
from cosyrt.cli.bench import bench
from cosyrt.cli.convert import convert
from cosyrt.cli.device import device
from cosyrt.cli.doctor import doctor
from cosyrt.cli.export import export
from cosyrt.cli.interrupts import LastingInterrupt
from cosyrt.cli.keys import keys
from cosyrt.cli.label import label
from cosyrt.cli.options import is_verbose
from cosyrt.cli.output import drop_output
from cosyrt.cli.say import say
from cosyrt.cli.serve import serve
from cosyrt.cli.tune import tune
from cosyrt.cli.unforeseen import in_words, print_anything
from cosyrt.cli.voices import voices
from cosyrt.errors import INTERRUPTED, CosyrtError
from cosyrt.startup import prepare_torch

BROKEN_PIPE = 141  # 128 + SIGPIPE


class Commands(click.Group):
    """A group of commands that turns errors into one line and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program; help that cannot be printed is an error of one line, too."""
        print_anything()
        try:
            return super().main(*args, **options)
        except OSError as error:  # outside of `invoke`: help and version are printed before it
            drop_output()
            click.echo(f"cosyrt: {in_words(error)}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; no exception but click's own leaves it."""
        try:
            with LastingInterrupt():
                return super().invoke(ctx)
        except CosyrtError as error:
            drop_output()
            _explain(ctx, str(error))
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            _explain(ctx, "stopped")
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            drop_output()
            ctx.exit(BROKEN_PIPE)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            drop_output()
            _explain(ctx, in_words(error))
            ctx.exit(1)


def _explain(ctx: click.Context, message: str) -> None:
    if is_verbose(ctx):
        traceback.print_exc()
    click.echo(f"cosyrt: {message}", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="cosyrt %(version)s")
def main() -> None:
    """Text to speech on your own machine, with CosyVoice models and a voice built in.

    \b
    cosyrt say                               hear a greeting
    cosyrt say "It speaks." -o speech.mp3    write a file
    """
    prepare_torch()
    logging.basicConfig(format="cosyrt: %(message)s")


main.add_command(accounts)
main.add_command(batch)
main.add_command(bench)
main.add_command(device)
main.add_command(export)
main.add_command(doctor)
main.add_command(label)
main.add_command(keys)
main.add_command(say)
main.add_command(serve)
main.add_command(convert)
main.add_command(tune)
main.add_command(voices)
