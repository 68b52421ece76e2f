"""What half of an utterance waits for: the language of utterances and whoever drives them."""

from __future__ import annotations

from enum import Enum


class Need(Enum):
    """What must be done or given before an utterance can go on; the first two are given, not done."""

    TEXT = "more of its text, or the end of it"
    TOKENS = "speech tokens"
    READ = "a turn of the language model"
    READ_AGAIN = "a turn of the language model for a piece that could not be heard"
    ENCODE = "the encoding of its next chunk"
    SOLVE = "an Euler step of the flow"
    VOCODE = "samples of the mel that was solved"
    NOTHING = "it is over"
