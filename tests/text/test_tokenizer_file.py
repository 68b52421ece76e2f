"""A tokenizer's files are data: what they list is taken, what they ask for is not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from cosyrt.errors import ConfigError
from cosyrt.text.tokenizer import TextTokenizer
from cosyrt.text.tokenizer_file import panics_are_errors

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("Ġ", "hello")]
WORDS = [*BYTES, *("".join(pair) for pair in MERGES)]
TEXT = "hello  hello é 12 <|endofprompt|>[breath]\n"


def pairs(**changes: Any) -> dict[str, Any]:
    """A tokenizer.json of byte-level pairs, as the library writes it."""
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "vocab": {word: at for at, word in enumerate(WORDS)},
        "merges": [list(pair) for pair in MERGES],
    }
    steps = dict.fromkeys("truncation padding normalizer pre_tokenizer post_processor decoder".split())
    return {"version": "1.0", **steps, "added_tokens": [], "model": model} | changes


def words(**changes: Any) -> dict[str, Any]:
    """A tokenizer.json of whole words."""
    return pairs(
        model={"type": "WordLevel", "vocab": {"a": 0, "hello": 1, ".": 2}, "unk_token": "."}, **changes
    )


def with_model(**changes: Any) -> dict[str, Any]:
    return pairs(model=pairs()["model"] | changes)


def load(path: Path, content: object) -> TextTokenizer:
    (path / "tokenizer.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return TextTokenizer.from_folder(path)


def replaced(pattern: str, by: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": by}


SLOW = {"Regex": "(x+x+)+y|(a|a)*b|.*?(.*)*$"}
IGNORED: dict[str, dict[str, Any]] = {
    "truncation": {"max_length": 1, "stride": 0, "strategy": "LongestFirst", "direction": "Right"},
    "padding": {
        "strategy": {"Fixed": 10**9},
        "direction": "Right",
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "!",
        "pad_to_multiple_of": None,
    },
    "normalizer": {"type": "Sequence", "normalizers": [replaced(".", "h" * 100)] * 8},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": SLOW}]},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}] * 1000},
    "decoder": {"type": "Replace", "pattern": SLOW, "content": "h" * 1000},
}


@pytest.mark.parametrize("step", IGNORED)
@pytest.mark.parametrize("kind", [pairs, words])
def test_steps_of_a_stranger_are_ignored(
    step: str, kind: Callable[..., dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file with such a step gives the tokens of one without it, and one warning names the step."""
    plain = load(tmp_path, kind())
    expected = plain.encode(TEXT)

    with caplog.at_level(logging.WARNING):
        odd = load(tmp_path, kind(**{step: IGNORED[step]}))

    assert odd.encode(TEXT) == expected and odd.decode(expected) == plain.decode(expected)
    assert [f"{step} ignored" in record.getMessage() for record in caplog.records] == [True]


def test_a_file_as_the_library_writes_it_is_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A saved tokenizer of Qwen2's kind is read without a warning, to the same tokens."""
    first = load(tmp_path, pairs())
    first._tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert json.loads((tmp_path / "tokenizer.json").read_text())["pre_tokenizer"]["type"] == "Sequence"

    again = TextTokenizer.from_folder(tmp_path)

    assert again.encode(TEXT) == first.encode(TEXT) and not caplog.records


@pytest.mark.parametrize("step", IGNORED)
@pytest.mark.parametrize("odd", [3, "NFC", [{}], {"type": None}, {"type": {}}, {"pretokenizers": 3}])
def test_steps_of_no_kind_are_ignored(step: str, odd: object, tmp_path: Path) -> None:
    """A step that is not even described in the library's way changes nothing."""
    assert load(tmp_path, pairs(**{step: odd})).encode("hello") == load(tmp_path, pairs()).encode("hello")


def tag(content: object, number: object) -> dict[str, Any]:
    return {"id": number, "content": content, "special": True}


