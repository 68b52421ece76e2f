"""Tables, the machine and JSON, as every benchmark prints and writes them."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> str:
    """Align columns in the order of the first row's keys; numbers have three digits, None is empty."""
    if not rows:
        return ""
    cells = [list(rows[0]), *([_cell(row.get(column)) for column in rows[0]] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def machine() -> dict[str, str | int]:
    """Describe the processor, how much of it is used, and the versions that the figures depend on."""
    import torch

    from cosyrt.machine.probe import cpu_name, usable_cores

    return {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write_json(path: Path, **content: Any) -> None:
    """Write the figures with the machine, for other programs."""
    text = json.dumps({"machine": machine(), **content}, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
