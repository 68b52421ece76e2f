"""Whether a piece of text has fewer speech tokens than its words can need, so that some were not spoken.

Calibrated on the built-in voice, whose text tokens are sounds: sentences of the benchmarks have at least 1.8
speech tokens a sound in English and 3.0 in Mandarin; where only one of several sentences is spoken, half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cosyrt.text.scripts import has_han
from cosyrt.text.sentences import best_break, sentences

_LEAST_ENGLISH, _LEAST_MANDARIN = 1.3, 2.1  # speech tokens a sound
_FEW_SOUNDS = 12  # below that, one sound is too much of the whole


def loses_words(piece: str, sounds: int, speech_tokens: int) -> bool:
    """Whether some of the piece's words cannot have been spoken."""
    least = _LEAST_MANDARIN if has_han(piece) else _LEAST_ENGLISH
    return sounds >= _FEW_SOUNDS and speech_tokens < least * sounds


def smaller_pieces(piece: str, is_speakable: Callable[[str], bool]) -> Iterator[str]:
    """The sentences of a piece; of a single one the two halves, cut at the best place."""
    parts = list(filter(is_speakable, sentences(piece)))
    if len(parts) == 1 and len(piece) > 1:
        cut = best_break(piece, max(1, len(piece) * 2 // 3))
        parts = list(filter(is_speakable, (piece[:cut], piece[cut:])))
    yield from parts
