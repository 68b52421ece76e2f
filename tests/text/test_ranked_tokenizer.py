"""Text tokens of CosyVoice 1: merged by rank, tagged, and honest about a vocabulary that is not there."""

from __future__ import annotations

import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import ConfigError, ModelNotFound
from cosyrt.text.ranked_tokenizer import (
    PATH_VARIABLE,
    UPSTREAM,
    WHISPER,
    RankedTokenizer,
    merged,
    read_ranks,
)
from cosyrt.text.special_tokens import upstream_tags, whisper_tags
from tests.tiny1 import MERGES, TEXT_TOKENS, write_vocabulary

BYTES = {bytes([byte]): byte for byte in range(256)}
RANKS = BYTES | {
    token: 256 + rank for rank, token in enumerate((b"ab", b"ba", b"aba", b"bb", b"abab", b"aa"))
}
TAGGED = ["<|zh|>", "<|endoftext|>"]


def slowly(word: bytes) -> list[int]:
    """Again and again the lowest rank, the leftmost of them, until nothing is left to join."""
    parts = [bytes([byte]) for byte in word]
    while True:
        joins = [(RANKS[a + b], at) for at, (a, b) in enumerate(pairwise(parts)) if a + b in RANKS]
        if not joins or word in RANKS:
            return [RANKS[word]] if word in RANKS else [RANKS[part] for part in parts]
        at = min(joins)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@given(st.text("ab", min_size=1, max_size=40))
def test_the_lowest_rank_is_joined_first(text: str) -> None:
    """Tokens are those of joining one pair at a time, the leftmost of equals first."""
    assert list(merged(text.encode(), RANKS)) == slowly(text.encode())


@given(st.text(max_size=60))
def test_decoding_gives_the_text_back(text: str) -> None:
    """Every text survives, whatever its bytes, and the count is that of the tokens."""
    tokenizer = RankedTokenizer(RANKS, TAGGED)

    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.count(text) == len(tokenizer.encode(text))


def test_tags_are_tokens_of_their_own() -> None:
    """A tag that is known is one token after the vocabulary; others are read as they are written."""
    tokenizer = RankedTokenizer(RANKS, TAGGED)

    assert tokenizer.encode("<|zh|>ab<|endoftext|>") == [len(RANKS), 256, len(RANKS) + 1]
    assert len(tokenizer.encode("<|endofprompt|>")) == len("<|endofprompt|>")


def test_half_a_character_is_left_out() -> None:
    """A lone surrogate, as damaged JSON has it, is no text."""
    tokenizer = RankedTokenizer(RANKS, TAGGED)

    assert tokenizer.encode("a\ud800b<|zh\udc00|>") == tokenizer.encode("ab<|zh|>")


def test_words_are_cut_before_they_are_merged() -> None:
    """Runs of letters and of digits, each with one leading space, are merged apart."""
    tokenizer = RankedTokenizer(RANKS | {b" a": 262, b"1a": 263}, TAGGED)

    assert tokenizer.encode("a a1a") == [ord("a"), 262, ord("1"), ord("a")]


def test_numbers_of_the_tags() -> None:
    """Whisper's 1609 tags make 51866 tokens with its vocabulary; upstream's of the 25 Hz model 60515."""
    whisper, upstream = whisper_tags(100), upstream_tags(105)

    assert 50_257 + len(whisper) == 51_866
    assert 58_836 + len(upstream) == 60_515
    assert (whisper[:3], whisper[101], whisper[-1]) == (
        ["<|endoftext|>", "<|startoftranscript|>", "<|en|>"],
        "<|yue|>",
        "<|30.00|>",
    )


def test_the_vocabulary_of_a_folder(tiny1_folder: Path) -> None:
    """Byte pairs and tags of the folder's own file, as many as the description says."""
    tokenizer = RankedTokenizer.of(ModelFolder.open(tiny1_folder))

    assert tokenizer.encode("Hello<|en|>") == [256 + MERGES.index(b"Hello"), 256 + len(MERGES) + 2]
    assert tokenizer.encode("<|30.00|>") == [TEXT_TOKENS - 1]


@pytest.fixture
def bare(tiny1_folder: Path, tmp_path: Path) -> Path:
    """The folder as upstream's are: without a vocabulary."""
    path = Path(shutil.copytree(tiny1_folder, tmp_path / "model"))
    (path / WHISPER).unlink()
    return path


def test_no_vocabulary(bare: Path) -> None:
    """Official folders have none: one line says which, from where, and where to put it."""
    with pytest.raises(ModelNotFound, match=r"lacks the text vocabulary multilingual.tiktoken") as caught:
        RankedTokenizer.of(ModelFolder.open(bare))
    assert "github.com/openai/whisper" in str(caught.value)
    assert "\n" not in str(caught.value)


