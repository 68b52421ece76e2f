"""Quantities with a unit in English: `5 km/h`, `98.6F`, `120/80 mmHg`, `5'10"`."""

from __future__ import annotations

import re

from cosyrt.text.en import numbers
from cosyrt.text.en.units import PER, UNITS
from cosyrt.text.rules import any_of, rules

_SIGNS = {"-": "negative ", "−": "minus ", "+": "plus ", "±": "plus or minus "}
_POWERS = {"²": "square ", "³": "cubic ", "2": "square ", "3": "cubic ", "^2": "square ", "^3": "cubic "}
_COMPASS = {"N": "north", "S": "south", "E": "east", "W": "west"}
_SCALES = {"C": "Celsius", "F": "Fahrenheit"}

_N = numbers.NUMBER
_SIGN = r"(?P<sign>(?<![\w)\d])[-−+±])?"
_START = r"(?<![\w.,/$€£¥])"
_END = r"(?![A-Za-z0-9²³])"
_POWER = r"\^?[23]|[²³]"
_LENGTH = r"(?:km|m|cm|mm|mi|ft|yd|dm)"
# Kelvin only of a number with a fraction or of three digits: `4K` and `10K` are other things.
_UNIT = rf"(?:{any_of([unit for unit in UNITS if unit != 'K'])}|(?<=\d\d\d )K)"
_PER = rf"(?: ?/ ?(?P<per>{any_of(list(PER))})(?P<power>{_POWER})?)?"
_AFTER_INCHES = r"(?:tall|wide|long|high|deep|thick|x|by|and|screen|display|monitor|pipe|diameter|pizza|vinyl|record|laptop|tablet|wheel|TV)\b"


def _plural(written: str, one: str, several: str) -> str:
    return one if numbers.is_one(written) else several


def _per(found: re.Match[str]) -> str:
    if found["per"] in ("s", "sec") and found["power"]:
        return " per second squared"
    return f" per {_POWERS.get(found['power'] or '', '')}{PER[found['per']]}" if found["per"] else ""


def _sign(found: re.Match[str]) -> str:
    return _SIGNS.get(found["sign"] or "", "")


def _quantity(found: re.Match[str]) -> str:
    first, last, unit = found["first"], found["last"], found["unit"]
    spoken = f"{numbers.number(first)} to {numbers.number(last)}" if last else numbers.number(first)
    names = (UNITS[unit][0],) * 2 if found["joined"] or numbers.describes(found) else UNITS[unit]
    return f"{_sign(found)}{spoken} {_plural(last or first, *names)}{_per(found)}{_stop(found)}"


def _stop(found: re.Match[str]) -> str:
    """The stop of `16 oz.`, where it may end the sentence too."""
    follows = found.string[found.end() :]
    return "." if found[0].endswith(".") and not re.match(r",|\s+[a-z\d(]", follows) else ""


def _area(found: re.Match[str]) -> str:
    names = UNITS[found["unit"]]
    return f"{_sign(found)}{numbers.number(found['n'])} {_POWERS[found['of']]}{_plural(found['n'], *names)}{_per(found)}"


def _per_volume(found: re.Match[str]) -> str:
    one, several = UNITS[found["unit"]]
    unit = _plural(found["n"], one, several)
    return f"{numbers.number(found['n'])} {unit} per {_POWERS[found['power']]}{UNITS[found['per']][0]}"


def _degrees(found: re.Match[str]) -> str:
    degrees = _plural(found["n"], "degree", "degrees")
    return f"{_sign(found)}{numbers.number(found['n'])} {degrees} {_SCALES[found['scale']]}"


def _coordinate(found: re.Match[str]) -> str:
    spoken = f"{numbers.number(found[1])} degrees"
    for written, unit in ((found[2], "minutes"), (found[3], "seconds")):
        spoken += f" {numbers.number(written)} {unit}" if written else ""
    return f"{spoken} {_COMPASS[found[4]]}"


def _feet_inches(found: re.Match[str]) -> str:
    return f"{numbers.number(found[1])} {_plural(found[1], 'foot', 'feet')} {_inches(found[2])}"


def _inches(written: str) -> str:
    return f"{numbers.number(written)} {_plural(written, 'inch', 'inches')}"


def _pressure(found: re.Match[str]) -> str:
    unit = " millimeters of mercury" if found[3] else ""
    return f"{numbers.number(found[1])} over {numbers.number(found[2])}{unit}"


