"""Text → text tokens of CosyVoice 1: byte pairs merged by rank, with Whisper's tags or upstream's own.

Official folders carry no text vocabulary: upstream takes it from the `whisper` package, or for the 25 Hz
model from its own. It is a table of `base64(token) rank` lines, the `.tiktoken` format; the tags are numbered
after it. Source: byte-pair encoding as in GPT-2; upstream's `tokenizer/tokenizer.py`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from importlib.util import find_spec
from pathlib import Path

from cosyrt.arguments import expanded
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.checkpoint.hyperyaml import Tagged
from cosyrt.errors import ConfigError, ModelNotFound
from cosyrt.ranges import SIZE, IntRange
from cosyrt.text.special_tokens import SPECIAL_TOKENS, upstream_tags, whisper_tags

PATH_VARIABLE = "COSYRT_TIKTOKEN"
WHISPER, UPSTREAM = "multilingual.tiktoken", "multilingual_zh_ja_yue_char_del.tiktoken"
SOURCES = {
    WHISPER: "whisper/assets of github.com/openai/whisper",
    UPSTREAM: "cosyvoice/tokenizer/assets of github.com/FunAudioLLM/CosyVoice",
}
ASSETS = {WHISPER: "whisper/assets", UPSTREAM: "cosyvoice/tokenizer/assets"}  # of packages
PACKAGED = {WHISPER: " (or pip install openai-whisper)", UPSTREAM: ""}
SPARE_TOKENS = 64  # that a model may have beyond its vocabulary: upstream rounds up
LANGUAGES = 100  # how many of them have tags, where the description does not say
MAX_FILE_BYTES = 10_000_000
_GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class RankedTokenizer:
    """Tokens of a text, as the language model of CosyVoice 1 numbers them."""

    def __init__(self, ranks: Mapping[bytes, int], tags: Sequence[str]) -> None:
        from tokenizers import Regex
        from tokenizers.pre_tokenizers import Split

        self._ranks = ranks
        self._tags = {tag: len(ranks) + at for at, tag in enumerate(tags)}
        self._bytes = {rank: token for token, rank in ranks.items()}
        self._bytes |= {number: tag.encode() for tag, number in self._tags.items()}
        self._words = Split(Regex(_GPT2_WORDS), "isolated")
        self._tagged = re.compile("(" + "|".join(map(re.escape, tags)) + ")")

    @classmethod
    def of(cls, folder: ModelFolder) -> RankedTokenizer:
        """The tokenizer that the folder's description asks for; the vocabulary is looked for in the folder.

        Raises:
            ModelNotFound: no vocabulary in the folder, nor where COSYRT_TIKTOKEN points.
            ConfigError: it cannot be read, or has another number of tokens than the language model knows.
        """
        asked = folder.description.get("get_tokenizer")
        tag, args = (asked.tag, asked.args) if isinstance(asked, Tagged) else ("", {})
        own = tag.startswith("cosyvoice.")
        path = _find(folder.path, UPSTREAM if own else WHISPER)
        languages = IntRange(0, 1_000).of(args, "num_languages", LANGUAGES)
        tokenizer = cls(read_ranks(path), (upstream_tags if own else whisper_tags)(languages))
        known = SIZE.of(folder.description["llm"].args, "text_token_size")
        if not known - SPARE_TOKENS <= len(tokenizer._bytes) <= known:
            raise ConfigError(
                f"{path} and its tags are {len(tokenizer._bytes)} text tokens, the model knows {known}; "
                "take the vocabulary that belongs to it"
            )
        return tokenizer

    def encode(self, text: str) -> list[int]:
        """Token ids, without marks for begin and end; tags are tokens of their own.

        Half a character (a lone surrogate) is left out.
        """
        tokens: list[int] = []
        for part in self._tagged.split(text.encode(errors="ignore").decode()):
            tag = self._tags.get(part)
            tokens += self._encoded(part) if tag is None else [tag]
        return tokens

    def decode(self, tokens: list[int]) -> str:
        """The text of token ids, tags included."""
        return b"".join(self._bytes[token] for token in tokens).decode(errors="replace")

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        return len(self.encode(text))

    @property
    def tags(self) -> frozenset[str]:
        """The control tags that the model knows; those of later models are text that it was taught."""
        return frozenset(self._tags) | frozenset(SPECIAL_TOKENS)

    def units(self, text: str) -> list[str]:
        """What the model is given of the text: the text of each token."""
        return [self.decode([token]) for token in self.encode(text)]

    def unread(self, text: str) -> str:
        """Letters of the text that the model cannot say: none, it was taught on bytes."""
        return ""

    def _encoded(self, text: str) -> Iterator[int]:
        for word, _ in self._words.pre_tokenize_str(text):
            yield from merged(word.encode(), self._ranks)


def merged(word: bytes, ranks: Mapping[bytes, int]) -> Iterator[int]:
    """The tokens of one word: of all neighbours that are a token together the lowest rank is joined first."""
    if word in ranks:
        yield ranks[word]
        return
    size = len(word)
    end, before = list(range(1, size + 1)), list(range(-1, size))  # of the part that starts, or ends, there
    joins = [(ranks[word[at : at + 2]], at, at + 2) for at in range(size - 1) if word[at : at + 2] in ranks]
    heapify(joins)
    while joins:
        _, start, stop = heappop(joins)
        middle = end[start]
        if not 0 < middle < size or end[middle] != stop:
            continue  # one of the two is part of something longer by now
        end[start], end[middle], before[stop] = stop, 0, start
        for left, right in ((before[start], stop), (start, end[stop] if stop < size else 0)):
            if left >= 0 and right and word[left:right] in ranks:
                heappush(joins, (ranks[word[left:right]], left, right))
    start = 0
    while start < size:
        yield ranks[word[start : end[start]]]
        start = end[start]


def read_ranks(path: Path) -> dict[bytes, int]:
    """A vocabulary in the `.tiktoken` format.

    Raises:
        ConfigError: it is damaged: a line of another form, a rank twice or left out, a byte without token.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
        pairs = [line.split() for line in path.read_bytes().splitlines() if line]
        ranks = {_token(token): int(rank) for token, rank in pairs}
    except (OSError, ValueError, binascii.Error) as error:
        raise ConfigError(f"the vocabulary {path} cannot be read: {error}; download it again") from error
    whole = sorted(ranks.values()) == list(range(len(pairs)))
    if not (whole and all(bytes([byte]) in ranks for byte in range(256))):
        raise ConfigError(f"the vocabulary {path} is not whole: it lacks ranks or bytes; download it again")
    return ranks


