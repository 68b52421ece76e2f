"""Text → text tokens: Qwen2's byte-level BPE with the tags of a family, or one token for each sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import ConfigError, ModelNotFound, one_line
from cosyrt.families import FAMILIES
from cosyrt.text.ranked_tokenizer import RankedTokenizer
from cosyrt.text.sounds import SOUND_TAGS
from cosyrt.text.special_tokens import special_tokens
from cosyrt.text.tokenizer_file import panics_are_errors, read_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from cosyrt.text.pronounce import ArpabetPinyin

A_WORD = "hello"


class TextTokenizer:
    """Encodes text as the numbers that a language model of CosyVoice 2 or 3 knows."""

    def __init__(self, tokenizer: Tokenizer, pronounce: ArpabetPinyin | None = None) -> None:
        self._tokenizer = tokenizer
        self._pronounce = pronounce

    @classmethod
    def from_folder(
        cls, path: str | Path, pronunciation: str | None = None, *, sound_tags: bool = False
    ) -> TextTokenizer:
        """Read `tokenizer.json`, else `vocab.json` and `merges.txt` of Qwen2.

        `pronunciation` names how text becomes sounds before it is encoded (the key of the model description).
        With `sound_tags` single sounds in brackets are tokens.

        Raises:
            ModelNotFound: the folder has none of these files.
            ConfigError: a file cannot be read, or no pronunciation has that name.
        """
        path = Path(path)
        pronounce = None if pronunciation is None else _pronunciation(pronunciation)
        if not (path / "tokenizer.json").is_file():
            _require(path / "vocab.json", path / "merges.txt")
        try:
            with panics_are_errors():
                tokenizer = read_tokenizer(path)
                if not tokenizer.encode(A_WORD).ids:
                    raise ValueError(f"its vocabulary has nothing for {A_WORD!r}")
        except Exception as error:  # tokenizers raises nothing more precise
            reason = one_line(error, 200)
            raise ConfigError(
                f"the tokenizer in {path} cannot be read: {reason}; download it again"
            ) from error
        if tokenizer.token_to_id("<|endoftext|>") is not None:
            tokenizer.add_special_tokens(list(special_tokens(sound_tags)))
        return cls(tokenizer, pronounce)

    def encode(self, text: str) -> list[int]:
        """Token ids, without marks for begin and end; half a character (a lone surrogate) is left out."""
        text = text.encode(errors="ignore").decode()
        if self._pronounce is not None:
            text = " ".join(self._pronounce(text))
        with panics_are_errors():
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    @property
    def tags(self) -> frozenset[str]:
        """The control tags that the model knows; where it is given nothing but sounds, those of sounds."""
        if self._pronounce is not None:
            return SOUND_TAGS
        return frozenset(token.content for token in self._tokenizer.get_added_tokens_decoder().values())

    @property
    def highest(self) -> int:
        """The highest token id that a text can have."""
        return max(self._tokenizer.get_vocab().values())

    def decode(self, tokens: list[int]) -> str:
        """The text of token ids, tags included. A model with a pronunciation gives its units instead."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=False)
        return text

    def units(self, text: str) -> list[str]:
        """What the model is given of the text: sounds, or else the text of each token."""
        if self._pronounce is not None:
            return self._pronounce(text)
        return [self.decode([token]) for token in self.encode(text)]

    def unread(self, text: str) -> str:
        """Letters of the text that have no sound in the model's pronunciation, each once."""
        return self._pronounce.unread(text) if self._pronounce is not None else ""

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        return len(self.encode(text))


def tokenizer_of(
    folder: ModelFolder, pronunciation: str | None = None, vocabulary: int | None = None
) -> TextTokenizer | RankedTokenizer:
    """The text tokenizer of a model folder, of the kind that its family has.

    `vocabulary` is how many text tokens the model knows, if it is to speak what the tokenizer gives.

    Raises:
        ModelNotFound: the folder lacks its files.
        ConfigError: a file cannot be read, or does not belong to the model.
    """
    family = FAMILIES[folder.family]
    if family.text_tokenizer == "ranked":
        return RankedTokenizer.of(folder)
    path = folder.tokenizer_folder()
    tokenizer = TextTokenizer.from_folder(path, pronunciation, sound_tags=family.sound_tags)
    if vocabulary is not None and (highest := tokenizer.highest) >= vocabulary:
        raise ConfigError(
            f"the tokenizer in {path} gives the text token {highest}, the model knows {vocabulary}; "
            "take the one that belongs to it"
        )
    return tokenizer


def _pronunciation(name: str) -> ArpabetPinyin:
    from cosyrt.text.pronounce import PRONUNCIATIONS

    if name not in list(PRONUNCIATIONS):  # a description may have anything there, a list too
        raise ConfigError(
            f"the model asks for the pronunciation {name!r}; known: {', '.join(PRONUNCIATIONS)}"
        )
    return PRONUNCIATIONS[name]()


def _require(*files: Path) -> None:
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ModelNotFound(
            f"{files[0].parent} lacks {' and '.join(missing)} (and has no tokenizer.json); "
            "download the whole model folder again"
        )
