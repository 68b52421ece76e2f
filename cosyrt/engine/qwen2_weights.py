"""Reading the weights of a folder whose language model is Qwen2: what CosyVoice 2 and 3 have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into
from cosyrt.engine.stages import Networks

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE = "llm.model.model."
UNUSED_HEAD = "llm.model.lm_head.weight"


def load_weights(networks: Networks, folder: ModelFolder) -> None:
    """Give each network the weights of its file.

    Raises:
        ModelError: a file is missing, or does not belong to the description.
    """
    llm = untied(folder.tensors("llm"))
    load_into(networks.llm, llm, file=folder.path / "llm", rename=language_model_name)
    load_into(networks.flow, folder.tensors("flow"), file=folder.path / "flow")
    load_into(networks.vocoder, folder.tensors("hift"), file=folder.path / "hift")


def untied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put the text head in the place of the embedding: upstream ties the two and loads the head last."""
    if UNUSED_HEAD not in tensors:
        return tensors
    return tensors | {f"{BACKBONE}embed_tokens.weight": tensors[UNUSED_HEAD]}


def language_model_name(key: str) -> str | None:
    """Our name for a key of `llm.pt`; None for the text head, which speech does without."""
    if key == UNUSED_HEAD:
        return None
    return key.replace(BACKBONE, "backbone.", 1) if key.startswith(BACKBONE) else key
