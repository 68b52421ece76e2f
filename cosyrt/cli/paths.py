"""Paths that a command is given, with `~` where the shell left it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cosyrt.arguments import expanded


class UserPath(click.Path):
    """A path whose `~` is the home folder, also in `--out=~/a.wav`, which no shell expands."""

    def __init__(self, **checks: Any) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Expand the path before it is checked."""
        return super().convert(str(expanded(Path(value))), param, ctx)
