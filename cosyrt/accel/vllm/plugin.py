"""What vLLM calls in each of its processes (entry point `vllm.general_plugins`), and may call again."""

from __future__ import annotations

from cosyrt.accel.vllm.names import ARCHITECTURE

MODEL = "cosyrt.accel.vllm.language_model:SpeechModel"


def register() -> None:
    """Tell vLLM of the class that runs our language models; it is imported where it is used."""
    from vllm import ModelRegistry

    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(ARCHITECTURE, MODEL)
