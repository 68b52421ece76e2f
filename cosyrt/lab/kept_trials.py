"""Results of trials, kept in a file beside the plan, so that the next tuning goes on from them.

They hold as long as nothing has changed that a plan depends on. A trial that had no time, or failed, is kept
by nobody: it is tried again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cosyrt.files import replace_file
from cosyrt.lab.parity import Distances, Parity
from cosyrt.lab.timing import Speedup
from cosyrt.lab.trial import CandidateTiming, TrialResult

SUFFIX = ".trials"  # in place of the plan's; whoever looks for plans does not look at these
LASTING = ("faster", "same", "slower", "wrong")


class KeptTrials:
    """The results for one plan; each is written as soon as it is there."""

    def __init__(self, plan: Path, made_for: Mapping[str, str]) -> None:
        self.path, self.made_for = plan.with_suffix(SUFFIX), dict(made_for)
        self.rows = {(row.part, row.candidate): row for row in self._read()}

    def of(self, row: TrialResult) -> TrialResult:
        """The result that a row had before, or the row itself."""
        return self.rows.get((row.part, row.candidate), row)

    def keep(self, row: TrialResult) -> None:
        """Write a result down, if it is one that lasts.

        Raises:
            OSError: the folder cannot be written.
        """
        if row.verdict in LASTING:
            self.rows[row.part, row.candidate] = row
            data = {"made_for": self.made_for, "rows": [asdict(each) for each in self.rows.values()]}
            replace_file(self.path, json.dumps(data).encode())

    def _read(self) -> list[TrialResult]:
        try:
            found = json.loads(self.path.read_bytes())
            return [_row(each) for each in found["rows"]] if found["made_for"] == self.made_for else []
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            return []  # there are none, or the file was damaged: all is measured anew


def _row(found: dict[str, Any]) -> TrialResult:
    timed, parity, calls = found.pop("timed"), found.pop("parity"), found.pop("calls") or {}
    return TrialResult(
        **found,
        calls={stage: [(size, seconds) for size, seconds in each] for stage, each in calls.items()},
        timed=None if timed is None else CandidateTiming(**timed | {"speedup": Speedup(**timed["speedup"])}),
        parity=None if parity is None else Parity(**parity | {"distances": Distances(**parity["distances"])}),
    )
