"""Dates, times of day, years and decades in English."""

from __future__ import annotations

import re

from cosyrt.text.en import numbers
from cosyrt.text.rules import any_of, rules

_MONTHS = "January February March April May June July August September October November December".split()
_SHORT = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_WEEKDAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_MONTH = rf"(?:{any_of([*_MONTHS, *(m.upper() for m in _MONTHS)])}\b|{any_of(list(_SHORT))}\b\.?)"
_DAY = r"(?:3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?:1\d|20|21)\d\d"
# A number of things is no day: `May 5 guests come?`, and a longer number is none either.
_NO_THINGS = r"(?![\d%]|[.,:]\d|/\d)(?! (?:million|billion|thousand|percent|people|men|women|children|miles?|[a-z]+s)\b(?<! as)(?<! is)(?<! was)(?<! has))"
_ENDED = r"(?![\w/]|[.,]\d)"
_COUNTED = r"(?! (?:million|billion|thousand|hundred|percent|people|men|women|children|years?|(?!was|is|has|as|his|its|this|us|does|across|versus|saw|thus)[a-z]+s)\b)"
_DECADES = "_ tens twenties thirties forties fifties sixties seventies eighties nineties".split()
_HALF = r"(?i:a\.m\.|p\.m\.|am|pm|a\.m|p\.m)"
_CLOCK = r"(?:[01]?\d|2[0-4]):[0-5]\d"
_DASH = r" ?[-–—~] ?"
_YEAR_WORDS = any_of(
    "in since by until till before after from around circa year years during early late mid of to through "
    "between c. ca. born died founded built In Since By Until Before After From During Year autumn fall spring summer winter Fall "
    "Spring Summer Winter back model"
)


def _month(written: str) -> str:
    bare = written.rstrip(".")
    return _SHORT.get(bare, bare.capitalize() if bare.isupper() else bare)


def _years(written: str | None) -> str:
    return f" {numbers.year(written)}" if written else ""


def _numbered(day: str, month: str, year: str | None) -> str:
    """A date of numbers alone; the month of a number is written small, as upstream does."""
    return f"the {numbers.ordinal(day)} of {_MONTHS[int(month) - 1].lower()}{_years(year)}"


def _iso(found: re.Match[str]) -> str:
    return _numbered(found[4], found[3], found[1])


def _slashed(found: re.Match[str]) -> str:
    first, second, year = found[1], found[2], found[3]
    if int(first) > 12 >= int(second):
        first, second = second, first
    if int(first) > 12 or int(second) > 31:
        return found[0]
    if len(year) == 2:
        year = ("20" if int(year) < 50 else "19") + year
    return _numbered(second, first, year)


def _dotted(found: re.Match[str]) -> str:
    return _numbered(found[1], found[2], found[3])


def _after_preposition(found: re.Match[str]) -> str:
    return f"{found[1]}{_MONTHS[int(found[2]) - 1]} {numbers.ordinal(found[3])}"


def _month_first(found: re.Match[str]) -> str:
    days = " to ".join(map(numbers.ordinal, filter(None, (found[2], found[3]))))
    year = f", {numbers.year(found[4])}" if found[4] else ""
    return f"{_month(found[1])} {days}{year}"


def _day_first(found: re.Match[str]) -> str:
    days = " to the ".join(map(numbers.ordinal, filter(None, (found[2], found[3]))))
    article = found[1] or "the "
    year = f"{',' if ',' in found[0] else ''}{_years(found[5])}"
    return f"{article}{days} of {_month(found[4])}{year}"


def _month_year(found: re.Match[str]) -> str:
    return f"{_month(found[1])}{',' if ',' in found[0] else ''} {numbers.year(found[2])}"


def _clock(written: str) -> str:
    hour, minute = written.split(":")
    hours = "zero" if int(hour) == 0 else numbers.cardinal(hour)
    if minute == "00":
        return f"{hours} o'clock" if 0 < int(hour) <= 12 else f"{hours} hundred"
    return f"{hours} {'oh ' if minute.startswith('0') else ''}{numbers.cardinal(minute)}"


_ZONES = r"(?:[ECMP][SD]?T|GMT|UTC|BST|CEST|CET|IST|JST|AEST|AEDT)\b"


def _half(written: str, follows: str) -> str:
    """AM or PM; its last stop is kept where it also ends the sentence."""
    ends = written.endswith(".") and (
        not follows.strip() or bool(re.match(rf'["”’)]*\s+(?!{_ZONES})["“]?[A-Z]', follows))
    )
    return ("AM" if written[0] in "aA" else "PM") + ("." if ends else "")


