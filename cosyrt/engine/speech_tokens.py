"""The loop around the language model for one utterance: one row that nobody shares, until it is finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from cosyrt.engine.decoding import Decoder, Pause
from cosyrt.engine.rows import Rows
from cosyrt.engine.stages import Stages
from cosyrt.errors import SpeechError


def speech_tokens(
    stages: Stages,
    decoder: Decoder,
    rng: torch.Generator,
    device: torch.device,
    text: Iterable[int] = (),
) -> Iterator[int]:
    """Yield the speech tokens of one utterance as they are picked; text is asked for when it is needed."""
    rows, words = Rows(stages, decoder.config, device), iter(text)
    row = rows.join(decoder, rng)
    while (given := decoder.next_input()) is not Pause.FINISHED:
        if given is Pause.AWAITS_TEXT:
            _push_next(decoder, words)
            continue
        (spoken,) = rows.step([row])
        if isinstance(spoken, SpeechError):
            raise spoken
        if spoken is not None:
            yield spoken


def _push_next(decoder: Decoder, words: Iterator[int]) -> None:
    """Push one text token, or say that there are no more."""
    for word in words:
        decoder.push([word])
        return
    decoder.end_of_text()
