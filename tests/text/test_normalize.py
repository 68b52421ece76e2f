"""Written text as it is spoken."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyrt.errors import TextError
from cosyrt.text.foreign import is_foreign
from cosyrt.text.normalize import Reader, language_of, normalize, spoken_language
from cosyrt.text.pauses import PARAGRAPH


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        # Quotes and backslashes: wetext escapes them and does not take it back.
        ('He said "hello" to 3 men', 'He said "hello" to three men.'),
        ('他说"有3个"', '他说"有三个"。'),
        ("a \\ b", "a \\ b."),
        # wetext has no reading of a text with these in it, and upstream fails.
        ("We are the #1 fans of 5 cats", "We are the number one fans of five cats."),
        ("A  double   space and 2 cats", "A double space and two cats."),
        ("It went +5 up and 3 down", "It went plus five up and three down."),
        ("￥100 is little", "one hundred yen is little."),
        # Chinese: upstream reads the stop of a file or host name as the end of a sentence.
        ("看example.com吧", "看example.com吧。"),
        ("好. 走吧", "好。走吧。"),
        ("你好 - 世界", "你好，世界。"),
        ("一个 ", "一个。"),
        ("NASA  GPU的 3 个", "NASA GPU的三个。"),
        ("我爱 naïve Bayes 和 café latte", "我爱naïve Bayes和café latte。"),
        ("你好 Привет мир 好", "你好Привет мир好。"),
        # Japanese digits are read in Japanese.
        ("日本は2024年です", "日本は二千二十四年です。"),
        # Nothing is lost and nothing silly added at the end.
        ("hello,", "hello."),
        ('He said "hello."', 'He said "hello."'),
        ("Line one\nline two", "Line one line two."),
        ("Title\n\nIt was 5.", "Title. It was five."),
        ("标题\n\n正文3行", "标题。正文三行。"),
        # What has no sound.
        ("hi 😀👍🏽 there\u200b ☀\ufe0f", "hi there."),
        ("a\x00b\x07c", "abc."),
        ("broken \ud83d half", "broken half."),
        ("3 ١٢ left", "three twelve left."),
    ],
)
def test_spoken_form(written: str, spoken: str) -> None:
    """Texts on which upstream or wetext err have the reading a person would give."""
    assert normalize(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("分别是5，10元", "分别是五，十元。"),
        ("100，200元", "一百，两百元。"),
        ("成绩是98，85，77分", "成绩是九十八，八十五，七十七分。"),
        ("成绩是98,85,77分", "成绩是九十八,八十五,七十七分。"),
        ("一共10，20个人", "一共十，二十个人。"),
        ("¥5.5，5.5元", "五点五元，五点五元。"),
        ("共1,2345个", "共一,两千三百四十五个。"),
        ("共1,234,56个", "共一,两百三十四,五十六个。"),
        ("共1,234,567元", "共一百二十三万四千五百六十七元。"),
        ("花了3,000块，5本", "花了三千块，五本。"),
    ],
)
def test_a_list_of_numbers_is_no_number(written: str, spoken: str) -> None:
    """In Chinese text a comma between digits joins them only where it parts groups of three."""
    assert normalize(written) == spoken


@pytest.mark.parametrize("unit", ["啊", "a", "<|", "，"])
def test_time_grows_with_the_text_and_no_faster(unit: str) -> None:
    """A paragraph without any mark is no trap: 400,000 characters take below a second, not half a minute."""
    start = time.process_time()
    normalize(unit * (400_000 // len(unit)) + "字")
    assert time.process_time() - start < 5


def test_control_tags_switch_it_off() -> None:
    """Text with `<|…|>` goes to the tokenizer as it is."""
    assert normalize("Be kind.<|endofprompt|>I have 3") == "Be kind.<|endofprompt|>I have 3"


@pytest.mark.parametrize("text", ["", "  \n\t ", "😀🎉", "，，，。。。", "...", "—", "\u200b"])
def test_nothing_to_say_is_an_error(text: str) -> None:
    """Blank, emoji and punctuation are refused in one line."""
    with pytest.raises(TextError) as caught:
        normalize(text)
    assert "\n" not in str(caught.value) and "give some words" in str(caught.value)


@pytest.mark.parametrize("text", ["%", "$", "½", "3"])
def test_symbols_that_have_a_name_are_spoken(text: str) -> None:
    """A symbol that wetext can name is text, not punctuation."""
    assert normalize(text)


def test_long_text_is_read_like_short() -> None:
    """10,000 characters are normalised in parts, and no part boundary changes the reading."""
    sentence = "There are 3 cats, 1,234 dogs and $5.50 here. "
    once = normalize(sentence)
    assert normalize(sentence * 220) == " ".join([once] * 220)
    assert normalize("这里有3只猫，1,234只狗。" * 700) == normalize("这里有3只猫，1,234只狗。") * 700


def test_reading_is_lazy() -> None:
    """The first paragraph comes without the rest being read, each ends as a sentence, with a mark between."""
    parts = Reader().read("One\n\n" + "Two 2\n\n" * 2 + "End")
    assert next(parts) == "One."
    assert list(parts) == [PARAGRAPH, " Two two.", PARAGRAPH, " Two two.", PARAGRAPH, " End."]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hello", "en"),
        ("你好 hello", "zh"),
        ("日本です", "ja"),
        ("안녕", "ko"),
        ("été", "en"),
        ("123 !", None),
        ("", None),
    ],
)
def test_language_by_script(text: str, language: str | None) -> None:
    """The script of the letters tells the language."""
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("3 apples", "en"),
        ("3个", "zh"),
        ("123", "zh"),
        ("3.14", "en"),
        ("100%", "en"),
        ("привет 3", None),
        (" ", None),
    ],
)
def test_numbers_are_spoken_in_the_language_they_are_read_in(text: str, language: str | None) -> None:
    """Where no letter tells, the language that chooses the voice is the one the digits are read in."""
    assert spoken_language(text) == language
    if language:
        assert all((language_of(letter) == language) for letter in normalize(text) if letter.isalpha())


def test_numbers_follow_the_paragraph_before() -> None:
    """A paragraph of numbers is read as the text around it is."""
    assert normalize("圆周率\n\n3.14") == "圆周率。三点一四。"
    assert normalize("Pi\n\n3.14") == "Pi. three point one four."


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=80) | st.text(alphabet="ab 3.,#+%$/:-\"'\\{}中文。0½²×±−−–St.NoDr~m<>^\n", max_size=80)
)
def test_any_text_is_spoken_or_refused(text: str) -> None:
    """No text makes the normaliser fail: it is spoken, without digits or blanks in a row, or refused."""
    try:
        spoken = normalize(text)
    except TextError as error:
        assert "\n" not in str(error)
        return
    assert "  " not in spoken
    if all(letter.isascii() or language_of(letter) in ("zh", "ja") for letter in text if letter.isalpha()):
        assert "<|" in text or is_foreign(text) or not any(digit in spoken for digit in "0123456789")


def test_wetext_is_loaded_by_the_first_text_that_needs_it() -> None:
    """Importing the normaliser does not load the grammars."""
    code = "import sys, cosyrt.text.normalize; sys.exit('wetext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("I [AA1][B] said 5 [IY0].", "I [AA1][B] said five [IY0]."),
        ("他说[EH2][L]5次。", "他说[EH2][L]五次。"),
        ("[j][ǐ] [breath]", "[j][ǐ][breath]"),
    ],
)
def test_sounds_in_brackets_stay(text: str, spoken: str) -> None:
    """The stress of a sound is no number to be read out, unlike upstream."""
    assert normalize(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (
            "レキシ テキ セカイ ニ オイ テ ワ、カコ ワ ミライ",
            "レキシ テキ セカイ ニ オイ テ ワ、カコ ワ ミライ。",
        ),
        ("カコ ワ 、 ミライ 。", "カコ ワ、ミライ。"),
        ("きのう あめ", "きのう あめ。"),
        ("今日 は いい", "今日はいい。"),
    ],
)
def test_words_of_kana_stay_apart(text: str, spoken: str) -> None:
    """Japanese in kana alone is written in words, as CosyVoice 3 was taught; with characters it is not."""
    assert normalize(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("他们笑了[laughter]", "他们笑了[laughter]"),
        ("He stopped [breath]", "He stopped [breath]"),
        ("He stopped [breath], then", "He stopped [breath], then."),
        ("她说<strong>好</strong>", "她说<strong>好</strong>。"),
    ],
)
def test_a_sound_at_the_end_is_the_end(text: str, spoken: str) -> None:
    """Behind a breath or a laugh stands no full stop, which would be another end."""
    assert normalize(text) == spoken
