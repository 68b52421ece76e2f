"""Upstream's own Python API on our engine: `from cosyrt.compat import AutoModel` and scripts run as they are.

Calls of upstream's classes come in, and become those of a `Pipeline`; tensors go out, as upstream gives them.
Read `cosyvoice.py` first. The page docs/from_upstream.md has every call and flag.
"""

from __future__ import annotations

from cosyrt.startup import prepare_torch

prepare_torch()  # before torch is imported

import logging  # noqa: E402 - upstream's scripts import it from where they import `load_wav`

from cosyrt.compat.cosyvoice import AutoModel, CosyVoice, CosyVoice2, CosyVoice3  # noqa: E402
from cosyrt.compat.frontend import Frontend  # noqa: E402
from cosyrt.compat.model import SpeechModel  # noqa: E402
from cosyrt.compat.realtime import CosyvoiceRealTimeTTS  # noqa: E402
from cosyrt.compat.recording import load_wav  # noqa: E402
from cosyrt.compat.speech import set_all_random_seed  # noqa: E402

__all__ = [
    "AutoModel",
    "CosyVoice",
    "CosyVoice2",
    "CosyVoice3",
    "CosyvoiceRealTimeTTS",
    "Frontend",
    "SpeechModel",
    "load_wav",
    "logging",
    "set_all_random_seed",
]
