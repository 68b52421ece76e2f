"""Quantities with a unit in Chinese: `5.6mmol/L`, `37.5℃`, `120/80mmHg`, `3m²`."""

from __future__ import annotations

import re

from cosyrt.text.rules import any_of, rules
from cosyrt.text.zh.numbers import NUMBER, digits, number
from cosyrt.text.zh.units import PER, UNITS

_SIGNS = {"-": "负", "−": "负", "+": "正", "±": "正负", "": ""}
_POWERS = {"²": "平方", "2": "平方", "^2": "平方", "³": "立方", "3": "立方", "^3": "立方"}
_SIGN = r"(?P<sign>(?<![A-Za-z0-9)）])[-−+±])?"
_START = r"(?<![A-Za-z0-9.,/])"
_END = r"(?![A-Za-z0-9²³])"
_DASH = r" ?[-–—~] ?"
_POWER = r"\^?[23]|[²³]"
# Letters that also number and name things (`12A`, `4K`) are no units after a number.
_NAMING_LETTERS = ("A", "U", "N", "K")
_UNIT = rf"(?:{any_of([unit for unit in UNITS if unit not in _NAMING_LETTERS])}|(?:(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d\d\d))A)"
_PER = rf"(?: ?/ ?(?P<per>{any_of(list(PER))})(?P<power>{_POWER})?)?"


def _per(found: re.Match[str]) -> str:
    return f"每{_POWERS.get(found['power'] or '', '')}{PER[found['per']]}" if found["per"] else ""


def _counted(written: str) -> str:
    return number(written, counted=True)


def _quantity(found: re.Match[str]) -> str:
    first, last = found["first"], found["last"]
    spoken = f"{_counted(first)}到{_counted(last)}" if last else _counted(first)
    power = _POWERS.get(found["of"] or "", "")
    return f"{_SIGNS[found['sign'] or '']}{spoken}{power}{UNITS[found['unit']]}{_per(found)}"


def _pressure(found: re.Match[str]) -> str:
    unit = "毫米汞柱" if found[3] else ""
    return f"{number(found[1])}比{number(found[2])}{unit}"


def _sides(found: re.Match[str]) -> str:
    return "乘".join(map(number, re.findall(NUMBER, found[0])))


MEASURES = rules(
    (
        r"(?<![A-Za-z0-9.])([12]) ?米 ?(\d{2})(?![\d.]|厘米)",
        lambda f: f"{number(f[1], counted=True)}米{digits(f[2])}",
        "米",
    ),
    (
        r"(身高)?(?<![\d°.])(\d{1,3})['′](\d{1,2}(?:\.\d+)?)(?:[\"″”]|'')",
        lambda f: (
            f"{f[1]}{number(f[2])}英尺{number(f[3])}英寸" if f[1] else f"{number(f[2])}分{number(f[3])}秒"
        ),
        "0 '′",
    ),
    (r"(?<=\d)( ?[KMGT]B)/s(?![A-Za-z])", r"\1每秒", "/ B"),
    (
        r"(\d ?V)(?: ?[/,，@] ?| )(\d+(?:\.\d+)?) ?A(?![A-Za-z])",
        lambda f: f"{f[1]}，{number(f[2], counted=True)}安",
        "0 V",
    ),
    (
        rf"(?<![\d.,])({NUMBER})° ?(\d{{1,2}}(?:\.\d+)?)['′’](?: ?(\d{{1,2}}(?:\.\d+)?)(?:[\"″”]|''))?",
        lambda f: f"{number(f[1])}度{number(f[2])}分" + (f"{number(f[3])}秒" if f[3] else ""),
        "° '’′",
    ),
    (rf"(\d ?{_UNIT}) ?[-–—~] ?(?=\d[\d.]{{0,9}} ?{_UNIT})", r"\1到", "-~–—"),
    (rf"(?<=次方) ?(?P<unit>{_UNIT}){_PER}{_END}", lambda f: UNITS[f["unit"]] + _per(f), "次 方"),
    (r"(?<![A-Za-z0-9/.])(\d{2,3})/(\d{2,3})( ?mm ?Hg)", _pressure, "/ H"),
    (r"(?<=血压)[:：为是]?(\d{2,3})/(\d{2,3})()(?![\d/])", _pressure, "/ 压"),
    (
        rf"{_SIGN}{_START}(?P<first>{NUMBER})(?:{_DASH}(?P<last>{NUMBER}))? ?(?P<unit>{_UNIT})(?P<of>(?<=m){_POWER})?{_PER}{_END}",
        _quantity,
        "0",
    ),
    (
        r"(?<![A-Za-z0-9.])\d[\d.]{0,9} ?[xX×*] ?\d[\d.]{0,9}(?: ?[xX×*] ?\d[\d.]{0,9})?(?![A-Za-z0-9])",
        _sides,
        "0 *Xx×",
    ),
)
