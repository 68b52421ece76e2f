"""Where what was measured and made on this machine is kept: the user's cache folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def plans_folder() -> Path:
    """Where plans are: `COSYRT_PLANS`, else the user's cache folder."""
    if given := os.environ.get("COSYRT_PLANS"):
        return Path(given)
    if sys.platform == "win32":
        cache_home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache_home = Path.home() / "Library" / "Caches"
    else:
        cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache_home / "cosyrt" / "plans"


def graphs_folder() -> Path:
    """Where OpenVINO's graphs are: beside the plans."""
    return plans_folder().parent / "graphs"


def engines_folder() -> Path:
    """Where TensorRT's engines are."""
    return plans_folder().parent / "engines"


def inductor_folder() -> Path:
    """Where Inductor's code is."""
    return plans_folder().parent / "inductor"


def digests_folder() -> Path:
    """Where the digests of weights are."""
    return plans_folder().parent / "digests"
