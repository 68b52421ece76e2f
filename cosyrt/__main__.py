"""python -m cosyrt"""

from __future__ import annotations

from cosyrt.cli import main

if __name__ == "__main__":
    main(prog_name="cosyrt")
