"""cosyrt speaks: a runtime for the CosyVoice family of text-to-speech models.

    import cosyrt

    tts = cosyrt.load()                     # the built-in voice, or a model folder
    tts.say("Hello.").write("hello.wav")

The names below are loaded when first used, so that `import cosyrt` costs nothing: no torch, no onnxruntime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosyrt.accel.load import load
    from cosyrt.audio import Audio
    from cosyrt.engine.pipeline import Pipeline, Progress
    from cosyrt.engine.request import Request, SpeakingStyle
    from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
    from cosyrt.text.lexicon import Lexicon
    from cosyrt.text.pauses import Pauses
    from cosyrt.voice.voice import Voice

from cosyrt.errors import (
    ArchiveError,
    AudioError,
    Busy,
    Cancelled,
    ConfigError,
    CosyrtError,
    DeadlineError,
    MissingDependency,
    ModelError,
    ModelNotFound,
    ReplicaLost,
    SpeechError,
    TextError,
    UsageError,
    VoiceError,
    VoiceNotFound,
    WeightsError,
)
from cosyrt.startup import prepare_torch

__version__ = "0.1.0"

__all__ = [
    "ArchiveError",
    "Audio",
    "AudioError",
    "Busy",
    "Cancelled",
    "ConfigError",
    "CosyrtError",
    "DeadlineError",
    "Lexicon",
    "MissingDependency",
    "ModelError",
    "ModelNotFound",
    "Pauses",
    "Pipeline",
    "Progress",
    "ReplicaLost",
    "Request",
    "Scheduler",
    "SchedulerConfig",
    "SpeakingStyle",
    "SpeechError",
    "TextError",
    "UsageError",
    "Voice",
    "VoiceError",
    "VoiceNotFound",
    "WeightsError",
    "__version__",
    "load",
]

_HOMES = {
    "Audio": "cosyrt.audio",
    "Lexicon": "cosyrt.text.lexicon",
    "Pauses": "cosyrt.text.pauses",
    "Pipeline": "cosyrt.engine.pipeline",
    "Progress": "cosyrt.engine.pipeline",
    "Request": "cosyrt.engine.request",
    "Scheduler": "cosyrt.engine.scheduler",
    "SchedulerConfig": "cosyrt.engine.scheduler",
    "SpeakingStyle": "cosyrt.engine.request",
    "Voice": "cosyrt.voice.voice",
    "load": "cosyrt.accel.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cosyrt' has no attribute {name!r}")
    prepare_torch()
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
