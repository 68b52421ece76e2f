"""The seam to an engine that makes speech tokens by itself, such as vLLM: `submit → tokens`, `cancel`.

It is given complete texts with their prompts; it batches them, keeps its own cache and picks the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cosyrt.engine.decoding import PrefillInput
from cosyrt.errors import SpeechError


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What an engine is asked for: a text with its prompt, how many tokens, and the seed of their choice."""

    given: PrefillInput
    least: int  # speech tokens before a stop may be picked
    most: int  # tokens at most, a stop among them
    seed: int


class Generation(Protocol):
    """Tokens of one request, in the order in which they were picked; a stop is the last one."""

    def take(self) -> int | SpeechError | None:
        """The next token; why there will be none; None: nothing has come yet."""

    def cancel(self) -> None:
        """Want no more tokens; nothing happens where all have come."""


class TokenEngine(Protocol):
    """Makes the speech tokens of many requests at once."""

    def takes(self, positions: int) -> bool:
        """Whether it is running, and an utterance may be so long."""

    def submit(self, request: TokenRequest) -> Generation:
        """Begin a request, from any thread.

        Raises:
            SpeechError: the engine is not running any more.
        """

    def wait(self, generations: Sequence[Generation], timeout_s: float) -> None:
        """Wait until any of these has something to take, and no longer than that."""