def of_25_hz(folder: Path) -> ModelFolder:
    """The folder with a description that names upstream's own tokenizer."""
    path = folder / "cosyvoice.yaml"
    path.write_text(
        path.read_text().replace("!name:whisper.tokenizer", "!name:cosyvoice.tokenizer.tokenizer")
    )
    return ModelFolder.open(folder)


def test_a_vocabulary_of_an_installed_package(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed openai-whisper has the vocabulary; it is read from there and not imported."""
    packages = bare.parent / "site-packages"
    (packages / "whisper" / "assets").mkdir(parents=True)
    (packages / "whisper" / "__init__.py").write_text("raise ImportError('slow')")
    write_vocabulary(packages / "whisper" / "assets" / WHISPER)
    monkeypatch.syspath_prepend(packages)

    assert RankedTokenizer.of(ModelFolder.open(bare)).encode("Hello") == [256 + MERGES.index(b"Hello")]
    monkeypatch.setitem(sys.modules, "cosyvoice", ModuleType("cosyvoice"))  # as `compat.alias` has it
    with pytest.raises(ModelNotFound, match=UPSTREAM):
        RankedTokenizer.of(of_25_hz(bare))


def test_one_variable_for_both_vocabularies(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder holds both by their names; a file of the other's name is not taken for this one."""
    both = tmp_path / "both"
    both.mkdir()
    write_vocabulary(both / WHISPER)
    folder = of_25_hz(bare)
    for named in (both, both / WHISPER):
        monkeypatch.setenv(PATH_VARIABLE, str(named))
        with pytest.raises(ModelNotFound, match=f"lacks the text vocabulary {UPSTREAM}"):
            RankedTokenizer.of(folder)
    write_vocabulary(both / UPSTREAM, (*MERGES, *(bytes([97, number]) for number in range(65))))
    for named in (both, both / WHISPER):
        monkeypatch.setenv(PATH_VARIABLE, str(named))
        with pytest.raises(ConfigError, match=UPSTREAM):  # found: it is of a larger model than the tiny one
            RankedTokenizer.of(folder)


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_vocabulary_elsewhere(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """COSYRT_TIKTOKEN names the file, or the folder that holds it."""
    path = tmp_path / (WHISPER if named == "folder" else "any name")
    write_vocabulary(path)
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path if named == "folder" else path))

    assert RankedTokenizer.of(ModelFolder.open(bare)).encode("Hello") == [256 + MERGES.index(b"Hello")]


def test_the_25_hz_model_has_another_vocabulary(bare: Path) -> None:
    """A description that names upstream's tokenizer makes upstream's file be looked for."""
    path = bare / "cosyvoice.yaml"
    path.write_text(
        path.read_text().replace("!name:whisper.tokenizer", "!name:cosyvoice.tokenizer.tokenizer")
    )

    with pytest.raises(ModelNotFound, match=UPSTREAM):
        RankedTokenizer.of(ModelFolder.open(bare))


def test_a_vocabulary_of_another_model(bare: Path) -> None:
    """More tokens than the language model has rows are refused at once, not while it speaks."""
    write_vocabulary(bare / WHISPER, (*MERGES, b"zz"))

    with pytest.raises(
        ConfigError, match=f"are {TEXT_TOKENS + 1} text tokens, the model knows {TEXT_TOKENS}"
    ):
        RankedTokenizer.of(ModelFolder.open(bare))


def test_the_vocabulary_of_a_smaller_model(bare: Path) -> None:
    """Whisper's vocabulary has other numbers than that of a 25 Hz model, which is larger: it is refused."""
    write_vocabulary(bare / WHISPER)
    path = bare / "cosyvoice.yaml"
    path.write_text(path.read_text().replace(f"text_token_size: {TEXT_TOKENS}", "text_token_size: 60515"))

    with pytest.raises(ConfigError, match=f"are {TEXT_TOKENS} text tokens, the model knows 60515; take the"):
        RankedTokenizer.of(ModelFolder.open(bare))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("YWI= 256", "YWI=", "cannot be read"),
        ("YWI= 256", "Y?I= 256", "cannot be read"),
        ("YWI= 256", "YWI= many", "cannot be read"),
        ("YWI= 256", "YWI= 257", "is not whole"),
        ("YWI= 256", "YQ== 256", "is not whole"),
        ("YQ== 97\n", "", "is not whole"),
    ],
)
def test_a_damaged_vocabulary(tmp_path: Path, old: str, new: str, words: str) -> None:
    """A line of another form, a rank missing or twice, a byte without a token: one line names the file."""
    path = tmp_path / WHISPER
    write_vocabulary(path, (b"ab",))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(ConfigError, match=words) as caught:
        read_ranks(path)
    assert str(path) in str(caught.value)
