"""Files with damage in them, read by everything that reads files of strangers."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with a few of them changed, lost, doubled, or their end cut."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out)) if out else 0
        match chance.randrange(5):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del out[at : at + chance.randint(1, 64)]
            case 2:
                out[at:at] = out[at : at + chance.randint(1, 64)]
            case 3:
                out[at : at + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
            case _:
                del out[at + 1 :]
    return bytes(out)


def tried(count: int, seed: int) -> dict[str, Any]:
    """How many mutants of each kind were read or refused; `surprises` has what else happened."""
    chance, surprises = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        readers = _readers(Path(folder))
        counted = dict.fromkeys(readers, 0)
        for number in range(count):
            kind = list(readers)[number % len(readers)]
            read, seeds = readers[kind]
            data = mutated(chance.choice(seeds), chance)
            counted[kind] += 1
            if why := _outcome(read, data):
                surprises.append(f"{kind}: {why}")
    return {**counted, "surprises": surprises[:10]}


def _outcome(read: Callable[[bytes], object], data: bytes) -> str:
    """Why reading was neither done nor refused in one line; empty where it was."""
    from cosyrt.errors import CosyrtError

    try:
        read(data)
    except CosyrtError as error:
        return "" if "\n" not in str(error) else f"more than one line: {error}"
    except Exception as error:  # whatever it is, it is a finding
        return repr(error)[:200]
    return ""


Reader = tuple[Callable[[bytes], object], list[bytes]]


def _readers(folder: Path) -> dict[str, Reader]:
    """Each kind of file: what reads it, and whole ones to begin with."""
    import torch

    from benchmarks.scores.loaded import pipeline
    from cosyrt.checkpoint.hyperyaml import read_description
    from cosyrt.checkpoint.pickles import read_pickled
    from cosyrt.voice.voice import Voice
    from tests.service.forms import recording

    weights = folder / "seed.pt"
    torch.save({"a": torch.arange(12.0).view(3, 4), "b": torch.ones(5)}, weights)
    descriptions = [path.read_bytes() for path in sorted(GOLDEN.glob("*.yaml"))]
    sounds = [recording(kind, 0.3) for kind in ("wav", "flac", "ogg", "mp3")]
    voice = next(iter(pipeline().voices.values())).to_bytes()
    return {
        "sounds": (_sound, sounds),
        "descriptions": (_file(folder / "cosyvoice2.yaml", read_description), descriptions),
        "weights": (_file(folder / "llm.pt", read_pickled), [weights.read_bytes()]),
        "voices": (lambda data: Voice.from_bytes(data, "x"), [voice]),
    }


def _sound(data: bytes) -> None:
    import numpy as np

    from cosyrt.audio import Audio

    audio = Audio.read(data, max_s=30.0)
    assert np.isfinite(audio.samples).all(), "samples that are no numbers"


def _file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def through_a_file(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return through_a_file
