"""Spellings that the grammars misread, put another way before them, and symbols that they leave, in words.

Tables, tried in this order: a pattern and what is written instead. Only what is frequent and sure is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from cosyrt.text.sentences import STARTERS

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]
HAN_DIGITS = "零一二三四五六七八九"
_DECADES = dict(
    zip(
        "123456789",
        "tens twenties thirties forties fifties sixties seventies eighties nineties".split(),
        strict=True,
    )
)


def _han_digits(found: re.Match[str]) -> str:
    return re.sub(r"(?<!\d)\d(?!\d)", lambda digit: HAN_DIGITS[int(digit[0])], found[0])


def _han_version(found: re.Match[str]) -> str:
    return _han_digits(found).replace(".", "点")


def _digit_by_digit(found: re.Match[str]) -> str:
    return f"{' '.join(found[1])}, {' '.join(found[2])}"


_VERSION = r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){2}(?!\.?\d)"
_COMMON: tuple[_Rule, ...] = (
    (r"(?<=\d)–(?=\d)", "-"),
    (r"(?<![A-Za-z])Dr\b\.? ?(?=[A-Z])", "doctor "),
    (r"(?<![A-Za-z])Prof\. ?(?=[A-Z])", "professor "),
    (rf"(?<!\dth )(?<!\dst )(?<!\dnd )(?<!\drd )(?<![A-Za-z])St\b\.? (?=[A-Z])(?!{STARTERS})", "Saint "),
)
_ENGLISH: tuple[_Rule, ...] = (
    *_COMMON,
    # Minus signs; the grammar knows only a hyphen after a blank.
    (r"(?<=\w)[−－]", " −"),
    (r"[−－] ?", "minus "),
    (r"""(?<=[(\["“'=])-(?=[\d.$€£])""", "minus "),
    # Abbreviations before a number.
    (r"\bNo\. ?(?=\d)", "Number "),
    (r"\bno\. ?(?=\d)", "number "),
    (r"\b[Ff]igs?\. ?(?=\d)", "figure "),
    (r"\b[Vv]ol\. ?(?=\d)", "volume "),
    (r"\b[Pp]p\. ?(?=\d)", "pages "),
    (r"\b[Pp]\. ?(?=\d)", "page "),
    (r"\b[Aa]pprox\. ?(?=\w)", "approximately "),
    (r"(?<!\w)~ ?(?=[$€£¥]?\d)", "approximately "),
    (r" ?< ?(?=\d)", " less than "),
    (r"(?: |(?<![^(]))> ?(?=\d)", " greater than "),  # not the end of a tag
    # Versions, ordinals in compounds, decades.
    (_VERSION, lambda found: found[0].replace(".", " point ")),
    (r"\b([vV])(?=\d+\.\d)", r"\1 "),
    (r"(?<=\d)(st|nd|rd|th)-(?=[A-Za-z])", r"\1 "),
    (r"\b(1[1-9]|20)([1-9])0s\b", lambda found: f"{found[1]} {_DECADES[found[2]]}"),
    (r"\b(1[1-9])00s\b", r"\1 hundreds"),
    # Measures, money, powers, ranges.
    (r"""(?<=\d)['’′] ?(\d{1,2})(?:["”″]|'')""", r" foot \1"),
    (r"(?<=\d)['’′](?= ?(?:tall|wide|long|high|deep)\b)", " feet"),
    (r"(?<![$€£¥\d.,])1 m(?=[\s,.;:!?)]|$)", "1 meter"),
    (r"(?<![$€£¥\d.,])(\d[\d.,]{0,12}) m(?=[\s,.;:!?)]|$)", r"\1 meters"),
    (r"(?<=\d)\^(?=-?\d)", " to the power of "),
    (r"(?<=\d) ?(?=[½¼¾⅓⅔])", " and "),
    (r"(?<=\d)-(?=\d[\d.]{0,12}(?:%| ?[ap]\.?m\b))", " to "),
    (r"([$€£])(\d[\d.,]{0,12})-\1?(?=\d)", r"\2 to \1"),
    # What looks like a fraction, or like a range, and is neither.
    (r"(?<![\d/])24/7(?![\d/])", "twenty four seven"),
    (r"(?<![\d/])9/11(?![\d/])", "nine eleven"),
    (r"(?<![\d/])50/50(?![\d/])", "fifty fifty"),
    (r"(?<![\d-])(?<![\d)] )(?<!\))(\d{3})-(\d{3}[1-9])(?![\d-])", _digit_by_digit),
)
_CHINESE: tuple[_Rule, ...] = (
    *_COMMON,
    (r"(?<![A-Za-z])(Mrs?|Ms)\. ?(?=[A-Z])", r"\1 "),
    (r"(?<=\d) ?[−－] ?(?=\d)", "减"),
    (r"[−－] ?(?=\d)", "-"),
    (r"(?<![A-Za-z])([a-z])-(?=\d)", r"\1减"),
    # A hyphen between a name and its number is no minus.
    (r"(?<=[A-Za-z])-(?=\d)", " "),
    (r"(?<=[歼轰运直])-(?=\d)|(?<=东风|长征|神舟|嫦娥|天舟|天问|红旗|巨浪|波音)-(?=\d)", ""),
    (r"(?<![A-Za-z])N[oO]\. ?1(?![\d.])", "number one"),
    (r"(?<![A-Za-z])N[oO]\. ?(?=\d)", "第"),
    (r"(第\d+)-(?=\d)", r"\1到"),
    # `第2名` is no number of things: 二, not 两.
    (r"第\d(?:[,，、]\d)*(?![\d.,])", _han_digits),
    (_VERSION, _han_version),
    (r"(?<=月)/(?=\d+月)", "、"),
    (r"(?<=\d)-(?=\d+年级)", "到"),
    (r"(\d[\d.]{0,12})-(?=\d[\d.]{0,12}%)", r"\1%到"),
    (r"([$€£¥￥])(\d[\d.,]{0,12})-\1?(?=\d)", r"\2到\1"),
    (r"(\d)\^(-?\d+)", r"\1的\2次方"),
    (r"(?<=\d)(?=[½¼¾⅓⅔])", "又"),
)
_REWRITES: Mapping[str, Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]] = {
    "en": [(re.compile(pattern), instead) for pattern, instead in _ENGLISH],
    "zh": [(re.compile(pattern), instead) for pattern, instead in _CHINESE],
    "ja": [(re.compile(r"[−－](?=\d)"), "-")],
}

_ENGLISH_SYMBOLS = {
    "×": "times", "÷": "divided by", "±": "plus or minus", "√": "square root of", "∞": "infinity",
    "≈": "approximately", "≠": "not equal to", "≥": "greater than or equal to", "≤": "less than or equal to",
    "²": "squared", "³": "cubed",
}  # fmt: skip
_CHINESE_SYMBOLS = {
    "×": "乘", "÷": "除以", "±": "正负", "√": "根号", "∞": "无穷大", "≈": "约等于", "≠": "不等于",
    "≥": "大于等于", "≤": "小于等于", "½": "二分之一", "¼": "四分之一", "¾": "四分之三", "⅓": "三分之一",
    "⅔": "三分之二", "²": "平方", "³": "立方",
}  # fmt: skip
# Squares among what follows are words too, with a blank of their own.
_ENGLISH_SYMBOL = re.compile(rf" ?([{''.join(_ENGLISH_SYMBOLS)}])( ?(?=[^\W²³]))?")
_CHINESE_NAMES = str.maketrans(_CHINESE_SYMBOLS)


def rewritten(text: str, grammar: str) -> str:
    """The text with the spellings that the grammar (`en`, `zh`, `ja`) misreads put in another way."""
    for pattern, instead in _REWRITES[grammar]:
        text = pattern.sub(instead, text)
    return text


def symbols_in_english(text: str) -> str:
    """The mathematical symbols that are left, in words that stand apart from their neighbours."""
    return _ENGLISH_SYMBOL.sub(
        lambda found: f" {_ENGLISH_SYMBOLS[found[1]]}" + ("" if found[2] is None else " "), text
    )


def symbols_in_chinese(text: str) -> str:
    """The mathematical symbols that are left, in Chinese."""
    return text.translate(_CHINESE_NAMES)
