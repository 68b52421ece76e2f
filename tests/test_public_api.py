"""What `import cosyrt` offers and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cosyrt
from cosyrt import errors

HEAVY = {
    "torch",
    "onnxruntime",
    "wetext",
    "pypinyin",
    "numpy",
    "soundfile",
    "av",
    "tokenizers",
    "safetensors",
}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_public_names() -> None:
    """The public names are these; a change here is a change for every user."""
    assert set(cosyrt.__all__) == {
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
    }


def test_every_public_name_is_there() -> None:
    """Each name of `__all__` can be had, and `dir` shows it."""
    for name in cosyrt.__all__:
        assert getattr(cosyrt, name) is not None
        assert name in dir(cosyrt)


def test_every_error_is_public() -> None:
    """Whatever errors.py raises can be caught by a name of `cosyrt`."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}

    assert classes <= set(cosyrt.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails like that of any module."""
    with pytest.raises(AttributeError, match="no attribute 'spek'"):
        cosyrt.spek


def test_import_loads_nothing_heavy() -> None:
    """`import cosyrt` loads no third-party package."""
    loaded = run("import sys, cosyrt; print(*{name.partition('.')[0] for name in sys.modules})")

    assert HEAVY.isdisjoint(loaded.split())


def test_audio_text_and_voice_do_without_torch() -> None:
    """Audio and text work where torch would be too heavy: none of their modules loads it."""
    loaded = run(
        "import sys, pkgutil, importlib, cosyrt.audio, cosyrt.text, cosyrt.voice\n"
        "for package in (cosyrt.text, cosyrt.voice):\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )

    assert "cosyrt.text.pronounce" in loaded.split()
    assert "torch" not in loaded.split()
