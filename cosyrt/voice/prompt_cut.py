"""Where the prompt of a voice is cut, so that the first chunk of a stream comes early.

A stream may be cut on a grid of chunks that is counted from the first token of the prompt: how soon its first
chunk ends depends on the prompt's length alone. With CosyVoice 2 and 3 (chunks of 25 tokens, at least 12 in
the first) it is after 12 tokens when 13 are left of the prompt over whole chunks, and after 36 when 14 are:
one second later. So up to a second of the recording's silence is left out.

Only silence: the transcript is given to the language model beside the tokens, and a prompt that lacks the
sound of words it has is continued with those words, or mumbled. Some silence stays on either side, because
the quiet beginning of an [f] and the closure of a last [t] count as silence by their level. It is taken from
the beginning first: the end is what the models continue from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cosyrt.voice.reference import Floats

# Length of a prompt in tokens → tokens after it at which the first chunk of a stream ends.
FirstEdge = Callable[[int], int]

SILENCE_BELOW_PEAK_DB = 40.0  # so far below the loudest token; quiet speech sounds are 30 dB below
KEPT_TOKENS = 3  # of silence, on either side of the speech: 0.12 s


def best_cut(
    samples: Floats,  # [N] at least one for each token
    tokens: int,
    first_edge: FirstEdge,
) -> slice:
    """The tokens to keep: the first edge is the earliest that cutting silence can give, the cut the least."""
    leading, trailing = _spare(_is_silent(samples, tokens))
    cut = min(range(leading + trailing + 1), key=lambda cut: (first_edge(tokens - cut), cut))
    start = min(cut, leading)
    return slice(start, tokens - (cut - start))


def _is_silent(
    samples: Floats,  # [N]
    tokens: int,
) -> NDArray[np.bool_]:  # [tokens]
    """Which tokens have a level far below the loudest."""
    width = len(samples) // tokens
    power = np.var(samples[: width * tokens].reshape(tokens, width), axis=1, dtype=np.float64)
    silent: NDArray[np.bool_] = power <= power.max() * 10 ** (-SILENCE_BELOW_PEAK_DB / 10)
    return silent


def _spare(
    silent: NDArray[np.bool_],  # [P]
) -> tuple[int, int]:
    """How many tokens may go at the beginning and at the end."""
    speech = np.flatnonzero(~silent)
    if not len(speech):
        return 0, 0
    return max(0, int(speech[0]) - KEPT_TOKENS), max(0, len(silent) - 1 - int(speech[-1]) - KEPT_TOKENS)
