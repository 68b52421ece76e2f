"""Whether the transcript of a recording can be what is said in it, by its length alone: no recogniser."""

from __future__ import annotations

import logging
import re

from cosyrt.text.scripts import HAN, KANA

SLOWEST, FASTEST = 0.8, 10.0  # syllables a second, pauses included; readers have 3 to 7
_LETTERS_PER_SYLLABLE = 3.0
_SYLLABLE = re.compile(rf"[{HAN}{KANA}\uac00-\ud7a3]")
_LETTER = re.compile(rf"[^\W\d_{HAN}{KANA}\uac00-\ud7a3]")
log = logging.getLogger(__name__)


def syllables(text: str) -> float:
    """About how many syllables a text has; digits count as none."""
    return len(_SYLLABLE.findall(text)) + len(_LETTER.findall(text)) / _LETTERS_PER_SYLLABLE


def warn_of_misfit(text: str, seconds: float) -> None:
    """Warn of a transcript that cannot be what is said in so many seconds of recording."""
    if wrong := misfit(text, seconds):
        log.warning("%s", wrong)


def misfit(text: str, seconds: float) -> str:
    """What is wrong with a transcript of so many seconds of recording; empty where nothing is."""
    count = syllables(text)
    if not count or SLOWEST * seconds <= count <= FASTEST * seconds:
        return ""
    much = "little" if count < SLOWEST * seconds else "much"
    return (
        f"the transcript has too {much} text for {seconds:.1f} s of recording: speech may lose words or "
        "repeat itself; give exactly what is said in it, or no transcript"
    )