def _time(found: re.Match[str]) -> str:
    times, half = found[1], found[2]
    spoken = " to ".join(map(_hour, re.split(_DASH + "| to ", times)))
    if half is None:
        return spoken
    spoken = spoken.replace(" o'clock", "") if half else spoken
    return f"{spoken} {_half(half, found.string[found.end() :])}"


def _hour(written: str) -> str:
    return _clock(written) if ":" in written else numbers.cardinal(written)


def _two_halves(found: re.Match[str]) -> str:
    first = f"{_hour(found[1]).replace(' o' + chr(39) + 'clock', '')} {_half(found[2], 'x')}"
    second = f"{_hour(found[3]).replace(' o' + chr(39) + 'clock', '')} {_half(found[4], found.string[found.end() :])}"
    return f"{first} to {second}"


def _seconds(found: re.Match[str]) -> str:
    hour, minute, second = found[1], found[2], found[3]
    if second == "00" and found.string[: found.start()].endswith(" at "):  # of a time stamp
        return _clock(f"{hour}:{minute}")
    named = zip((hour, minute, second), ("hour", "minute", "second"), strict=True)
    spoken = [f"{numbers.cardinal(n)} {unit}{'' if int(n) == 1 else 's'}" for n, unit in named]
    return f"{spoken[0]} {spoken[1]} and {spoken[2]}"


def _decade(found: re.Match[str]) -> str:
    century, ten = found[1], found[2]
    if ten == "0":
        return f"{numbers.cardinal(century)} hundreds" if century != "20" else "two thousands"
    return f"{numbers.cardinal(century)} {_DECADES[int(ten)]}"


def _year_range(found: re.Match[str]) -> str:
    end = found[2]
    return f"{numbers.year(found[1])} to {numbers.year(end) if len(end) == 4 else numbers.cardinal(end)}"


def _season(found: re.Match[str]) -> str:
    """A year of sports or of taxes, which begins in one year and ends in the next."""
    return f"{numbers.year(found[1])} to {'oh ' if found[2][0] == '0' else ''}{numbers.cardinal(found[2])}"


def _year_after(found: re.Match[str]) -> str:
    return f"{found[1]} {numbers.year(found[2])}"


def _quarter(written: str) -> str:
    return re.sub(r"\d", lambda digit: f" {numbers.number(digit[0])}", written)


