"""Dates and times of day in Chinese."""

from __future__ import annotations

import re

from cosyrt.text.rules import rules
from cosyrt.text.zh.numbers import cardinal, digits, telephone

_START = r"(?<![A-Za-z0-9.,])"
_DASH = r" ?(?:[-–—~]|至|到) ?"
_MONTH = r"(?:1[0-2]|0?[1-9])"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:1\d|20|21)\d\d"
_CLOCK = r"(?:[01]?\d|2[0-4]):[0-5]\d"
# Spans of years, which are counted: 3000年前, 5000年历史; but 2000年以来 is a year.
_SPAN = r"(?=年(?:前|历史|的历史|后|间|之久|多|左右|文明|古|的文明|的古))"


def _date(year: str | None, month: str, day: str, end: str = "日") -> str:
    return (f"{digits(year)}年" if year else "") + f"{cardinal(month)}月{cardinal(day)}{end}"


def _clock(written: str) -> str:
    hour, minute = written.split(":")
    if minute == "00":
        return f"{_hour(hour)}点"
    return f"{_hour(hour)}点{'零' if minute[0] == '0' else ''}{cardinal(minute)}分"


def _hour(written: str) -> str:
    return cardinal(written, counted=int(written) == 2)


def _clocks(found: re.Match[str]) -> str:
    return "到".join(map(_clock, re.findall(_CLOCK, found[0])))


def _seconds(found: re.Match[str]) -> str:
    hour, minute, second = found[0].split(":")
    return f"{_hour(hour)}点{_sixtieth(minute)}分{_sixtieth(second)}秒"


def _sixtieth(written: str) -> str:
    return ("零" if written[0] == "0" and written != "00" else "") + cardinal(written)


def _half_day(found: re.Match[str]) -> str:
    """`8:00am` as a time that the rules behind know."""
    said, hour, minute, half = (group for group in (found.groups()[:4] if found[2] else found.groups()[4:]))
    is_told = said or found.string[found.start() - 1 : found.start()] in ("早", "晚", "晨")
    return f"{said or ('' if is_told else '上午' if half in 'aA' else '下午')}{hour}{minute or '点'}"


def _point(found: re.Match[str]) -> str:
    """`9点05分`: the zero is said."""
    return f"{_hour(found[1])}{found[2]}{'零' if found[3][0] == '0' and found[3] != '00' else ''}{cardinal(found[3])}"


