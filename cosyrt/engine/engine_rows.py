"""Rows whose tokens an engine makes by itself; whoever drives them sees no difference from those of a cache.

All but the choice of tokens stays here: a decoder takes each token, ends or cuts the utterance, and whoever
leaves before the end cancels. Text that is still being written is read by the plain rows of a cache.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import torch

from cosyrt.engine.decoding import Decoder, DecodingConfig, Pause, PrefillInput
from cosyrt.engine.rows import Outcome, Row, Rows, accepted
from cosyrt.engine.stages import Stages
from cosyrt.engine.token_engine import Generation, TokenEngine, TokenRequest
from cosyrt.errors import SpeechError

WAIT_S = 0.02  # for a token, until those who drive the rows may do something else
LARGEST_SEED = 2**63 - 1
log = logging.getLogger(__name__)


class EngineRow(Row):
    """An utterance whose tokens an engine makes; it has no row in the cache."""

    def __init__(self, decoder: Decoder, generation: Generation) -> None:
        super().__init__(decoder, torch.Generator(), deque(maxlen=1), index=-1)
        self.generation = generation

    @property
    def left(self) -> int:
        """Positions to read before the next token: a prompt costs no turn here."""
        return 0 if isinstance(self.decoder.next_input(), Pause) else 1

    def taken(self) -> Outcome:
        """Give the decoder the next token, if one has come."""
        token = self.generation.take()
        if token is None or isinstance(token, SpeechError):
            return token
        self.decoder.next_input()  # which the engine has read by itself
        return accepted(self, token)


class EngineRows(Rows):
    """Rows of an engine, and beside them those of a cache for what the engine does not take."""

    def __init__(
        self,
        engine: TokenEngine,
        stages: Stages,
        config: DecodingConfig,
        device: torch.device,
        *,
        capacity: int = 1,
    ) -> None:
        super().__init__(stages, config, device, capacity=capacity)
        self.engine = engine
        self.elsewhere: list[EngineRow] = []

    @property
    def free(self) -> int:
        """Number of rows that are not taken."""
        return super().free - len(self.elsewhere)

    def bytes_for(self, rows: int) -> int:
        """Size of the cache in bytes once so many rows are taken: none as long as the engine has them."""
        return super().bytes_for(rows) if self.taken else 0

    def join(self, decoder: Decoder, rng: torch.Generator) -> Row:
        """Begin an utterance: in the engine if that takes it, else in a row of the cache."""
        given = decoder.next_input()
        if not isinstance(given, PrefillInput) or given.speaker is not None:
            return super().join(decoder, rng)
        if not self.engine.takes(decoder.cache_positions):
            log.warning("the engine of the language model does not take a text; its plain stages read it")
            return super().join(decoder, rng)
        seed = int(torch.randint(LARGEST_SEED, (), generator=rng))
        least, most = decoder.limits
        row = EngineRow(decoder, self.engine.submit(TokenRequest(given, least, most + 1, seed)))
        self.elsewhere.append(row)
        return row

    def leave(self, row: Row) -> None:
        """Give a row back, whether its utterance is over or not."""
        if not isinstance(row, EngineRow):
            super().leave(row)
            return
        self.elsewhere.remove(row)
        row.generation.cancel()

    def step(self, rows: Sequence[Row], most: int | None = None) -> list[Outcome]:
        """Take the tokens that have come, and read the rows that the engine does not have."""
        found: dict[Row, Outcome] = dict.fromkeys(rows)
        ours = [row for row in rows if not isinstance(row, EngineRow)]
        theirs = [row for row in rows if isinstance(row, EngineRow)]
        if ours:
            found.update(zip(ours, super().step(ours, most), strict=True))
        else:
            self.engine.wait([row.generation for row in theirs], WAIT_S)
        for row in theirs:
            found[row] = row.taken()
        return list(found.values())


def rows_on(stages: Stages, config: DecodingConfig, device: torch.device, *, capacity: int = 1) -> Rows:
    """Rows where these stages run the language model: in an engine of its own, or in a cache here."""
    if stages.engine is None:
        return Rows(stages, config, device, capacity=capacity)
    return EngineRows(stages.engine, stages, config, device, capacity=capacity)
