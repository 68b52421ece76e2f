"""Numbers as English words: cardinals, ordinals, years, digits, decimals and Roman numerals."""

from __future__ import annotations

import re

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "_ ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ["", " thousand", " million", " billion", " trillion", " quadrillion"]
_IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_MOST_DIGITS = 3 * len(_SCALES)
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
# Those from II to LXXXIX that are not also a letter.
ROMAN = r"(?=[LXVI]{2})(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![A-Za-z])"

_ONE_THING = re.compile(r"(?<![A-Za-z])(?:an?|this|that|each|every|one|A|An|the) $")
_NOUN = re.compile(
    r" (?!and\b|or\b|in\b|on\b|of\b|to\b|for\b|at\b|is\b|was\b|per\b|from\b|with\b|by\b|more\b|less\b|each\b|off\b|that\b|when\b|as\b|if\b)[a-z]+(?<!s)\b"
)

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"


def cardinal(value: int | str) -> str:
    """A whole number in words, such as `one thousand two hundred and five`; too long a one digit by digit."""
    written = str(value).replace(",", "")
    if len(written) > _MOST_DIGITS:
        return digits(written)
    number = int(written)
    if number == 0:
        return "zero"
    groups = []
    for scale in range(len(_SCALES) - 1, -1, -1):
        group = number // 1000**scale % 1000
        if group:
            groups.append(_below_thousand(group, with_and=scale == 0 and number > 0) + _SCALES[scale])
    if number > 1000 and 0 < number % 1000 < 100:
        groups.insert(-1, "and")
    return " ".join(groups)


def _below_thousand(number: int, *, with_and: bool) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_UNITS[hundreds]} hundred"] if hundreds else []
    if rest and hundreds and with_and:
        words.append("and")
    return " ".join(words + ([below_hundred(rest)] if rest else []))


def below_hundred(number: int) -> str:
    """A number from 0 to 99 in words."""
    if number < 20:
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    return _TENS[tens] + (f" {_UNITS[unit]}" if unit else "")


def ordinal(value: int | str) -> str:
    """A place in an order, such as `twenty first`."""
    *before, last = cardinal(value).split(" ")
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    else:
        last = (last[:-1] + "ie" if last.endswith("y") else last) + "th"
    return " ".join([*before, last])


def digits(written: str) -> str:
    """Every digit by itself; letters stay, anything else becomes a blank."""
    spoken = re.sub(r"\d", lambda found: f" {_UNITS[int(found[0])]} ", written)
    return " ".join(re.sub(r"[^\w\s]", " ", spoken).split())


def year(value: int | str) -> str:
    """A year as people say it: `nineteen ninety`, `nineteen oh five`, `two thousand five`."""
    number = int(value)
    century, rest = divmod(number, 100)
    if number < 1000 or (century % 10 == 0 and rest < 10):
        return cardinal(number).replace(" and ", " ")
    if rest == 0:
        return f"{below_hundred(century)} hundred"
    return f"{below_hundred(century)} {'oh ' if rest < 10 else ''}{below_hundred(rest)}"


def number(written: str) -> str:
    """A number with or without commas and a decimal point; a leading zero makes it a series of digits."""
    whole, point, fraction = written.replace(",", "").partition(".")
    is_series = len(whole) > 1 and whole.startswith("0")
    spoken = digits(whole) if is_series or not whole else cardinal(whole)
    return f"{spoken} point {digits(fraction)}".strip() if point else spoken


def amount(written: str) -> str:
    """A number of which zeros at the end of the fraction say nothing, as in prices."""
    whole, _, fraction = written.partition(".")
    fraction = fraction.rstrip("0")
    return number(f"{whole}.{fraction}" if fraction else whole)


def is_one(written: str) -> bool:
    """Whether a noun after the number is singular."""
    return written.rstrip("0").rstrip(".") == "1" and float(written.replace(",", "")) == 1


def describes(found: re.Match[str]) -> bool:
    """Whether a quantity describes the noun behind it, `a $5 bill`, so that its unit has no plural."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    return bool(_ONE_THING.search(before[-8:]) and _NOUN.match(after))


def roman(numeral: str) -> int:
    """The value of a Roman numeral in capitals."""
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    return sum(-v if v < max(values[i + 1 :], default=0) else v for i, v in enumerate(values))
