"""Names that both sides know: of the files that are exported, and of what one request carries."""

from __future__ import annotations

ARCHITECTURE = "CosyrtSpeechModel"
OURS = "cosyrt"  # of `config.json`: what vLLM does not know
LEAST = "least"  # of a request's extra arguments: speech tokens before a stop may be picked
