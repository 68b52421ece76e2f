"""python -m cosyrt, and the command `cosyrt`."""

from __future__ import annotations

import sys

from cosyrt.errors import INTERRUPTED


def main() -> None:
    """Run the command line. Importing it takes a moment, in which Ctrl-C is no error either."""
    try:
        from cosyrt.cli import main as commands

        commands(prog_name="cosyrt")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
