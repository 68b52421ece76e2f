"""The tiny model to be measured, and its exported archives, which the tests of `accel` share."""

from __future__ import annotations

from tests.accel.conftest import exported, subject

__all__ = ["exported", "subject"]
