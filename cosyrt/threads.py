"""How the threads that share one operation wait for each other."""

from __future__ import annotations

import os

VARIABLE = "OMP_WAIT_POLICY"


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, unless the user has decided otherwise.

    By default they spin. On a machine with other work each waits, spinning, for one that has lost its core:
    on two busy cores that made speech twenty times slower. OpenMP reads its settings once, when torch is
    imported: this must come before.
    """
    os.environ.setdefault(VARIABLE, "PASSIVE")
