"""Whether a piece of text has fewer speech tokens than its words can need, so that some were not spoken.

Calibrated on the built-in voice, whose text tokens are sounds: sentences of the benchmarks have at least 1.8
speech tokens a sound in English and 3.0 in Mandarin; where only one of several sentences is spoken, half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from cosyrt.text.scripts import has_han
from cosyrt.text.sentences import best_break, sentences

_LEAST_ENGLISH, _LEAST_MANDARIN = 1.3, 2.1  # speech tokens a sound
_MOST_ENGLISH, _MOST_MANDARIN = 2.6, 4.4  # of sentences that were spoken whole
_FEW_SOUNDS = 12  # below that, one sound is too much of the whole
# Where a sentence can be taken up again: behind a mark, else at a blank.
_STARTS = (re.compile(r"(?<=[，。！？；：、])|(?<=[,.!?;:])(?=\s)"), re.compile(r"(?=\s)"))


def loses_words(piece: str, sounds: int, speech_tokens: int) -> bool:
    """Whether some of the piece's words cannot have been spoken."""
    least = _LEAST_MANDARIN if has_han(piece) else _LEAST_ENGLISH
    return sounds >= _FEW_SOUNDS and speech_tokens < least * sounds


def unspoken(piece: str, speech_tokens: int, count: Callable[[str], int]) -> str:
    """What is left of a piece that lost words, from the last clause that was begun; `count` gives sounds.

    More may be in it than was lost, never less: the sounds that were spoken are counted as long ones. Where
    there is no mark or blank among them, it is the whole piece.
    """
    spoken = speech_tokens / (_MOST_MANDARIN if has_han(piece) else _MOST_ENGLISH)
    for starts in _STARTS:
        found = [start.start() for start in starts.finditer(piece) if 0 < start.start() < len(piece)]
        if behind := [at for at in found if count(piece[:at]) <= spoken]:
            return piece[behind[-1] :]
    return piece


def smaller_pieces(piece: str, is_speakable: Callable[[str], bool]) -> Iterator[str]:
    """The sentences of a piece; of a single one the two halves, cut at the best place."""
    parts = list(filter(is_speakable, sentences(piece)))
    if len(parts) == 1 and len(piece) > 1:
        cut = best_break(piece, max(1, len(piece) * 2 // 3))
        parts = list(filter(is_speakable, (piece[:cut], piece[cut:])))
    yield from parts
