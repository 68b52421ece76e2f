"""A model's text and voices, without its networks: requests are checked and opened, recordings become voices.

A `Pipeline` is a frontend with networks behind it. A gateway of a cluster has a frontend alone: the networks
are in the replicas.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

from cosyrt.arguments import check_kind
from cosyrt.engine.model import DescribedModel
from cosyrt.engine.pieces import Count, OpenedText, opened, speakable_words, text_pieces
from cosyrt.engine.prompts import EncodeText, prompt_of
from cosyrt.engine.request import Request
from cosyrt.engine.token_stream import Item
from cosyrt.engine.utterance import Kind, Source
from cosyrt.engine.voices import Voices
from cosyrt.errors import UsageError
from cosyrt.text.split import BY_SENTENCE, Piece, check_readable, readable
from cosyrt.text.tokenizer import tokenizer_of
from cosyrt.voice.conversion import recording_tokens

ENCODED_TEXTS = 256  # that are kept of an utterance


class Frontend(Voices):
    """Reads texts and recordings for one model: what is known of a request before any network runs."""

    def __init__(self, model: DescribedModel) -> None:
        super().__init__(model)
        settings = model.settings
        self.tokenizer = tokenizer_of(model.folder, settings.pronunciation, settings.llm.text_vocabulary)

    @property
    def device(self) -> str:
        """Where the models run."""
        return str(self.model.device)

    @property
    def sample_rate(self) -> int:
        """Samples a second of all audio made here."""
        return self.model.settings.rates.sample_hz

    @property
    def interleaves(self) -> bool:
        """Whether the model can begin a sentence before it is complete."""
        return (
            self.model.settings.decoding.fill_token is not None and self.model.settings.pronunciation is None
        )

    def open(self, request: Request) -> Source:
        """What a request is spoken from; the beginning of its text is read, which may keep one waiting.

        No model runs, but the speech tokenizer where a recording is converted.

        Raises:
            CosyrtError: it cannot be spoken, as far as that is known from the beginning of its text.
        """
        check_kind(request, Request, "the request", "give a Request")
        self._check_usable(request)
        # The splitter measures the pieces that are then spoken: each is encoded once.
        encode = lru_cache(ENCODED_TEXTS)(self.tokenizer.encode)
        if request.recording is not None:
            tokens = recording_tokens(self.model.folder, request.recording)
            return self._source(request, "", encode, tokens, Kind.TOKENS)
        text = opened(request)
        if request.interleave:
            words = speakable_words(text, self.tokenizer.tags)
            return self._source(text.request, text.first, encode, words, Kind.WORDS)
        pieces = self._pieces(text, lambda candidate: len(encode(candidate)))
        return self._source(text.request, text.first, encode, pieces, Kind.PIECES)

    def _source(
        self, request: Request, first: str, encode: EncodeText, items: Iterator[Item], kind: Kind
    ) -> Source:
        voice = self.voice_of(request, first)
        return Source(request, voice, prompt_of(voice, request.style, encode), encode, items, kind)

    def check(self, request: Request) -> None:
        """Refuse a request that cannot be spoken, before any model runs; a text that arrives is not read.

        Raises:
            CosyrtError: as `run`, as far as it is known without waiting for a text that arrives.
        """
        self.prepare(request)

    def prepare(self, request: Request) -> Source | None:
        """Check a request and open it; None where that would wait for a text that arrives.

        Raises:
            CosyrtError: as `check`.
        """
        check_kind(request, Request, "the request", "give a Request")
        if request.recording is None and not isinstance(request.text, str):
            self._check_usable(request)
            prompt_of(self.voice_of(request, ""), request.style, self.tokenizer.encode)
            return None
        source = self.open(request)
        if request.recording is not None:
            return source
        return source._replace(items=chain([next(source.items)], source.items))

    def _check_usable(self, request: Request) -> None:
        if request.interleave and not self.interleaves:
            raise UsageError("this model reads whole sentences; stream without interleave")

    def read(self, request: Request) -> list[Piece]:
        """Read the text of a request without speaking it: the pieces that would be spoken one after another.

        Raises:
            TextError: nothing to speak.
        """
        return list(self._pieces(opened(request), self.tokenizer.count))

    def _pieces(self, text: OpenedText, count: Count) -> Iterator[Piece]:
        if isinstance(text.request.text, str):
            check_readable(text.request.text, self.tokenizer.unread)
        limits = BY_SENTENCE if self.model.settings.pronunciation else None
        return readable(text_pieces(text, count, self.tokenizer.tags, limits), self.tokenizer.unread)
