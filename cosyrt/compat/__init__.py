"""Upstream's own Python API on our engine: `from cosyrt.compat import AutoModel` and scripts run as they are.

Calls of upstream's classes come in, and become those of a `Pipeline`; tensors go out, as upstream gives them.
Read `cosyvoice.py` first. The page docs/from_upstream.md has every call and flag.
"""

from __future__ import annotations

from cosyrt.startup import prepare_torch

prepare_torch()  # before torch is imported

from cosyrt.compat.cosyvoice import AutoModel, CosyVoice, CosyVoice2, CosyVoice3  # noqa: E402
from cosyrt.compat.realtime import CosyvoiceRealTimeTTS  # noqa: E402

__all__ = ["AutoModel", "CosyVoice", "CosyVoice2", "CosyVoice3", "CosyvoiceRealTimeTTS"]
