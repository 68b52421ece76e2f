"""The class that vLLM runs our language models with: its own Qwen2, whose head may have a bias."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead
from vllm.model_executor.models.qwen2 import Qwen2ForCausalLM

from cosyrt.accel.vllm.names import OURS


class SpeechModel(Qwen2ForCausalLM):  # type: ignore[misc]  # vLLM is not there where types are checked
    """Qwen2 over speech tokens; the head of CosyVoice 2 has a bias, that of CosyVoice 3 has none."""

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        if getattr(self.config, OURS)["head_bias"]:
            name = f"{prefix}.lm_head" if prefix else "lm_head"
            self.lm_head = ParallelLMHead(
                self.config.vocab_size,
                self.config.hidden_size,
                bias=True,
                quant_config=self.quant_config,
                prefix=name,
            )

    def compute_logits(
        self,
        hidden_states: Tensor,  # [B, D]
    ) -> Tensor | None:  # [B, V]; None on all but one of several devices
        """Logits of the next speech token."""
        logits: Tensor | None = self.logits_processor(
            self.lm_head, hidden_states, getattr(self.lm_head, "bias", None)
        )
        return logits
