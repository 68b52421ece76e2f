"""S13: model folders of strangers: the three official layouts load, what is hostile is refused in one line.

Each folder is loaded as `cosyrt serve --model` does, in a process whose memory is watched. A hostile file
tries to make another file; whether one is there tells whether anything was executed.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scores.lives import Lives
from benchmarks.scores.score import Score, Tell, ms

NAME, TITLE = "S13", "Model folders of strangers"
MOST_S, MOST_BYTES = 2.0, 64 << 20  # of one refusal: of the processor, and of memory
Attack = tuple[str, Callable[[Path, Path], None]]  # its name, and what puts it into (a folder, with a canary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Which of the attacks: the first, and then each that comes so many later."""

    every: int


FAST = Amount(every=8)
FULL = Amount(every=1)


def score(lives: Lives, amount: Amount, tell: Tell) -> Score:
    """Load official layouts and hostile ones."""
    found = Score(NAME, TITLE)
    tell("the three official layouts")
    spoken = lives.call(_accepted)
    found.expect_all(spoken.values(), "an official layout was refused or says nothing")
    tell("hostile folders")
    tried: list[dict[str, Any]] = lives.call(_attacked, amount.every)
    for each in tried:
        found.expect(each["refused"], f"{each['name']}: {each['why']}")
        found.expect(not each["ran"], f"{each['name']}: code was executed")
        found.expect(each["seconds"] < MOST_S, f"{each['name']}: {each['seconds']:.1f} s")
        found.expect(each["grown"] < MOST_BYTES, f"{each['name']}: {each['grown'] >> 20} MB more")
    slowest = max(tried, key=lambda each: each["seconds"])
    found.figures.append(
        f"{sum(spoken.values())} of {len(spoken)} official layouts speak; {len(tried)} hostile folders: "
        f"{sum(each['refused'] for each in tried)} refused, {sum(each['ran'] for each in tried)} executed; "
        f"{ms(slowest['seconds'])} and {max(each['grown'] for each in tried) >> 20} MB at most"
    )
    return found


def _accepted() -> dict[str, bool]:
    """Whether each family's official layout is loaded and says something."""
    from cosyrt.accel.load import load
    from tests import tiny, tiny1, tiny3

    said = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, family in (("CosyVoice", tiny1), ("CosyVoice 2", tiny), ("CosyVoice 3", tiny3)):
            path = Path(folder, name)
            family.write_model(path)
            said[name] = load(path, device="cpu", plan=False).say("Hello.").seconds > 0
    return said


def _attacked(every: int) -> list[dict[str, Any]]:
    """What became of each attack."""
    from tests import tiny

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain")
        tiny.write_model(plain)
        return [
            _tried(plain, Path(folder, f"attack-{number}"), attack)
            for number, attack in enumerate(_attacks())
            if number % every == 0
        ]


def _tried(plain: Path, path: Path, attack: Attack) -> dict[str, Any]:
    import psutil

    from cosyrt.accel.load import load
    from cosyrt.errors import CosyrtError

    name, spoil = attack
    shutil.copytree(plain, path)
    canary = path.parent / f"{path.name}-canary"
    spoil(path, canary)
    before, began, why = psutil.Process().memory_info().rss, time.process_time(), "it was loaded"
    try:
        load(path, device="cpu", plan=False)
        refused = False
    except CosyrtError as error:
        refused = "\n" not in str(error)
        why = str(error)
    seconds, after = time.process_time() - began, psutil.Process().memory_info().rss
    shutil.rmtree(path)
    return {
        "name": name,
        "refused": refused,
        "why": why[:200],
        "ran": canary.exists(),
        "seconds": seconds,
        "grown": max(0, after - before),
    }


def _attacks() -> Iterator[Attack]:
    """Descriptions, weights and encoders that are more than data, damaged, or bombs."""
    from tests.checkpoint import test_hyperyaml, test_pickles

    for name, text in test_hyperyaml.ATTACKS.items():
        yield f"description: {name}", _description(text)
    for name, (value, _) in {**test_pickles.FORBIDDEN, **test_pickles.WRONG_TENSORS}.items():
        yield f"weights: {name}", _program(test_pickles.program(value))
    for name, content in _damaged().items():
        for file in ("llm.pt", "flow.pt", "hift.pt", "cosyvoice2.yaml"):
            yield f"{file}: {name}", _content(file, content)
    yield "weights: a pickle that runs a command", _command
    yield "a link out of the folder", _link


def _damaged() -> dict[str, bytes]:
    """Contents that no file of a model has."""
    return {
        "empty": b"",
        "noise": bytes(range(256)) * 100,
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a zip without members": b"PK\x05\x06" + b"\0" * 18,
        "a page": b"<!doctype html><title>404</title>",
    }


def _description(text: str) -> Callable[[Path, Path], None]:
    def spoil(path: Path, canary: Path) -> None:
        (path / "cosyvoice2.yaml").write_text(text.replace("{canary}", str(canary)), encoding="utf-8")

    return spoil


def _program(pickled: bytes) -> Callable[[Path, Path], None]:
    def spoil(path: Path, _: Path) -> None:
        from tests.checkpoint.test_pickles import write

        write(_pickled(path, "llm.pt"), pickled)

    return spoil


def _content(name: str, content: bytes) -> Callable[[Path, Path], None]:
    def spoil(path: Path, _: Path) -> None:
        _pickled(path, name).write_bytes(content)

    return spoil


def _pickled(path: Path, name: str) -> Path:
    """The place of a pickle that is read because there is no safer file beside it."""
    (path / name).with_suffix(".safetensors").unlink(missing_ok=True)
    return path / name


class _Command:
    """Unpickled, this is a call of the system's."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.canary}",)


def _command(path: Path, canary: Path) -> None:
    import torch

    torch.save({"a": _Command(canary)}, _pickled(path, "llm.pt"))


def _link(path: Path, canary: Path) -> None:
    """Point the description at a file of the system's."""
    (path / "cosyvoice2.yaml").unlink()
    (path / "cosyvoice2.yaml").symlink_to("/etc/passwd")
