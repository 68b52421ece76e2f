"""The tags and their numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cosyrt.text.special_tokens import special_tokens
from cosyrt.text.tokenizer import TextTokenizer
from tests.text.test_tokenizer import WORDS, write_qwen2

FIRST = 151_643  # entries of Qwen2's vocabulary


@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("<|endoftext|>", 151_643),
        ("<|endofprompt|>", 151_646),
        ("[breath]", 151_647),
        ("[mn]", 151_662),
        ("<|endofsystem|>", 151_663),
        ("[AA]", 151_664),
        ("[ER2]", 151_699),
        ("[ZH]", 151_747),
        ("[a]", 151_748),
        ("[ià]", 151_769),
        ("[ǜ]", 151_923),
    ],
)
def test_numbers_of_cosyvoice_3(token: str, number: int) -> None:
    """Each tag has the number that upstream's tokenizer gives it."""
    assert FIRST + special_tokens(True).index(token) == number


def test_cosyvoice_3_goes_on_where_2_ends() -> None:
    """The first twenty are the same, all are different, and sounds stand in the order of their characters."""
    two, three = special_tokens(False), special_tokens(True)

    assert (len(two), len(three)) == (20, 281)
    assert three[:20] == two
    assert len(set(three)) == len(three)
    for sounds in (three[21:105], three[105:]):
        assert all(one[1:-1] < other[1:-1] for one, other in pairwise(sounds))


def test_a_tokenizer_knows_the_tags_of_its_family(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A sound in brackets is one token of CosyVoice 3 and plain letters to CosyVoice 2."""
    folder = write_qwen2(tmp_path_factory.mktemp("qwen2"), WORDS)
    two, three = (TextTokenizer.from_folder(folder, sound_tags=sounds) for sounds in (False, True))

    assert three.encode("[j][ǐ]") == [
        len(WORDS) + special_tokens(True).index(token) for token in ("[j]", "[ǐ]")
    ]
    assert three.decode(three.encode("[j][ǐ]<|endofsystem|>")) == "[j][ǐ]<|endofsystem|>"
    assert len(two.encode("[j]")) > 1
