"""Reading the weights of a folder whose language model is Qwen2: what CosyVoice 2 and 3 have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.tensors import load_into
from cosyrt.engine.stages import Networks

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE, OURS = "llm.model.model.", "backbone."
UNUSED_HEAD = "llm.model.lm_head.weight"


def load_weights(networks: Networks, folder: ModelFolder) -> None:
    """Give each network the weights of its file.

    Raises:
        ModelError: a file is missing, or does not belong to the description.
    """
    llm = untied(folder.tensors("llm"))
    load_into(
        networks.llm, llm, file=folder.weights("llm"), rename=language_model_name, official=official_name
    )
    load_into(networks.flow, folder.tensors("flow"), file=folder.weights("flow"))
    load_into(networks.vocoder, folder.tensors("hift"), file=folder.weights("hift"))


def untied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put the text head in the place of the embedding: upstream ties the two and loads the head last."""
    if UNUSED_HEAD not in tensors:
        return tensors
    return tensors | {f"{BACKBONE}embed_tokens.weight": tensors[UNUSED_HEAD]}


def language_model_name(key: str) -> str | None:
    """Our name for a key of `llm.pt`; None for the text head, which speech does without."""
    if key == UNUSED_HEAD:
        return None
    return key.replace(BACKBONE, OURS, 1) if key.startswith(BACKBONE) else key


def official_name(name: str) -> str:
    """The key of `llm.pt` that has our name."""
    return name.replace(OURS, BACKBONE, 1) if name.startswith(OURS) else name
