"""How many words a speech recogniser gets wrong: pocketsphinx with its own English models."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from cosyrt.audio import Audio
from cosyrt.text.normalize import is_speakable, normalize

RECOGNISER_HZ = 16_000


class Recogniser:
    """pocketsphinx 5, en-us, free dictation: no grammar, so nothing tells it what the sentences may be."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=RECOGNISER_HZ, loglevel="FATAL")

    def words(self, audio: Audio) -> list[str]:
        """Recognise words whatever was heard before: the estimates of noise and mean begin anew."""
        samples = np.clip(audio.resample(RECOGNISER_HZ).samples, -1, 1)
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw((samples * 32_767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return words(heard.hypstr) if heard and heard.hypstr else []


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, numbers spelled out; `(2)` after a word is a variant's number."""
    if not is_speakable(text):
        return []
    spoken = normalize(re.sub(r"\(\d+\)", "", text)).lower()
    return [word for word in (part.strip("'") for part in re.findall(r"[a-z']+", spoken)) if word]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions that turn one into the other."""
    row = list(range(len(heard) + 1))
    for index, word in enumerate(said, 1):
        above, row[0] = row[0], index
        for column, other in enumerate(heard, 1):
            above, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, above + (word != other)),
            )
    return row[-1]


def mistakes(said: Sequence[str], heard: Sequence[str]) -> int:
    """Count word errors of a sentence, at most its words: a recogniser may invent without end."""
    return min(len(said), word_errors(said, heard))


def interval(
    errors: Sequence[int],  # of each sentence; or how many more than another stage's
    against: Sequence[int],  # of each sentence: its words for a rate, another stage's errors for a ratio
    resamplings: int = 2_000,
) -> tuple[float, float]:
    """95 % interval of errors / against, by drawing the sentences anew (Bisani and Ney 2004)."""
    drawn = np.random.default_rng(0).integers(0, len(errors), (resamplings, len(errors)))
    # a draw of few sentences may have nothing to divide by
    quotients = np.asarray(errors)[drawn].sum(1) / np.asarray(against)[drawn].sum(1).clip(min=1)
    low, high = np.percentile(quotients, (2.5, 97.5))
    return float(low), float(high)
