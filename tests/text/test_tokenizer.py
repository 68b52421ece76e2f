"""Text tokens."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE, WordLevel

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import ConfigError, ModelNotFound
from cosyrt.text import pronounce
from cosyrt.text.special_tokens import SPECIAL_TOKENS
from cosyrt.text.split import pieces
from cosyrt.text.tokenizer import TextTokenizer, tokenizer_of

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "hello"), ("1", "2"), ("'", "s")]
WORDS = [*BYTES, *("".join(pair) for pair in MERGES)]


def write_qwen2(path: Path, words: list[str]) -> Path:
    path.mkdir(exist_ok=True)
    vocab = {word: number for number, word in enumerate(words)}
    (path / "vocab.json").write_text(json.dumps(vocab))
    (path / "merges.txt").write_text(
        "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in MERGES)
    )
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return TextTokenizer.from_folder(write_qwen2(tmp_path_factory.mktemp("qwen2"), WORDS))


def words_of(ids: list[int]) -> list[str]:
    return [(WORDS + list(SPECIAL_TOKENS))[number] for number in ids]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", ["hello"]),
        ("hello hello", ["hello", "Ġhello"]),
        ("12", ["1", "2"]),  # digits are never merged
        ("hello's", ["hello", "'s"]),
        ("he<strong>llo</strong>", ["he", "<strong>", "ll", "o", "</strong>"]),
        ("[breath]hello<|endofprompt|>", ["[breath]", "hello", "<|endofprompt|>"]),
        ("", []),
    ],
)
def test_words_as_qwen2_cuts_them(small: TextTokenizer, text: str, expected: list[str]) -> None:
    """Qwen2's word pattern and merges, tags whole, no marks added; `count` is the number of tokens."""
    assert words_of(small.encode(text)) == expected
    assert small.count(text) == len(expected)


@settings(deadline=None)
@given(st.text(max_size=60).filter(lambda text: "<" not in text and "[" not in text))
def test_every_byte_survives(small: TextTokenizer, text: str) -> None:
    """Any text is the bytes of its tokens, in Unicode's composed form."""
    spelled = "".join(words_of(small.encode(text)))
    attention_mask = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    composed = unicodedata.normalize("NFC", text)
    expected = "".join(word for word, _ in attention_mask.pre_tokenize_str(composed)) if composed else ""
    assert spelled == expected


@settings(deadline=None)
@given(st.text(max_size=60))
def test_decoding_gives_the_text_back(small: TextTokenizer, text: str) -> None:
    """Tokens are the text again, in Unicode's composed form, tags included."""
    text = unicodedata.normalize("NFC", text) + "[breath]"
    assert small.decode(small.encode(text)) == text


def test_composed_form(small: TextTokenizer) -> None:
    """Letters with accents are the same tokens however they are composed."""
    assert small.encode("e\u0301") == small.encode("é")


def test_special_tokens_have_the_official_numbers(tmp_path: Path) -> None:
    """With Qwen2's 151643 words, the tags of CosyVoice 2 are 151646 to 151662."""
    words = WORDS + [f"word{number}" for number in range(151_643 - len(WORDS))]
    tokenizer = TextTokenizer.from_folder(write_qwen2(tmp_path, words))
    tags = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|endofprompt|>",
        "[breath]",
        "[lipsmack]",
        "[mn]",
    ]
    numbers = [151_643, 151_644, 151_645, 151_646, 151_647, 151_661, 151_662]
    assert tokenizer.encode("".join(tags)) == numbers


def test_half_a_character_is_left_out(small: TextTokenizer) -> None:
    """A lone surrogate, as damaged JSON has it, is no text."""
    assert small.encode("hel\ud800lo \udc00") == small.encode("hello ")


def test_tokenizer_json_is_preferred(small: TextTokenizer, tmp_path: Path) -> None:
    """A tokenizer.json gives the same tokens as the two files, tags included."""
    write_qwen2(tmp_path, WORDS[::-1])
    two_files = TextTokenizer.from_folder(write_qwen2(tmp_path / "two", WORDS))
    two_files._tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = "hello é 12 [breath]<|endofprompt|>"
    assert TextTokenizer.from_folder(tmp_path).encode(text) == small.encode(text)


