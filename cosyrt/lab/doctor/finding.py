"""What the doctor says of one cause of slowness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# shown by its experiment; there, but the experiment could not decide; not there, or without effect; not here
Status = Literal["confirmed", "suspected", "ruled out", "not applicable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause: what was seen, the experiment that was run, each with its figure, and what to do."""

    cause: str
    status: Status
    seen: str
    experiment: str = ""  # empty where nothing was seen that called for one
    fix: str = ""  # one line; empty unless it is named

    @property
    def named(self) -> bool:
        """Whether it is to be told as a cause."""
        return self.status in ("confirmed", "suspected")
