"""Sums of money in Chinese: the sign stands before the number, its name is said after it."""

from __future__ import annotations

import re
from decimal import Decimal

from cosyrt.text.rules import any_of, rules
from cosyrt.text.scripts import HAN
from cosyrt.text.zh.numbers import NUMBER, number

_SIGNS = {
    "¥": "元", "￥": "元", "US$": "美元", "HK$": "港元", "NT$": "新台币", "A$": "澳元", "C$": "加元",
    "S$": "新加坡元",
    "$": "美元", "€": "欧元", "£": "英镑", "₩": "韩元", "₽": "卢布", "₹": "卢比", "฿": "泰铢",
    "₿": "比特币", "₫": "越南盾",
    "R$": "雷亚尔",
}  # fmt: skip
_CODES = {
    "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "HKD": "港元",
    "KRW": "韩元",
    "AUD": "澳元", "CAD": "加元", "CHF": "瑞士法郎", "SGD": "新加坡元", "TWD": "新台币", "BTC": "比特币",
}  # fmt: skip
_ENGLISH_SIZES = {
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "thousand": 10**3,
    "M": 10**6,
    "B": 10**9,
    "bn": 10**9,
    "k": 10**3,
    "K": 10**3,
}
_SIGN = any_of(list(_SIGNS))
_CODE = any_of(list(_CODES))
_ENGLISH = any_of(list(_ENGLISH_SIZES))
_SIZE = r"((?:[十百千万亿]|多|余|来|几)*)"
# The name of the money where it is written too: `￥1000元`.
_WRITTEN = r"(?: ?(元整|元|块钱|块|圆|人民币|美元|美金|日元|欧元|英镑|港元|港币))?"
_DASH = r" ?[-–—~至到] ?"


def sized(written: str) -> str:
    """A number before 万 or 亿, or by itself: 两 where things are counted."""
    return number(written, counted=True)


def _sum(found: re.Match[str]) -> str:
    sign, currency, inner_sign, written, size, named = found.groups()
    minus = {"-": "负", "−": "负", "+": "加"}.get(sign or inner_sign or "", "")
    return f"{minus}{sized(_without_zeros(written))}{size}{named or _SIGNS[currency]}"


def _without_zeros(written: str) -> str:
    """A sum without a fraction of nothing but zeros."""
    whole, _, fraction = written.partition(".")
    return written if fraction.strip("0") else whole


def _range(found: re.Match[str]) -> str:
    first, first_size, last, size, named = found[2], found[3], found[4], found[5], found[6]
    return f"{sized(first)}{first_size}到{sized(last)}{size}{named or _SIGNS[found[1]]}"


def _english_size(found: re.Match[str]) -> str:
    value = Decimal(found[2].replace(",", "")) * _ENGLISH_SIZES[found[3]]
    return f"{chinese_size(value)}{_SIGNS[found[1]]}"


def chinese_size(value: Decimal) -> str:
    """A large sum in 万 or 亿, as it is said."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if value >= size and value * 10_000 % size == 0:
            return sized(f"{(value / size).normalize():f}") + name
    return sized(f"{value.normalize():f}")


def _code_first(found: re.Match[str]) -> str:
    return f"{sized(found[2])}{found[3]}{_CODES[found[1]]}"


def _code_last(found: re.Match[str]) -> str:
    return f"{sized(found[1])}{found[2]}{_CODES[found[3]]}"


MONEY = rules(
    (rf"(?<![A-Za-z])({_SIGN}) ?({NUMBER}) ?({_ENGLISH})(?![A-Za-z])", _english_size, "0 BKMbklu"),
    (
        rf"(?<![A-Za-z])({_SIGN}) ?({NUMBER}){_SIZE}{_DASH}\1? ?({NUMBER}){_SIZE}{_WRITTEN}(?!\d)",
        _range,
        "0 ~–—到至-",
    ),
    (rf"((?<![A-Za-z0-9)）])[-−+])?(?<![A-Za-z])({_SIGN}) ?([-−+]?)({NUMBER}) ?{_SIZE}{_WRITTEN}", _sum, "0"),
    (rf"(?<![A-Za-z])({_CODE}) ?({NUMBER}){_SIZE}元?", _code_first, "0"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER}){_SIZE} ?({_CODE})(?![A-Za-z])", _code_last, "0"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER}) ?([€£])", lambda f: sized(f[1]) + _SIGNS[f[2]], "£€"),
    (rf"(?<=元|块|币|镑|万|亿)/(?=[{HAN}])", "每", "/ 万亿元块币镑"),
)
