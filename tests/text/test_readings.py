"""The table of readings, and numbers that are found again in what is spoken."""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import cn2an
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word2number import w2n

from cosyrt.text.normalize import Reader, normalize
from cosyrt.text.passages import whole_passages
from cosyrt.text.pauses import is_mark

TABLE = Path(__file__).with_name("readings.tsv")
KINDS = frozenset(
    "words|language|chinese money|identifiers|width|units|english numbers|chinese numbers|markup|tags|lines|"
    "traditional|foreign|money|date|time|phone|address|sports|science|code|chat|books".split("|")
)


def rows() -> list[dict[str, str]]:
    """The lines of the table; `\\n` in a text is a line end."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def streamed(parts: Iterator[str] | list[str]) -> str:
    """The reading of a text that arrives in these parts."""
    reader = Reader()
    spoken = [spoken for part in whole_passages(parts) for spoken in reader.read(part)]
    return "".join(part for part in [*spoken, *reader.finish()] if not is_mark(part))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['kind']}: {row['text'][:24]}")
def test_reading(row: dict[str, str]) -> None:
    """A text is read as a careful reader would read it, whole and in parts of one character or of seven."""
    text = row["text"].replace("\\n", "\n")
    size = 7 if len(text) % 2 else 1
    assert normalize(text) == row["reading"]
    assert streamed([text[at : at + size] for at in range(0, len(text), size)]) == row["reading"]


def test_the_table_has_every_kind() -> None:
    """Each kind of text has several lines, and the table at least 400."""
    found = [row["kind"] for row in rows()]
    assert len(found) >= 400 and set(found) == KINDS
    assert min(found.count(kind) for kind in KINDS) >= 5


# Numbers put into sentences; what is said is turned back by libraries that the reading does not use.
_ENGLISH_SMALL = "zero one two three four five six seven eight nine".split()


def english_number(spoken: str) -> float:
    """The value of an English number in words; word2number loses zeros after the point."""
    sign = -1 if re.match(r"(?:negative|minus) ", spoken) else 1
    whole, _, fraction = re.sub(r"^(?:negative|minus|plus) ", "", spoken).partition(" point ")
    decimals = "".join(str(_ENGLISH_SMALL.index(word)) for word in fraction.split())
    return sign * float(f"{_whole(whole)}.{decimals}")


def _whole(spoken: str) -> int:
    """A whole number in words, group by group: word2number loses `thousand` behind `million` at the end."""
    value = 0
    for size, name in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        group, found, rest = spoken.rpartition(f" {name}")
        if found:
            value, spoken = value + size * w2n.word_to_num(group), rest.removeprefix(" and").strip()
    return value + (w2n.word_to_num(spoken) if spoken else 0)


def between(spoken: str, before: str, after: str) -> str:
    """What stands between the two, both of which must be there once."""
    assert spoken.count(before) == 1 and spoken.endswith(after), spoken
    return spoken[len(before) : -len(after)]


INTEGERS = st.integers(0, 10**11 - 1)
DECIMALS = st.decimals(min_value=0, max_value=10**6, places=3, allow_nan=False, allow_infinity=False)


@settings(max_examples=150, deadline=None)
@given(INTEGERS, st.booleans())
def test_english_integers_are_found_again(value: int, grouped: bool) -> None:
    """Whole numbers, with and without commas between their groups."""
    written = f"{value:,}" if grouped else str(value)
    spoken = between(normalize(f"They counted {written} stars."), "They counted ", " stars.")
    assert english_number(spoken) == value


@settings(max_examples=100, deadline=None)
@given(DECIMALS, st.sampled_from(["", "-", "+"]))
def test_english_decimals_are_found_again(value: object, sign: str) -> None:
    """Signed numbers with a fraction."""
    spoken = between(normalize(f"The level is {sign}{value} today."), "The level is ", " today.")
    assert english_number(spoken) == pytest.approx(float(f"{sign}{value}"))


@settings(max_examples=60, deadline=None)
@given(INTEGERS, DECIMALS)
def test_english_money_and_shares_are_found_again(dollars: int, share: object) -> None:
    """Sums of dollars, and per cent."""
    spoken = between(normalize(f"It costs ${dollars:,} now."), "It costs ", " now.")
    assert english_number(spoken.removesuffix(" dollars").removesuffix(" dollar")) == dollars
    spoken = between(normalize(f"It rose by {share}% again."), "It rose by ", " percent again.")
    assert english_number(spoken) == pytest.approx(float(str(share)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 59))
def test_english_times_are_found_again(hour: int, minute: int) -> None:
    """Hours and minutes."""
    spoken = between(normalize(f"We met at {hour}:{minute:02} there."), "We met at ", " there.")
    first, _, second = spoken.partition(" ")
    assert w2n.word_to_num(first) == hour
    assert w2n.word_to_num(second.removeprefix("oh ")) == minute


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9_999))
def test_english_ordinals_are_found_again(value: int) -> None:
    """A place in an order, whose last word is that of the number with another end."""
    suffix = "th" if 10 < value % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    spoken = between(normalize(f"The {value}{suffix} one won."), "The ", " one won.")
    irregular = {"first": "one", "second": "two", "third": "three", "fifth": "five", "eighth": "eight"}
    irregular |= {"ninth": "nine", "twelfth": "twelve"}
    *words, last = spoken.split()
    last = irregular.get(last) or re.sub("ie$", "y", last.removesuffix("th"))
    assert w2n.word_to_num(" ".join([*words, last])) == value


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}", fullmatch=True))
def test_english_telephone_numbers_are_found_again(number: str) -> None:
    """Every digit is said by itself."""
    spoken = between(normalize(f"Call {number} now."), "Call ", " now.")
    said = [str(_ENGLISH_SMALL.index(word)) for word in spoken.replace(",", "").split()]
    assert "".join(said) == number.replace("-", "")


@settings(max_examples=150, deadline=None)
@given(INTEGERS, st.booleans())
def test_chinese_integers_are_found_again(value: int, grouped: bool) -> None:
    """Whole numbers, with and without commas between their groups."""
    written = f"{value:,}" if grouped else str(value)
    spoken = between(normalize(f"一共有{written}颗星星。"), "一共有", "颗星星。")
    assert cn2an.cn2an(spoken, "smart") == value


@settings(max_examples=100, deadline=None)
@given(DECIMALS, st.sampled_from(["", "-"]))
def test_chinese_decimals_are_found_again(value: object, sign: str) -> None:
    """Signed numbers with a fraction."""
    spoken = between(normalize(f"水平是{sign}{value}左右。"), "水平是", "左右。")
    assert cn2an.cn2an(spoken, "smart") == pytest.approx(float(f"{sign}{value}"))


@settings(max_examples=60, deadline=None)
@given(INTEGERS, DECIMALS)
def test_chinese_money_and_shares_are_found_again(yuan: int, share: object) -> None:
    """Sums of yuan, and per cent."""
    spoken = between(normalize(f"售价￥{yuan:,}，便宜。"), "售价", "元，便宜。")
    assert cn2an.cn2an(spoken, "smart") == yuan
    spoken = between(normalize(f"增长了{share}%左右。"), "增长了百分之", "左右。")
    assert cn2an.cn2an(spoken, "smart") == pytest.approx(float(str(share)))


@settings(max_examples=60, deadline=None)
@given(st.dates(min_value=datetime.date(1900, 1, 1), max_value=datetime.date(2199, 12, 31)))
def test_chinese_dates_are_found_again(date: object) -> None:
    """Year, month and day, written with 年, 月 and 日."""
    year, month, day = str(date).split("-")
    spoken = between(normalize(f"今天是{int(year)}年{int(month)}月{int(day)}日。"), "今天是", "日。")
    said_year, said_month, said_day = re.split("[年月]", spoken)
    assert "".join(str("零一二三四五六七八九".index(c)) for c in said_year) == year
    assert (cn2an.cn2an(said_month, "smart"), cn2an.cn2an(said_day, "smart")) == (int(month), int(day))


@settings(max_examples=60, deadline=None)
@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_chinese_telephone_numbers_are_found_again(number: str) -> None:
    """Every digit of a mobile number is said by itself."""
    spoken = between(normalize(f"手机号{number}。"), "手机号", "。")
    assert "".join(str("零幺二三四五六七八九".index(c)) for c in spoken) == number


WORDS_EN = st.sampled_from("cats went home slowly before dinner while rain fell over green hills".split())
WORDS_ZH = st.sampled_from("小猫 今天 慢慢 回家 吃饭 下雨 山上 朋友 高兴 音乐".split())
NUMBERS = st.integers(3, 99_999)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS_EN | NUMBERS, min_size=1, max_size=9), st.data())
def test_english_words_and_numbers_are_kept(parts: list[str | int], data: st.DataObject) -> None:
    """No word or number of a sentence is lost, doubled or moved, whole or streamed."""
    text = "So " + ", ".join(map(str, parts)) + "."
    spoken = normalize(text).rstrip(".").removeprefix("So ").split(", ")
    assert [word if word in parts else int(english_number(_year(word))) for word in spoken] == parts
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=9)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert streamed(pieces) == normalize(text)


def _year(spoken: str) -> str:
    """A number that may have been said as a year, as a number."""
    found = re.fullmatch(r"(nineteen|twenty) (hundred|oh \w+|\w+(?: \w+)?)", spoken)
    if found is None or "thousand" in spoken or (found[1] == "twenty" and found[2] in _ENGLISH_SMALL):
        return spoken
    rest = found[2].removeprefix("oh ")
    century = "one thousand nine hundred" if found[1] == "nineteen" else "two thousand"
    return century if rest == "hundred" else f"{century} {rest}"


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS_ZH | NUMBERS, min_size=1, max_size=9), st.data())
def test_chinese_words_and_numbers_are_kept(parts: list[str | int], data: st.DataObject) -> None:
    """No word or number of a sentence is lost, doubled or moved, whole or streamed."""
    text = "那么，" + "，".join(map(str, parts)) + "。"
    spoken = normalize(text).rstrip("。").removeprefix("那么，").split("，")
    assert [word if word in parts else cn2an.cn2an(word, "smart") for word in spoken] == parts
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=9)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert streamed(pieces) == normalize(text)