_WEEKDAY = any_of(list(_WEEKDAYS))
DATES = rules(
    # Weekdays and months in short where a date or time stands beside them, or as a range of two.
    (
        rf"(?<![A-Za-z])({_WEEKDAY})\b\.?(?: ?([-–—&/]) ?)({_WEEKDAY})\b(?:\.(?= [a-z\d]))?",
        lambda f: f"{_WEEKDAYS[f[1]]} {'and' if f[2] in '&/' else 'to'} {_WEEKDAYS[f[3]]}",
        "&/–—- FMSTW",
    ),
    (
        rf"(?<![A-Za-z])({_WEEKDAY})\b\.?(?=,? (?:{_MONTH} ?\d|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}|\d{{1,2}}(?::\d\d)? ?{_HALF}|{_CLOCK}|(?:morning|afternoon|evening|night)s?\b))",
        lambda f: _WEEKDAYS[f[1]],
        "FMSTW",
    ),
    (
        rf"(?<![A-Za-z])({any_of(list(_SHORT))})\b\.?{_DASH}({any_of(list(_SHORT))})\b(?:\.(?= [a-z\d]))?",
        lambda f: f"{_SHORT[f[1]]} to {_SHORT[f[2]]}",
        "-~–—",
    ),
    # Dates.
    (
        rf"(?<![\w.])({_YEAR})([-/.])(0?[1-9]|1[0-2])\2({_DAY})(?:T(?=\d\d:))?{_ENDED}(?!-\d{{1,2}}(?!\d))",
        lambda f: _iso(f) + (" at " if f[0].endswith("T") else ""),
        "0",
    ),
    (rf"(?<![\w./-])({_YEAR})([-/])(0?[1-9]|1[0-2])\2({_DAY})T(?=\d\d:)", lambda f: _iso(f) + " at ", ": T"),
    (
        rf"(?<![\w./-])(\d{{1,2}})[/-](\d{{1,2}})[/-]({_YEAR}|(?<=/)\d\d){_ENDED}(?!-\d{{1,2}}(?!\d))",
        _slashed,
        "-/",
    ),
    (rf"(?<![\w.])({_DAY})\.(0?[1-9]|1[0-2])\.({_YEAR}){_ENDED}", _dotted, "0 ."),
    (
        rf"(?<![A-Za-z])([Oo]n |[Bb]y |[Uu]ntil |[Ss]ince |[Dd]ue )(0?[1-9]|1[0-2])/({_DAY}){_ENDED}(?!9/11)",
        _after_preposition,
        "/",
    ),
    (
        rf"\b({_MONTH}) ({_DAY})(?:st|nd|rd|th)?(?:{_DASH}({_DAY})(?:st|nd|rd|th)?)?(?:,? ({_YEAR}){_ENDED})?{_NO_THINGS}(?!\w)",
        _month_first,
        "0",
    ),
    (
        rf"(?<![\w.,$€£/:-])(the )?({_DAY})(?:st|nd|rd|th)?(?:{_DASH}({_DAY})(?:st|nd|rd|th)?)? (?:of )?({_MONTH})(?:,? ({_YEAR}){_ENDED})?(?!\w)",
        _day_first,
        "0",
    ),
    (rf"\b({_MONTH}),? ({_YEAR}){_ENDED}", _month_year, "0"),
    (r"(?<=[a-z]) ?[-–—~] ?(?=the \w+(?: \w+)? of )", " to ", "~–—- f"),
    # Times of day.
    (r"(?<![\w:.])(\d{1,2}):([0-5]\d):([0-5]\d)(?:\.\d+)?Z?(?![\w:]|\.\d)", _seconds, ":"),
    (
        rf"(?<![\w:.$€£])({_CLOCK}|\d{{1,2}}) ?({_HALF})(?: to |{_DASH})({_CLOCK}|\d{{1,2}}) ?({_HALF})(?!\w)",
        _two_halves,
        ":0 MPmp",
    ),
    (
        rf"(?<![\w:.$€£])((?:{_CLOCK}|1?\d)(?:(?:{_DASH}| to )(?:{_CLOCK}|1?\d))?) ?({_HALF})(?![A-Za-z])",
        _time,
        ":0 MPmp",
    ),
    (
        rf"(?<![\w:.$€£])((?:{_CLOCK})(?:{_DASH}(?:{_CLOCK}))?)()?(?= ?Z\b|(?![\w:]|\.\d|/\d))",
        lambda f: " to ".join(map(_clock, re.split(_DASH, f[1]))),
        ":",
    ),
    # Decades and years.
    (
        r"\b(Q[1-4]|[FH]Y|H[12])['’](\d\d)(?![\w'’])",
        lambda f: f"{_quarter(f[1])} {numbers.number(f[2])}",
        "0 '’",
    ),
    (
        rf"(?<![\w./-])((?:19|20)\d\d)/(\d\d){_ENDED}",
        lambda f: _season(f) if (int(f[1]) + 1) % 100 == int(f[2]) else f[0],
        "/",
    ),
    (
        r"\b([FCA]Y|Q[1-4]|H[12]) ?((?:19|20)\d\d)\b",
        lambda f: f"{_quarter(f[1])} {numbers.year(f[2])}",
        "0 HQY",
    ),
    (r"(?<![\w.,])(1\d|20)(\d)0['’]?s\b", _decade, "0 s"),
    (r"(?<!\w)['’]?([2-9])0['’]?s\b", lambda f: _DECADES[int(f[1])], "0 s"),
    (
        r"\b([Ii]t was(?= 1[1-9])|[Yy]ear) ([1-9]\d{3})(?=[.,;!?]|$| when\b| that\b| in\b)",
        _year_after,
        "0 Ywy",
    ),
    (
        r"\b([Mm]id-|[Ee]arly-|[Ll]ate-|[Pp]re-|[Pp]ost-)((?:1[1-9]|20)\d\d)\b",
        lambda f: f"{f[1]}{numbers.year(f[2])}",
        "-",
    ),
    (rf"(?<![\w.,$€£¥/-])({_YEAR}){_DASH}({_YEAR}|\d\d){_ENDED}(?![-%]){_COUNTED}", _year_range, "-~–—"),
    (rf"(?<![\w-])({_YEAR_WORDS}) ((?:1\d|20)\d\d){_ENDED}(?!-\d)(?!%)(?!:){_COUNTED}", _year_after, "0"),
    (
        r"(?<![\w.,$€£¥#/:+−-])((?:1[1-9]|20)\d\d)(?= (?:AD|BC|CE|BCE|A\.D\.|B\.C\.)(?!\w))",
        lambda f: numbers.year(f[1]),
        "0 BDE",
    ),
    (
        rf"(?<![\w.,$€£¥#/:+−*×^<>=-])(?<![=+*×÷<>] )((?:19|20)[0-9]{{2}}){_ENDED}(?![-%°])(?! ?[+*×÷=<>]){_COUNTED}",
        lambda f: numbers.year(f[1]),
        "0",
    ),
    (
        r"(?<!\w)['’](\d\d)(?![\w'’])",
        lambda f: numbers.number(f[1]) if f[1][0] != "0" else "oh " + numbers.digits(f[1][1]),
        "0 '’",
    ),
)
