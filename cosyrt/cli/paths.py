"""Paths that a command is given: `~` where the shell left it, and nothing where a variable was empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cosyrt.arguments import expanded


class UserPath(click.Path):
    """A path whose `~` is the home folder, also in `--out=~/a.wav`, which no shell expands; never empty.

    An empty path would be the working folder: hardly what `--out "$WHERE"` meant.
    """

    def __init__(self, **checks: Any) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Expand the path before it is checked."""
        if str(value) == "":
            self.fail("the path is empty; give a file or a folder", param, ctx)
        return super().convert(str(expanded(Path(value))), param, ctx)