MEASURES = rules(
    (r"(\d) ?[-–—~] ?(?=\d+(?:\.\d+)? ?°)", r"\1 to ", "° 0"),
    (rf"(?<![\d.,])({_N}) ?[xX] ?(?={_N} ?=)", r"\1 times ", "= Xx"),
    (rf"(\d ?{_UNIT}) ?[-–—~] ?(?=\d[\d.]{{0,9}} ?{_UNIT})", r"\1 to ", "-~–—"),
    (
        rf"(?<![\w/])(\d{{1,2}}/\d{{1,4}}|[½¼¾⅓⅔]) ?(?P<unit>{_UNIT}){_END}",
        lambda f: f"{f[1]} {UNITS[f['unit']][0]}",
        "/¼½¾⅓⅔",
    ),
    (
        rf"(?<=[a-z]) (?P<unit>{_UNIT})/(?P<per>m?s|h|min)(?P<power>{_POWER})?{_END}",
        lambda f: f" {UNITS[f['unit']][1]}{_per(f)}",
        "/",
    ),
    (rf"(\d ?(?:{_LENGTH}|in|px)) ?[xX×] ?(?=\d)", r"\1 by ", "0 Xx×"),
    (r"(?<![\w.])(?!0[xX])(\d[\d.,]{0,9}) ?[xX] ?(?=\d)", r"\1 by ", "0 Xx"),
    (r"(?<![\w/.])(\d{2,3})/(\d{2,3})( ?mm ?Hg)(?!\w)", _pressure, "/ H"),
    (r"(?<=\bBP )(\d{2,3})/(\d{2,3})()(?![\w/])", _pressure, "/ P"),
    (r"(?<=pressure )(\d{2,3})/(\d{2,3})()(?![\w/])", _pressure, "/ u"),
    (r"(?<=pressure (?:is|of) )(\d{2,3})/(\d{2,3})()(?![\w/])", _pressure, "/ u"),
    (
        rf"(?<![\d.,])({_N})° ?(?:(\d{{1,2}}(?:\.\d+)?)['′’] ?(?:(\d{{1,2}}(?:\.\d+)?)[\"″”] ?)?)?([NSEW])\b",
        _coordinate,
        "° ,0",
    ),
    (rf"{_SIGN}{_START}(?P<n>{_N}) ?[°º] ?(?P<scale>[CF])\b", _degrees, "°º ,0"),
    (rf"{_SIGN}{_START}(?P<n>\d{{2,3}}|\d{{1,3}}\.\d)(?P<scale>[CF])(?![\w+#-])", _degrees, "0 CF"),
    (r"(?<=\d)['’′] ?(\d{1,2})(?:[\"”″]|'')", r" foot \1", "0 '’′"),
    (r"(?<=\d)['’′](?= ?(?:tall|wide|long|high|deep)\b)", " feet", "0 '’′"),
    (
        rf"{_START}(\d{{1,3}}) ?(?:ft\.?|feet|foot) (\d{{1,2}}) ?(?:in\.(?= [a-z\d])|in\b|inch(?:es)?\b)",
        _feet_inches,
        "0 f",
    ),
    (
        rf"{_START}({_N}) ?in(?:\.(?=,| [a-z\d])|\b(?=[,;)]| {_AFTER_INCHES}|\.?$|\. ))",
        lambda f: _inches(f[1]),
        "0 i",
    ),
    (rf"{_START}({_N}) ?[\"”″](?= ?{_AFTER_INCHES})", lambda f: _inches(f[1]), '"”″'),
    (rf"{_START}(\d{{1,3}}\.\d) ?[\"”″](?= [a-z])", lambda f: f"{numbers.number(f[1])} inch", '"”″'),
    (rf"{_SIGN}{_START}(?P<n>{_N}) ?(?P<unit>{_LENGTH})(?P<of>{_POWER}){_PER}{_END}", _area, "0 cfkmy"),
    (
        rf"{_START}(?P<n>{_N}) ?(?P<unit>{_UNIT})/(?P<per>{_LENGTH})(?P<power>{_POWER}){_END}",
        _per_volume,
        "/",
    ),
    (
        rf"{_SIGN}{_START}(?P<first>{_N})(?: ?[-–—~] ?(?P<last>{_N}))?(?: ?|(?P<joined>-))(?P<unit>{_UNIT}){_PER}{_END}(?!['’]\w)",
        _quantity,
        "0",
    ),
)
