"""Sums of money in English: the sign stands before the number, its name is said after it."""

from __future__ import annotations

import re

from cosyrt.text.en import numbers
from cosyrt.text.rules import any_of, rules

# Sign or code: one, several, a hundredth of it.
_CURRENCIES = {
    "$": ("dollar", "dollars"), "US$": ("US dollar", "US dollars"),
    "A$": ("Australian dollar", "Australian dollars"),
    "C$": ("Canadian dollar", "Canadian dollars"), "HK$": ("Hong Kong dollar", "Hong Kong dollars"),
    "NT$": ("Taiwan dollar", "Taiwan dollars"), "S$": ("Singapore dollar", "Singapore dollars"),
    "R$": ("real", "reais"), "€": ("euro", "euros"), "£": ("pound", "pounds"), "¥": ("yen", "yen"),
    "₹": ("rupee", "rupees"), "₩": ("won", "won"), "₽": ("ruble", "rubles"), "₿": ("bitcoin", "bitcoins"),
    "฿": ("baht", "baht"), "₺": ("lira", "lira"), "₫": ("dong", "dong"), "₴": ("hryvnia", "hryvnias"),
    "₱": ("peso", "pesos"), "₪": ("shekel", "shekels"), "zł": ("zloty", "zlotys"),
}  # fmt: skip
_CODES = {
    "USD": ("US dollar", "US dollars"), "EUR": ("euro", "euros"), "GBP": ("pound", "pounds"),
    "JPY": ("yen", "yen"), "CNY": ("yuan", "yuan"), "RMB": ("yuan", "yuan"), "INR": ("rupee", "rupees"),
    "KRW": ("won", "won"), "CHF": ("Swiss franc", "Swiss francs"),
    "AUD": ("Australian dollar", "Australian dollars"),
    "CAD": ("Canadian dollar", "Canadian dollars"), "HKD": ("Hong Kong dollar", "Hong Kong dollars"),
    "BTC": ("bitcoin", "bitcoins"),
}  # fmt: skip
_LARGE = {
    "K": "thousand", "k": "thousand", "M": "million", "m": "million", "mn": "million", "mm": "million",
    "MM": "million", "mil": "million", "B": "billion", "b": "billion", "bn": "billion", "Bn": "billion",
    "T": "trillion", "tn": "trillion", "trn": "trillion",
    "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion",
    "Million": "million", "Billion": "billion", "Trillion": "trillion", "hundred": "hundred",
    "grand": "grand",
}  # fmt: skip
_SIGN = any_of(list(_CURRENCIES))
_CODE = any_of(list(_CODES))
_N = numbers.NUMBER
_SIZE = rf"(?: ?({any_of(list(_LARGE))})(?![\w/]))?"
_DASH = r" ?[-–—~] ?"


def _sum(written: str, large: str | None, names: tuple[str, str]) -> str:
    size = f" {_LARGE[large]}" if large else ""
    one = numbers.is_one(written) and not size
    return f"{numbers.amount(written)}{size} {names[0] if one else names[1]}"


def _signed(sign: str | None) -> str:
    return "minus " if sign in ("-", "−") else "plus " if sign == "+" else ""


def _sign_first(found: re.Match[str]) -> str:
    names = _CURRENCIES[found[2]]
    if numbers.describes(found):
        names = names[0], names[0]
    return (
        _signed(found[1])
        + _signed(found[3])
        + _sum(found[4], found[5], names)
        + (" " if _follows(found) else "")
    )


def _follows(found: re.Match[str]) -> bool:
    return found.string[found.end() : found.end() + 1].isalnum()


def _range(found: re.Match[str]) -> str:
    names = _CURRENCIES[found[1]]
    first = numbers.amount(found[2]) + (f" {_LARGE[found[3]]}" if found[3] else "")
    return f"{first} to {_sum(found[4], found[5], names)}"


def _code_first(found: re.Match[str]) -> str:
    return _sum(found[2], found[3], _CODES[found[1]])


def _code_last(found: re.Match[str]) -> str:
    return _sum(found[1], found[2], _CODES[found[3]])


def _cents(found: re.Match[str]) -> str:
    return f"{numbers.amount(found[1])} cent{'' if numbers.is_one(found[1]) else 's'}"


def _adjective(found: re.Match[str]) -> str:
    """`a $5-million house`, `a $20-a-month plan`."""
    return f"{numbers.amount(found[2])}-{_LARGE[found[3]]}-{_CURRENCIES[found[1]][0]}"


_PER = {
    "mo": "month", "yr": "year", "hr": "hour", "wk": "week", "bbl": "barrel", "kg": "kilogram", "lb": "pound", "oz": "ounce",
    "sqft": "square foot", "sq ft": "square foot", "g": "gram", "L": "liter", "kWh": "kilowatt hour", "GB": "gigabyte",
}  # fmt: skip
_PER_WHAT = any_of(
    "month year day week hour night person mo yr hr wk kg lb oz unit piece head gallon barrel share user seat sqft bbl "
    "L kWh GB ton tonne mile minute min ea each pack box bottle bag"
)
MONEY = rules(
    (rf"(?<=\d)/({_PER_WHAT})\b(?:\.(?=,| [a-z\d(]))?", lambda f: f" per {_PER.get(f[1], f[1])}", "/"),
    (
        rf"({_SIGN})({_N})-({any_of('thousand million billion trillion')})\b(?=[ -][a-z])",
        _adjective,
        "- blmu",
    ),
    (rf"({_SIGN}) ?({_N}){_SIZE}{_DASH}\1? ?({_N}){_SIZE}(?![\d-])", _range, "-~–—"),
    (rf"(?:(?<![\w)])([-−+]))?(?<![A-Za-z])({_SIGN}) ?([-−+]?)({_N}){_SIZE}", _sign_first, "0"),
    (rf"(?<![A-Za-z])({_CODE}) ?({_N}){_SIZE}", _code_first, "0"),
    (rf"(?<![\w.,])({_N}){_SIZE} ?({_CODE})(?![A-Za-z])", _code_last, "0"),
    (rf"(?<![\w.,])({_N}) ?([€£])(?!\w)", lambda f: _sum(f[1], None, _CURRENCIES[f[2]]), "£€ ,0"),
    (rf"(?<![\w.,])({_N}) ?¢", _cents, "¢ ,0"),
)
