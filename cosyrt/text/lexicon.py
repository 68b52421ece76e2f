"""How certain words are said: a user's own list, word → pinyin, ARPAbet, `/IPA/` or another spelling."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cosyrt.arguments import check_kind, path_of, shown
from cosyrt.errors import UsageError
from cosyrt.text.scripts import LATIN
from cosyrt.text.sounds import Sounds, sounds_of
from cosyrt.text.width import fold

MAX_BYTES = 5_000_000
MAX_ENTRIES, MAX_CHARACTERS = 50_000, 200  # of a word, and of what is said
_IN_SLASHES = re.compile(r"/(.+)/")
# A phone with its stress, or a lone consonant in capitals: it was meant as ARPAbet.
_LIKE_ARPABET = re.compile(r"(?<![A-Za-z])[A-Z]{2}[012](?![A-Za-z0-9])")
_LETTER = re.compile(f"[{LATIN}0-9]")

Said = Sounds | str  # the sounds of a word, or what is read in its place


@dataclass(frozen=True)
class Lexicon:
    """Words, and what is said for each; it can be pickled, compared and used as a key.

    A word in small letters stands for itself in capitals too; of several that fit, the longest is taken.

    Raises:
        UsageError: a word or what is said is no text, is empty or too long, or is no pronunciation.
    """

    entries: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if len(self.entries) > MAX_ENTRIES:
            raise UsageError(f"the lexicon has {len(self.entries)} words, more than {MAX_ENTRIES}; give less")
        for word, said in self.entries:
            _check_entry(word, said)

    @classmethod
    def of(cls, words: Lexicon | Mapping[str, str]) -> Lexicon:
        """Make a lexicon of a mapping.

        Raises:
            UsageError: it is none, or has an entry that cannot be used.
        """
        if isinstance(words, Lexicon):
            return words
        check_kind(words, Mapping, "the lexicon", "give a dict, such as {'GIF': 'jiff'}, or a Lexicon")
        return cls(tuple(words.items()))

    @classmethod
    def read(cls, path: str | Path) -> Lexicon:
        """Read a TOML file of lines such as `重庆 = "chong2 qing4"`, in tables or not.

        Raises:
            UsageError: it cannot be read, or has an entry that cannot be used.
        """
        path = path_of(path, "a lexicon is read from")
        try:
            if path.stat().st_size > MAX_BYTES:
                raise UsageError(f"{path} is larger than {MAX_BYTES // 10**6} MB; give a shorter lexicon")
            words = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise UsageError(f"cannot read the lexicon {path}: {error.strerror or error}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(
                f'the lexicon {path} is no TOML ({error}); write lines such as "kubectl" = "cube control"'
            ) from error
        try:
            return cls(tuple(_flat(words).items()))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    def __bool__(self) -> bool:
        return bool(self.entries)

    def replace(self, text: str, say: Callable[[str, Said], str]) -> str:
        """Replace each word of the lexicon in a text by what `say` makes of the word and what is said."""
        found: list[str] = []
        at = done = 0
        while self._starts and (start := self._starts.search(text, at)):
            at = start.start()
            if word := self._word_at(text, at):
                found += text[done:at], say(text[at : at + len(word)], self._said[word])
                at = done = at + len(word)
            else:
                at += 1
        return "".join((*found, text[done:]))

    @cached_property
    def _said(self) -> dict[str, Said]:
        return {fold(word): _said(word, said) for word, said in self.entries}

    @cached_property
    def _lengths(self) -> dict[str, list[int]]:
        """The lengths of the words that begin with a letter, longest first."""
        lengths: dict[str, set[int]] = {}
        for word in self._said:
            capital = word[0].upper()  # of ß it is two letters, which begin no word that is said so
            for start in (word[0], capital) if len(capital) == 1 else word[0]:
                lengths.setdefault(start, set()).add(len(word))
        return {start: sorted(each, reverse=True) for start, each in lengths.items()}

    @cached_property
    def _starts(self) -> re.Pattern[str] | None:
        return re.compile(f"[{''.join(map(re.escape, self._lengths))}]") if self._lengths else None

    def _word_at(self, text: str, at: int) -> str:
        """The longest word of the lexicon that stands there by itself; "" where there is none."""
        for length in self._lengths[text[at]]:
            written = text[at : at + length]
            word = written if written in self._said else written.lower()
            if word in self._said and _stands_alone(text, at, at + len(written)):
                return word
        return ""


NO_LEXICON = Lexicon()


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a word goes on neither before nor behind; between hanzi, without blanks, it never does."""
    before = _LETTER.match(text[start]) and _LETTER.match(text[start - 1 : start])
    after = _LETTER.match(text[end - 1]) and _LETTER.match(text[end : end + 1])
    return not (before or after)


def _flat(words: dict[str, object]) -> dict[str, str]:
    """The entries of a file; those of its tables are put together."""
    flat: dict[str, str] = {}
    for word, said in words.items():
        if isinstance(said, dict):
            flat |= _flat(said)
        else:
            flat[word] = said  # type: ignore[assignment]  # is checked as an entry
    return flat


def _check_entry(word: object, said: object) -> None:
    if not isinstance(word, str) or not isinstance(said, str):
        raise UsageError(f"the lexicon says {shown(said)} for {shown(word)}; give text, such as 'jiff'")
    if not word.strip() or not said.strip() or max(len(word), len(said)) > MAX_CHARACTERS:
        raise UsageError(
            f"the lexicon says {shown(said)} for {shown(word)}; give each 1 to {MAX_CHARACTERS} characters"
        )
    _said(word, said)


def _said(word: str, written: str) -> Said:
    """What an entry asks for.

    Raises:
        UsageError: it is meant as sounds, and is none.
    """
    slashes = _IN_SLASHES.fullmatch(written.strip())
    sounds = sounds_of(slashes[1] if slashes else written)
    if sounds is None and (slashes or _LIKE_ARPABET.search(written)):
        raise UsageError(
            f"the lexicon says {written!r} for {word!r}, which is no pronunciation; "
            "give pinyin (chong2 qing4), ARPAbet (HH AH0 L OW1), IPA in slashes, or another spelling"
        )
    return sounds or written.strip()