def test_pronunciation_is_encoded_sound_by_sound(tmp_path: Path) -> None:
    """With a pronunciation each of its units is one token of the word-level vocabulary; no tag is added."""
    units = {unit: number for number, unit in enumerate(pronounce.vocabulary())}
    tokenizer = Tokenizer(WordLevel(units, unk_token=next(iter(units))))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    spoken = TextTokenizer.from_folder(tmp_path, pronunciation="arpabet-pinyin")
    text = "Hello, 你好."
    expected = [units[unit] for unit in pronounce.PRONUNCIATIONS["arpabet-pinyin"]()(text)]
    assert spoken.encode(text) == expected and len(expected) > 5


def test_unknown_pronunciation(tmp_path: Path) -> None:
    """A pronunciation that nobody knows is refused with the known ones."""
    with pytest.raises(ConfigError, match=r"'klingon'.*arpabet-pinyin"):
        TextTokenizer.from_folder(tmp_path, pronunciation="klingon")
    with pytest.raises(ConfigError, match=r"\['klingon'\].*arpabet-pinyin"):
        TextTokenizer.from_folder(tmp_path, pronunciation=cast("str", ["klingon"]))


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A folder without the files says which it looked for."""
    with pytest.raises(ModelNotFound, match=r"vocab\.json and merges\.txt"):
        TextTokenizer.from_folder(tmp_path)
    write_qwen2(tmp_path, WORDS)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(ModelNotFound, match=r"lacks merges\.txt"):
        TextTokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer.json"])
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\x00\xff", "a b c\nd", "{}\n"])
def test_damaged_files_are_one_line(tmp_path: Path, name: str, content: str) -> None:
    """A damaged file is refused in one line, or read as the tokenizer that it describes."""
    write_qwen2(tmp_path, WORDS)
    (tmp_path / name).write_text(content)
    try:
        TextTokenizer.from_folder(tmp_path)
    except ConfigError as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
    else:
        assert name == "merges.txt" or (name, content) == ("vocab.json", "{}\n")


@settings(deadline=None)
@given(st.text(alphabet="hello world 字é,.😀a", max_size=400))
def test_pieces_stay_in_the_budget_of_real_tokens(small: TextTokenizer, text: str) -> None:
    """The splitter's budget holds for byte-level tokens, which are several for one character."""
    found = pieces("start " + text, small.count)
    assert max(map(small.count, found)) <= 120


def test_a_vocabulary_that_is_not_whole(tmp_path: Path) -> None:
    """One that has nothing for a word, or lacks a byte, is refused when it is read, not when it is used."""
    for words in ([], WORDS[1:]):
        write_qwen2(tmp_path, words)
        (tmp_path / "merges.txt").write_text("#version: 0.2\n")
        with pytest.raises(ConfigError, match="vocabulary lacks bytes"):
            TextTokenizer.from_folder(tmp_path)

    Tokenizer(WordLevel({}, unk_token="x")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match="lacks the word that stands for unknown ones"):
        TextTokenizer.from_folder(tmp_path)
    Tokenizer(BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match="vocabulary lacks bytes"):
        TextTokenizer.from_folder(tmp_path)


def test_a_vocabulary_beyond_the_models(tmp_path: Path) -> None:
    """A token that the model has no embedding for is refused; tags count."""
    write_qwen2(tmp_path / "CosyVoice-BlankEN", WORDS)
    folder, known = ModelFolder(tmp_path, "cosyvoice2", {}), len(WORDS) + len(SPECIAL_TOKENS)

    assert tokenizer_of(folder, vocabulary=known).encode("hello")
    with pytest.raises(ConfigError, match=f"gives the text token {known - 1}, the model knows {known - 1}"):
        tokenizer_of(folder, vocabulary=known - 1)