DATES = rules(
    (
        r"(?<![A-Za-z0-9.:])([上下]午)?(\d{1,2})(:[0-5]\d)? ?([ap])\.?m(?![A-Za-z])\.?|"
        r"(?<![A-Za-z0-9.:])([上下]午)?(\d{1,2})(:[0-5]\d)? ?([AP])\.?M(?![A-Za-z])\.?",
        _half_day,
        "0 Mm",
    ),
    (
        rf"{_START}({_YEAR})([-/.])({_MONTH})\2({_DAY})(?:T(?=\d\d:))?(?![A-Za-z0-9]|[./]\d|-\d{{1,2}}(?!\d))",
        lambda f: _date(f[1], f[3], f[4]),
        "0 ./-",
    ),
    (
        rf"{_START}({_YEAR}) ?年 ?({_MONTH}) ?月 ?({_DAY}) ?([日号]?)",
        lambda f: _date(f[1], f[2], f[3], f[4]),
        "年 月",
    ),
    (
        rf"{_START}({_MONTH}) ?月 ?({_DAY}) ?([日号])?{_DASH}({_DAY}) ?([日号])",
        lambda f: f"{_date(None, f[1], f[2], f[3] or '')}到{cardinal(f[4])}{f[5]}",
        "月 ~–—到至-",
    ),
    (
        rf"((?:[今明昨后前]天|日期|截止|截至|生日|时间|下周|本周)(?:[是为到在：:]|就是)?)({_MONTH})/({_DAY})(?![\d/.])",
        lambda f: f[1] + _date(None, f[2], f[3]),
        "/",
    ),
    (r"(?<=《)[12]\d{3}(?=》|[\u4e00-\u9fff])(?!年)", lambda f: digits(f[0]), "《"),
    (
        rf"{_START}({_YEAR})/(\d\d)(?= ?(?:赛季|学年|财年|年度))",
        lambda f: f"{digits(f[1])}到{digits(f[2])}",
        "/ 季学度财",
    ),
    (rf"{_START}({_MONTH}) ?月 ?({_DAY}) ?([日号]?)(?![\d.])", lambda f: _date(None, f[1], f[2], f[3]), "月"),
    (
        rf"{_START}({_YEAR}) ?年?{_DASH}({_YEAR}|\d\d)(?= ?(?:年(?![前后])|学年|财年|赛季))",
        lambda f: f"{digits(f[1])}到{digits(f[2])}",
        "0 季学年财",
    ),
    (rf"{_START}({_YEAR})[/.-]({_MONTH})(?=月)", lambda f: f"{digits(f[1])}年{cardinal(f[2])}", "月 ./-"),
    (
        rf"{_START}({_YEAR})[-–—~]({_YEAR})(?=[)）(（,，。、；;\s]|$)",
        lambda f: f"{digits(f[1])}到{digits(f[2])}",
        "-~–—",
    ),
    (r"(公元前?|西元前?) ?(\d{1,4})(?=年)", lambda f: f[1] + digits(f[2]), "年 公西"),
    (rf"{_START}(\d)000{_SPAN}", lambda f: f"{cardinal(f[1], counted=True)}千", "年"),
    (rf"{_START}([1-9]\d00){_SPAN}", lambda f: cardinal(f[1]), "年"),
    (rf"{_START}(?!1000)({_YEAR}|0\d)(?= ?年(?!级))", lambda f: digits(f[1]), "年"),
    (
        rf"{_START}([6-9]\d)(?=年(?!级|前|后|来|历史|的历史|代|间|以上|以下|内|左右|时间))(?<!长达..)(?<!近..)(?<!共..)(?<!了..)(?<!约..)(?<!过..)",
        lambda f: digits(f[1]),
        "年",
    ),
    (rf"{_START}({_YEAR})(?= ?年代)", lambda f: digits(f[1]), "年 代"),
    (rf"{_START}([056789]\d)(?=后(?!面|来|天|卫))", lambda f: digits(f[1]), "后 0"),
    (rf"{_START}({_YEAR})(?=(?:届|级|款|版|财年|赛季|学年|春夏|秋冬)(?!别))", lambda f: digits(f[1]), "0"),
    (rf"{_START}(0[1-9]|1[0-2])(?=月)", lambda f: cardinal(f[1]), "月"),
    # Days that are known by their numbers.
    (
        rf"{_START}(9[·.．]18|12[·.]9|8[·.]13|7[·.]7)(?=事变|运动|抗战|会战|纪念)",
        lambda f: telephone(f[1]).translate({ord("·"): "", ord("."): ""}).replace("幺", "一"),
        "0 变念战抗运",
    ),
    (r"(?<=[日号]) ?[-–—~] ?(?=[零一二三四五六七八九十])", "到", "~–—- 号日"),
    # Times of day.
    (r"(?<![A-Za-z0-9.:])(?:[01]?\d|2[0-4]):[0-5]\d:[0-5]\d(?![A-Za-z0-9:])", _seconds, ":"),
    (rf"(?<![A-Za-z0-9.:]){_CLOCK}(?:{_DASH}{_CLOCK})?(?![A-Za-z0-9:])", _clocks, ":"),
    (rf"{_START}(\d{{1,2}}) ?([点时]) ?([0-5]\d)(?=分|$|[，。,、；！？（）\s])", _point, "0 时点"),
    (r"(?<![A-Za-z0-9.,第])2(?=点(?![\d零一二三四五六七八九]))", "两", "点 0"),
    (r"(?<=[上下中]午|[早晚]上|凌晨|[今明昨]天|[今明昨]早|[今明昨]晚)2(?=时)", "两", "时 今凌午早明昨晚"),
    (rf"{_START}2(?=(?:个)?小时)", "两", "小 0"),
)
