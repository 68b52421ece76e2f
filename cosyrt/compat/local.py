"""Where a model is on this machine: a folder, or what ModelScope or Hugging Face keep of a model id.

Nothing is downloaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cosyrt.arguments import expanded, path_of
from cosyrt.errors import ModelNotFound

MODEL_ID = re.compile(r"[\w.-]+/[\w.-]+")


def local_folder(model: str | os.PathLike[str]) -> Path:
    """The folder of a model by its path, or by its id in the caches of ModelScope and Hugging Face.

    Raises:
        UsageError: it is neither a str nor a path. ModelNotFound: there is no such folder, nor a cached one.
    """
    path = expanded(path_of(model, "model_dir is"))
    if path.is_dir() or not MODEL_ID.fullmatch(str(model)):
        return path  # where it is none, opening it says so
    found = next((place for place in _cached(str(model)) if place.is_dir()), None)
    if found is None:
        raise ModelNotFound(
            f"no model folder at {model}, nor in the caches of ModelScope and Hugging Face; "
            "download it first, and give its folder"
        )
    return found


def _cached(model: str) -> Iterator[Path]:
    """Where the two keep a model; ModelScope's folders changed, and it writes dots of a name out."""
    owner, name = model.split("/")
    home = Path(os.environ.get("MODELSCOPE_CACHE") or Path.home() / ".cache" / "modelscope")
    for root in (home, home / "hub", home / "models", home / "hub" / "models"):
        for written in (name.replace(".", "___"), name):
            yield root / owner / written
    hub = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface", "hub"
    )
    yield from _snapshots(Path(hub) / f"models--{owner}--{name}")


def _snapshots(cached: Path) -> Iterator[Path]:
    """The snapshot that `main` is, then any other, the latest first."""
    main = cached / "refs" / "main"
    if main.is_file():
        yield cached / "snapshots" / main.read_text().strip()
    others = cached.glob("snapshots/*")
    yield from sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)
