"""A text tokenizer's files, read as data: the vocabulary and the merges are taken, nothing else.

A `tokenizer.json` may ask for steps that let text grow, that search for ever, or that end the process. The
models were trained with known steps. So the tokenizer is built here from what the file lists: words with
their numbers, pairs to merge, and tags.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosyrt.errors import ConfigError, reason_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 16_000_000  # Qwen2's tokenizer.json has 7 MB
MAX_WORDS, MAX_TAGS = 500_000, 2_000  # Qwen2 has 151 643 words
MAX_CONTAINERS = 1_000_000  # merges may be lists
MAX_WORD_CHARACTERS, MAX_TAG_CHARACTERS = 1_000, 100

# Letters in runs with one leading symbol or space, digits one by one, symbols in runs, line ends apart.
_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TAG = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
_BLANK: tuple[object, ...] = (None, {}, [])
# What a file may say of each step without a warning: the types that are known, or do nothing here.
_KNOWN_STEPS = {
    "truncation": (),
    "padding": (),
    "normalizer": ("NFC",),
    "pre_tokenizer": ("Sequence", "WhitespaceSplit"),
    "post_processor": ("ByteLevel",),
    "decoder": ("ByteLevel",),
}


def read_tokenizer(path: Path) -> Tokenizer:
    """Build the tokenizer of a `tokenizer.json`, else of `vocab.json` and `merges.txt`, in a folder.

    Raises:
        ValueError: a file is not what it is called, or too large. OSError: it cannot be read.
    """
    from tokenizers.models import BPE

    if (path / "tokenizer.json").is_file():
        return _from_json(path / "tokenizer.json")
    files = path / "vocab.json", path / "merges.txt"
    for file in files:
        _check_size(file)
    return _byte_pairs(BPE.from_file(*map(str, files)))  # data already, and a third faster than by hand


@contextmanager
def panics_are_errors() -> Iterator[None]:
    """Turn a panic of the tokenizers library, which no `except Exception` catches, into a ConfigError.

    Raises:
        ConfigError: the library gave up.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ConfigError(
            f"the tokenizer gave up: {reason_of(error)}; download the model's tokenizer again"
        ) from error


def _from_json(path: Path) -> Tokenizer:
    from tokenizers.models import BPE

    content = _read_json(path)
    model = content.get("model")
    if not isinstance(model, dict):
        raise ValueError("tokenizer.json describes no model")
    words = _numbered(model.get("vocab"))
    kind = model.get("type", "BPE" if "merges" in model else "WordLevel")
    if kind == "BPE":
        tokenizer = _byte_pairs(BPE(words, _pairs(model.get("merges"))))
    elif kind == "WordLevel":
        tokenizer = _whole_words(words, model.get("unk_token"))
    else:
        raise ValueError(f"its model is of the type {str(kind)[:40]!r}, not BPE or WordLevel")
    _warn_of_ignored(path, content, model)
    _add_tags(tokenizer, content.get("added_tokens") or [])
    return tokenizer


def _byte_pairs(model: BPE) -> Tokenizer:
    """Qwen2's byte-level pairs: composed letters, its words, no marks added."""
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

    tokenizer = Tokenizer(model)
    if any(tokenizer.token_to_id(byte) is None for byte in pre_tokenizers.ByteLevel.alphabet()):
        raise ValueError("its vocabulary lacks bytes")
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def _whole_words(words: dict[str, int], unknown: object) -> Tokenizer:
    """One number for each word between blanks, and one for every other word."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel

    if not isinstance(unknown, str) or unknown not in words:
        raise ValueError("its vocabulary lacks the word that stands for unknown ones")
    tokenizer = Tokenizer(WordLevel(words, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _add_tags(tokenizer: Tokenizer, added: object) -> None:
    """Add the tags of a file in the order of their numbers, and hold them against the numbers they get."""
    if not isinstance(added, list) or len(added) > MAX_TAGS:
        raise ValueError(f"it has more than {MAX_TAGS} tags, or no list of them")
    tags = {tag["content"]: tag["id"] for tag in added}
    for tag in tags:
        if len(tag) > MAX_TAG_CHARACTERS or not _TAG.fullmatch(tag):
            raise ValueError(f"it has the tag {tag[:40]!a}, which is not of the form <NAME> or [NAME]")
    tokenizer.add_special_tokens(sorted(tags, key=tags.__getitem__))
    for tag, number in tags.items():
        if tokenizer.token_to_id(tag) != number:
            raise ValueError(f"its tag {tag!a} does not follow its vocabulary")


def _warn_of_ignored(path: Path, content: dict[str, Any], model: dict[str, Any]) -> None:
    """Name the steps of a file that no model of these families was trained with, and that are left out."""
    ignored = [step for step, known in _KNOWN_STEPS.items() if _type(content.get(step)) not in (None, *known)]
    patterns = _patterns(content.get("pre_tokenizer"))
    if any(pattern != _QWEN2_WORDS for pattern in patterns) and "pre_tokenizer" not in ignored:
        ignored.append("pre_tokenizer")
    ignored += [f"model.{name}" for name in ("dropout",) if model.get(name)]
    if ignored:
        log.warning("%s: %s ignored; only the vocabulary, merges and tags are read", path, ", ".join(ignored))


def _type(step: object) -> str | None:
    """The type of a step; None where the file has none."""
    if step in _BLANK:
        return None
    return str(step.get("type")) if isinstance(step, dict) else "unknown"


def _patterns(step: object) -> list[object]:
    """The patterns by which a Sequence of pre-tokenizers splits."""
    inner = step.get("pretokenizers") if isinstance(step, dict) else None
    splits = [each for each in inner if isinstance(each, dict)] if isinstance(inner, list) else []
    patterns = [split.get("pattern") for split in splits if split.get("type") == "Split"]
    return [pattern.get("Regex") if isinstance(pattern, dict) else pattern for pattern in patterns]


def _numbered(vocabulary: object) -> dict[str, int]:
    """The words of a vocabulary with their numbers, which are those from 0 on, each once."""
    if not isinstance(vocabulary, dict) or len(vocabulary) > MAX_WORDS:
        raise ValueError(f"its vocabulary has more than {MAX_WORDS} words, or is no table of them")
    if max(map(len, vocabulary), default=0) > MAX_WORD_CHARACTERS:
        raise ValueError(f"its vocabulary has a word of more than {MAX_WORD_CHARACTERS} characters")
    numbers = set(vocabulary.values())
    if not all(type(number) is int for number in numbers) or numbers != set(range(len(vocabulary))):
        raise ValueError("its vocabulary does not number its words from 0 on, each once")
    return vocabulary


def _pairs(merges: object) -> list[tuple[str, str]]:
    """The pairs to merge, the most frequent first; each is a text with a blank between, or a list of two."""
    if not isinstance(merges, list) or len(merges) > MAX_WORDS:
        raise ValueError(f"it has more than {MAX_WORDS} merges, or no list of them")
    pairs = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in merges]
    if not all(len(pair) == 2 and type(pair[0]) is type(pair[1]) is str for pair in pairs):
        raise ValueError("a merge is not a pair of words")
    return pairs


def _read_json(path: Path) -> dict[str, Any]:
    _check_size(path)
    data = path.read_bytes()
    if data.count(b"[") + data.count(b"{") > MAX_CONTAINERS:  # an empty one takes thirty times its bytes
        raise ValueError(f"{path.name} has more than {MAX_CONTAINERS} lists and objects")
    try:
        content = json.loads(data)
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no object")
    return content


def _check_size(path: Path) -> None:
    """Refuse a file that is larger than a tokenizer's may be."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_FILE_BYTES} bytes")
