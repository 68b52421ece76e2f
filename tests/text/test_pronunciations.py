"""Words whose sounds are given, from the text to what the model is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyrt.errors import TextError
from cosyrt.text.lexicon import NO_LEXICON, Lexicon
from cosyrt.text.normalize import normalize
from cosyrt.text.pronounce import ArpabetPinyin
from cosyrt.text.pronunciations import Pronunciations
from cosyrt.text.sounds import SOUND_TAGS

NONE: frozenset[str] = frozenset()
LEXICON = Lexicon.of({"GIF": "JH IH1 F", "nginx": "engine X", "重庆": "chong2 qing4"})


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("The GIF's 3 frames.", "The [JH][IH1][F]'s three frames."),
        ("nginx 1.25", "engine X one point two five."),
        ("我在重庆有3只猫。", "我在[ch][óng][q][ìng]有三只猫。"),
        ("[重庆](/chong2 qing4/)5月", "[ch][óng][q][ìng]五月。"),
        ("A [tomato](/təˈmɑːtəʊ/).", "A [T][AH0][M][AA1][T][OW0]."),
        ("**[Ng](/EH1 N/)**: 5 cats", "[EH1][N]: five cats."),
        ("<phoneme alphabet='ipa' ph='tip'>tip</phoneme> 5", "[T][IH1][P] five.".replace("IH1", "IY1")),
        ('<phoneme alphabet="py" ph="yue4">乐</phoneme>队', "[y][uè]队。"),
        ("报道[j][ǐ]予好评。", "报道[j][ǐ]予好评。"),
        ("See [docs](/about/).", "See docs."),
    ],
)
def test_sounds_reach_the_model(text: str, spoken: str) -> None:
    """Sounds of every notation pass the rules untouched, and are tags at the end."""
    assert normalize(text, SOUND_TAGS, LEXICON) == spoken


def test_the_built_in_voice_says_the_sounds() -> None:
    """Tags are units of pronunciation, with the ending of the word behind them."""
    assert ArpabetPinyin()("[JH][IH1][F]'s [ch][óng].") == ["JH", "IH1", "F", "S", "|", "z:ch", "z:ong2", "."]


def test_a_model_without_tags_is_given_homophones(caplog: pytest.LogCaptureFixture) -> None:
    """Pinyin becomes hanzi that are read so; English sounds cannot be, which is told once."""
    assert normalize("重庆", NONE, LEXICON) == "崇庆。"
    assert normalize("A GIF, a GIF.", NONE, LEXICON) == "A GIF, a GIF."
    assert [record.getMessage() for record in caplog.records] == [
        "the sounds of 'GIF' in the lexicon are left out: this model does not read the sounds of English "
        "words; write the word as it sounds"
    ]
    for text in ("[GIF](/JH IH1 F/)", "<phoneme ph='ɡɪf'>GIF</phoneme>"):
        with pytest.raises(TextError, match="cannot be spoken: this model does not read the sounds"):
            normalize(text, NONE)


def test_a_phoneme_that_cannot_be_read_is_refused() -> None:
    """Sounds would be lost; the error is one line and names it."""
    for text in ("<phoneme ph='ʁɥ'>x</phoneme>", "<phoneme>x</phoneme>", "<phoneme ph=''/>"):
        with pytest.raises(TextError, match="cannot be read; give ph= in IPA") as caught:
            normalize(text, SOUND_TAGS)
        assert "\n" not in str(caught.value)


@given(st.text(max_size=60))
def test_text_without_sounds_is_left_alone(text: str) -> None:
    """Hiding and showing again changes nothing where no sounds are given."""
    pronunciations = Pronunciations(NONE, NO_LEXICON)
    assert pronunciations.show(text) == text


@given(st.lists(st.sampled_from(["[h][ǎo]", "[AA1]", "ǂǀǂ", "\U00030000", "word"]), max_size=9))
def test_sounds_come_back_in_their_places(parts: list[str]) -> None:
    """Characters of a text that look like stand-ins are never taken for them."""
    pronunciations = Pronunciations(SOUND_TAGS, NO_LEXICON)
    shown = pronunciations.show(pronunciations.hide(" ".join(parts)))
    assert shown.split() == [word for word in parts if word[0] in "[w"]