def _token(encoded: bytes) -> bytes:
    """Both vocabularies have the empty token, in a form that is no proper base64."""
    return b"" if encoded == b"=" else base64.b64decode(encoded, validate=True)


def _find(folder: Path, name: str) -> Path:
    """The vocabulary of that name in the model folder, where the variable points, or in a package.

    The variable names a folder, or a file; one that has the name of the other vocabulary is not taken for it.
    """
    asked = os.environ.get(PATH_VARIABLE, "")
    elsewhere = expanded(Path(asked))
    is_other = elsewhere.name in SOURCES and elsewhere.name != name
    named = [*([] if is_other else [elsewhere]), elsewhere / name, elsewhere.parent / name] if asked else []
    found = next((place for place in [folder / name, *named, *_installed(name)] if place.is_file()), None)
    if found is None:
        raise ModelNotFound(
            f"{folder} lacks the text vocabulary {name}, which no official CosyVoice 1 folder carries; "
            f"copy it there from {SOURCES[name]}{PACKAGED[name]}, or name its folder in {PATH_VARIABLE}"
        )
    return found


def _installed(name: str) -> Iterator[Path]:
    """Where a package that may be installed has the vocabulary; the package is not imported."""
    package, *folders = ASSETS[name].split("/")
    try:
        spec = find_spec(package)
    except ValueError:  # a module without one stands for it
        return
    for root in (spec.submodule_search_locations or []) if spec else []:
        yield Path(root, *folders, name)
