"""Model folders whose weights anyone can rebuild: every tensor follows from its key and its shape."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosyrt.engine.qwen2_weights import BACKBONE, UNUSED_HEAD

Shapes = dict[str, list[int]]

SMALL = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
PUBLISHED = {"num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2}
BACKBONES = {64: SMALL, 896: PUBLISHED}  # by hidden width


def tensor(key: str, shape: list[int]) -> torch.Tensor:
    """The tensor of that key, by the rule that golden/README.md states."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    n = random.standard_normal(shape).astype(np.float32)
    if key.endswith("original0"):
        n = 0.6 + 0.1 * np.abs(n)
    elif key.endswith("classifier.weight"):
        n *= 60 / np.sqrt(shape[1])
    elif key.endswith("classifier.bias"):
        n = np.full(shape, 120.0)
    elif len(shape) >= 2:
        n /= np.sqrt(np.prod(shape[1:]))
    elif len(shape) == 1:
        n = 1 + 0.1 * np.abs(n) if key.endswith(("weight", "alpha")) else 0.02 * n
    else:
        n = np.array(0.5)
    return torch.from_numpy(np.asarray(n, np.float32))


def part(shapes: Shapes) -> dict[str, torch.Tensor]:
    """All tensors of one file; the text head and the embedding tied to it are one, as upstream saves them."""
    tensors = {
        key: tensor(key, shape) for key, shape in shapes.items() if key != f"{BACKBONE}embed_tokens.weight"
    }
    if UNUSED_HEAD in tensors:
        tensors[f"{BACKBONE}embed_tokens.weight"] = tensors[UNUSED_HEAD]
    return tensors


def backbone(shapes: Shapes) -> dict[str, Any]:
    """`config.json` of the language model, from the shapes of its tensors."""
    vocabulary, width = shapes[f"{BACKBONE}embed_tokens.weight"]
    hidden, _ = shapes[f"{BACKBONE}layers.0.mlp.gate_proj.weight"]
    sizes = {"hidden_size": width, "intermediate_size": hidden, "vocab_size": vocabulary}
    return sizes | BACKBONES[width] | {"rope_theta": 1e6, "rms_norm_eps": 1e-6}


def write_folder(golden: Path, name: str, out: Path) -> None:
    """A folder in the official layout, with `.pt` files, from a golden set's keys and description."""
    shapes = json.loads((golden / f"{name}.keys.json").read_bytes())
    shutil.copyfile(golden / f"{name}.yaml", out / f"{name.rpartition('-')[0]}.yaml")
    if f"{BACKBONE}embed_tokens.weight" in shapes["llm"]:
        (out / "CosyVoice-BlankEN").mkdir()
        (out / "CosyVoice-BlankEN" / "config.json").write_text(json.dumps(backbone(shapes["llm"])))
    for file in ("llm", "flow", "hift"):
        torch.save(part(shapes[file]), out / f"{file}.pt")