LAST = len(WORDS)
REFUSED: dict[str, tuple[object, str]] = {
    "no object": ([1], "holds no object"),
    "no model": (pairs(model=None), "describes no model"),
    "another model": (with_model(type="Unigram"), "not BPE or WordLevel"),
    "a model of no kind": (with_model(type={}), "not BPE or WordLevel"),
    "no vocabulary": (with_model(vocab=None), "no table of them"),
    "a list of words": (with_model(vocab=[["a", 0.5]]), "no table of them"),
    "a number twice": (with_model(vocab=dict.fromkeys(WORDS, 0)), "from 0 on, each once"),
    "a high number": (with_model(vocab=pairs()["model"]["vocab"] | {"h": 2**31}), "from 0 on"),
    "a negative number": (with_model(vocab=pairs()["model"]["vocab"] | {"h": -1}), "from 0 on"),
    "no number": (with_model(vocab=pairs()["model"]["vocab"] | {"h": "0"}), "from 0 on"),
    "no whole number": (with_model(vocab=pairs()["model"]["vocab"] | {"h": 0.0}), "from 0 on"),
    "a long word": (with_model(vocab=pairs()["model"]["vocab"] | {"x" * 1001: LAST}), "more than 1000 char"),
    "half a character": (with_model(vocab=pairs()["model"]["vocab"] | {"\ud800": LAST}), "cannot be read"),
    "no merges": (with_model(merges=None), "no list of them"),
    "a merge of three": (with_model(merges=["h e l"]), "not a pair of words"),
    "a merge of numbers": (with_model(merges=[[1, 2]]), "not a pair of words"),
    "a merge that is a number": (with_model(merges=[1]), "cannot be read"),
    "a merge of unknown words": (with_model(merges=["zz yy"]), "cannot be read"),
    "a merge to an unknown word": (with_model(merges=["h h"]), "cannot be read"),
    "tags that are no list": (pairs(added_tokens={"a": 1}), "no list of them"),
    "many tags": (pairs(added_tokens=[tag(f"<{at}>", LAST + at) for at in range(2001)]), "more than 2000"),
    "a tag of words": (pairs(added_tokens=[tag("<a b>", LAST + 1)]), "not of the form"),
    "an empty tag": (pairs(added_tokens=[tag("", LAST + 1)]), "not of the form"),
    "a long tag": (pairs(added_tokens=[tag("<" + "x" * 99 + ">", LAST + 1)]), "not of the form"),
    "a tag of another number": (pairs(added_tokens=[tag("<x>", 10**9)]), "does not follow its vocabulary"),
    "a tag without a number": (pairs(added_tokens=[{"content": "<x>"}]), "cannot be read"),
    "a tag that is a number": (pairs(added_tokens=[3]), "cannot be read"),
    "no word for unknown ones": (pairs(model={"type": "WordLevel", "vocab": {"hello": 0}}), "unknown ones"),
    "deep lists": ("[" * 100_000, "nested too deeply"),
    "many lists": ("[" + "[]," * 1_000_001, "more than 1000000 lists"),
    "a large file": (" " * 16_000_001, "larger than 16000000 bytes"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_tokenizer_is_refused(what: str, tmp_path: Path) -> None:
    """A file that numbers no words, or lists what no tokenizer has, is one short line of ConfigError."""
    content, reason = REFUSED[what]

    with pytest.raises(ConfigError, match=reason) as refused:
        load(tmp_path, content)

    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_the_two_files_are_bounded(tmp_path: Path) -> None:
    """The vocabulary and the merges of Qwen2's own files are held to the same rules."""
    (tmp_path / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(WORDS)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\nh e\nl l\n")
    assert len(TextTokenizer.from_folder(tmp_path).encode("hell")) == 2
    for merges, reason in (("h e l\n", "cannot be read"), ("\n" * 16_000_001, "larger than 16000000")):
        (tmp_path / "merges.txt").write_text(merges)
        with pytest.raises(ConfigError, match=reason):
            TextTokenizer.from_folder(tmp_path)


def test_a_panic_is_an_error(tmp_path: Path) -> None:
    """A panic of the library, which is no Exception, becomes one; anything else passes as it is."""
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(ConfigError, match="gave up: no such thing"), panics_are_errors():
        raise panic("no such\nthing")
    with pytest.raises(KeyboardInterrupt), panics_are_errors():
        raise KeyboardInterrupt


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    base=st.sampled_from([pairs, words]),
    where=st.sampled_from([*pairs(), *(f"model.{name}" for name in pairs()["model"])]),
    value=values,
)
def test_any_value_anywhere(
    base: Callable[..., dict[str, Any]], where: str, value: object, tmp_path: Path
) -> None:
    """Any value in any place of a file gives a tokenizer that encodes, or a ConfigError."""
    content, (outer, _, inner) = base(), where.partition(".")
    if inner:
        content[outer][inner] = value
    else:
        content[outer] = value
    try:
        assert load(tmp_path, content).encode("hello") != []
    except ConfigError as error:
        assert "\n" not in str(error)
