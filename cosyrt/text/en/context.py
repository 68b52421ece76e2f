"""Forms of English whose neighbours tell what they mean, written so that the other rules read them right."""

from __future__ import annotations

import re

from cosyrt.text.elements import ISOTOPE, isotope
from cosyrt.text.en import numbers
from cosyrt.text.en.units import UNITS
from cosyrt.text.rules import any_of, rules

_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_WEEKDAY = any_of([*_WEEKDAYS, *_WEEKDAYS.values()])
_SHORT_DAY = re.compile(rf"(?<![\w'’-]){any_of(list(_WEEKDAYS))}\b\.?(?=[ ,;:)–—-]|$|\.)")
_DAY_RANGE = re.compile(rf"(?<![\w'’-])({any_of(list(_WEEKDAYS))})\.? ?[-–—] ?({any_of(list(_WEEKDAYS))})\b")
_SURE_DAY = re.compile(r"(?<![\w'’-])(?:Mon|Tues?|Thu|Thurs?|Fri)\b")
# People and things that are counted in millions, after `1.4m`.
_MANY = any_of(
    "people users views followers subscribers residents jobs homes customers downloads viewers barrels tonnes tons "
    "copies deaths cases workers voters streams plays visitors inhabitants refugees children households units "
    "vehicles cars members students listeners sales shares votes doses passengers"
)
_UNIT_NAMES = {
    "mol": "mole", "s": "second", "m": "meter", "kg": "kilogram", "K": "kelvin", "h": "hour", "L": "liter",
    "g": "gram", "cm": "centimeter", "min": "minute", "J": "joule", "C": "coulomb",
}  # fmt: skip
_PRODUCTS = {
    "J": "joule", "N": "newton", "W": "watt", "kW": "kilowatt", "Pa": "pascal", "A": "ampere", "V": "volt"
}  # fmt: skip
_ASSIGNED = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}
_STATUS = "(?:4[0-5][0-9]|50[0-9]|20[0-9]|30[0-9])"
_OF_RATES = r"(?:%|\b(?:rates?|fees?|yields?|Fed|hikes?|spreads?|bonds?|basis|ECB|Treasur))"


def _month_day(found: re.Match[str]) -> str:
    day = found[1].rstrip(".")
    return f"{_WEEKDAYS.get(day, day)}, {_MONTHS[int(found[2]) - 1]} {found[3]}"


def _weekdays(found: re.Match[str]) -> str:
    """A list of weekdays in short, of which one is sure: `Mon–Fri 8–18, Sat 9–1, closed Sun`."""
    text = found[0]
    if len(_SHORT_DAY.findall(text)) < 2 or not _SURE_DAY.search(text):
        return text
    text = _DAY_RANGE.sub(lambda f: f"{_WEEKDAYS[f[1]]} to {_WEEKDAYS[f[2]]}", text)
    return _SHORT_DAY.sub(_weekday, text)


def _weekday(found: re.Match[str]) -> str:
    ends = found[0].endswith(".") and not re.match(r" [a-z\d]|,", found.string[found.end() :])
    return _WEEKDAYS[found[0].rstrip(".")] + ("." if ends else "")


def _handle(found: re.Match[str]) -> str:
    name = found[1].replace(".", " dot ").replace("-", " dash ").replace("_", " underscore ")
    return f"at {name}"


def _per(found: re.Match[str]) -> str:
    power = {"1": "", "2": " squared", "3": " cubed"}[found[2]]
    return f" per {_UNIT_NAMES[found[1]]}{power}"


def _product(found: re.Match[str]) -> str:
    return f" {_PRODUCTS[found[1]]} {_UNIT_NAMES[found[2]]}s"


def _out_of(found: re.Match[str]) -> str:
    return f"{found[1]} out of {found[2]}"


def _without_primes(found: re.Match[str]) -> str:
    """The minutes of goals behind the names of players: `(Saka 7', 54')`."""
    return re.sub(r"(?<=\d)['’′](?=[,;) ])", "", found[0])


def _status(found: re.Match[str]) -> str:
    return f"HTTP {found[1]}, {numbers.digits(found[2])}"


_SHORT_MONTHS = {"Jan": "January", "Feb": "February", "Aug": "August", "Sept": "September", "Sep": "September",
                 "Oct": "October", "Nov": "November", "Dec": "December"}  # fmt: skip
_PLACES = {"Rm": "room", "Apt": "apartment", "Bldg": "building", "Ste": "suite", "Fl": "floor", "Hwy": "Highway", "Rt": "Route", "Rte": "Route",
           "Cat": "category"}  # fmt: skip
_CHARGED = {"": "", "²": " two", "³": " three"}
_RATED = {"hrs": "hours", "mins": "minutes", "req": "requests", "reqs": "requests", "msgs": "messages"}
_EACH = {"min": "minute", "sec": "second", "s": "second", "hr": "hour", "h": "hour"}


def _military_clock(hour: str, minute: str) -> str:
    hours = f"oh {numbers.cardinal(hour)}" if hour[0] == "0" else numbers.cardinal(hour)
    if minute == "00":
        return f"{hours} hundred"
    return f"{hours} {'oh ' if minute[0] == '0' else ''}{numbers.cardinal(minute)}"


def _molar(found: re.Match[str]) -> str:
    return " millimolar " if "m" in found[0] else " molar "


def _spoonful(found: re.Match[str]) -> str:
    name = {"c": "cup", "T": "tablespoon"}[found[2]]
    return f"{found[1]} {name}{'s' if found[1].isdecimal() and found[1] != '1' else ''} "


def _cells(found: re.Match[str]) -> str:
    """A range of cells, `A1:B20`; names such as `O157:H7` are no range."""
    return f"{found[1]}{' to' if found[1][0] <= found[2][0] else ''} {found[2]}"


def _lap(found: re.Match[str]) -> str:
    """The time of a race: minutes, and seconds with a fraction."""
    minutes = f"{found[1]} minute{'' if found[1] == '1' else 's'}"
    return f"{minutes} {found[2].lstrip('0') or '0'}{found[3]} seconds"


def _lap_of(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]} minutes {found[3].lstrip('0') or '0'} seconds"


def _military(found: re.Match[str]) -> str:
    return f"{_military_clock(found[1], found[2])} hours"


def _short_month(found: re.Match[str]) -> str:
    ends = not re.match(r"[,;)]| [a-z\d(]", found.string[found.end() :])
    return f"{found[1]} {_SHORT_MONTHS[found[2]]}" + ("." if ends else "")


def _powered(found: re.Match[str]) -> str:
    return f"{found[1]} {UNITS[found[2]][1]}"


def _item(found: re.Match[str]) -> str:
    is_later = found.string[found.start() - 1 : found.start()].isalnum()
    return f"{',' if is_later else ''} {found[1]}, "


def _enumerated(found: re.Match[str]) -> str:
    return re.sub(r"\s(\d{1,2})\) ", _item, " " + found[0])[1:]


CONTEXT = rules(
    (
        r"\b((?:[Cc]ode|OTP|[Pp]asscode|PIN)(?: is)?:? )(\d{3}) (\d{3,4})(?![\w,]|\.\d)",
        lambda f: f"{f[1]}{numbers.digits(f[2])}, {numbers.digits(f[3])}",
        "0 CNOc",
    ),
    (r"(?<![\w.])(\d{1,2}|[½¼¾⅓⅔]) ([cT])\. (?=[a-z])", _spoonful, "¼½¾⅓⅔0 Tc"),
    (r"(?<=\d)-oz\.(?=[)\]])", "-oz", "- z"),
    (
        r"(?<![\w-])(7[0-8]7)-(\d{1,3})(?![\w-])",
        lambda f: f"{numbers.digits(f[1])} {numbers.number(f[2])}",
        "-",
    ),
    (r"(?<=[A-Za-z] )(\d{1,3}) [-–] (\d{1,3})(?= [A-Z])", r"\1 to \2", "-–"),
    (r"(?<![\w-])([A-D])-(?= (?:in|on|grade|average|for)\b|[.,;!?]|$)", r"\1 minus", "- ABCD"),
    (r"(?<![\w.])(\d{1,2}/\d{1,2})[\"”″](?!\w)", r"\1 inch", '/ "”″'),
    (r"[µμ]-(?=[Ll]aw\b)", "mu-", "- µμ"),
    # Marks of ten, of five stars, and whole ones; all others are fractions or dates.
    (r"(?<![\w/.$-])(\d{1,2}\.\d{1,2})/(4\.0|5\.0|10\.0|5|10|100)(?![\w/%]|\.\d)", _out_of, "/ ."),
    (r"(?<![\w/.$-])(?<!on )(?<!by )(?<!due )(5|10|100)/(\1)(?![\w/%]|\.\d)", _out_of, "/"),
    (
        r"\b([Dd]ay|[Ss]tep|[Pp]art|[Pp]age|[Ll]evel|[Ee]pisode|[Rr]ound|[Ll]esson|[Qq]uestion|[Ss]lide|[Ii]tem) "
        r"(\d{1,4})/(\d{1,4})(?![\w/])",
        r"\1 \2 of \3",
        "/",
    ),
    (r"(?<![\w/.$-])(\d{1,2})/(5|10)(?= stars?\b)", _out_of, "/ r"),
    (
        r"(?<![\w/.$-])(?<!on )(?<!by )(\d)/(10)(?=[!?]|[.,;)](?!\d)|$| (?:would|movie|film|game|for)\b)",
        _out_of,
        "/",
    ),
    # Times and days.
    (r"(?<![\w:.])(\d{1,2}:[0-5]\d) ?([ap])(?![\w.'’])", r"\1 \2m", ":"),
    (r"(?<![\w:])(\d{1,2}:[0-5]\d):00 ?(?=[AaPp]\.?[Mm])", r"\1 ", ": Mm"),
    (r"(?<![\w:.])(\d{1,2}):([0-5]\d)(\.\d{1,3})(?![\w:])", _lap, ":"),
    (r"\b((?:in|of|time|clocked|at|ran) (?:a )?)(2[5-9]|[3-9]\d):([0-5]\d)(?![\w:.]\d)", _lap_of, ":"),
    (r"(?<!\w)([01]\d|2[0-3])([0-5]\d) (?:hrs\b\.?|hours\b)", _military, "0 h"),
    (
        r"\b([Aa]t|[Bb]y|[Uu]ntil|[Ff]rom|[Aa]round|[Bb]efore|[Aa]fter) (0\d|1\d|2[0-3])([0-5]\d)(?=[.,;!?](?!\d)| (?:a|on|for|and|to)\b|$)"
        r"(?<= 0\d\d\d)",
        lambda f: f"{f[1]} " + _military_clock(f[2], f[3]),
        "0",
    ),
    (
        r"\b([Ee]xp(?:\.|ires|iry|iration)?:?) (0[1-9]|1[0-2])/(\d\d)(?![\w/])",
        lambda f: f"{f[1]} {_MONTHS[int(f[2]) - 1]} {numbers.year('20' + f[3])}",
        "/ x",
    ),
    (r"(?<!\w)24/7/365(?![\w/])", "twenty four seven, three sixty five", "/"),
    (
        r"(?<![\w/.$-])((?:[Ee]nds|[Ss]tarts|[Oo]pens|[Cc]loses|[Bb]egins|[Pp]osted|[Uu]pdated) )(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\w/]|\.\d)",
        lambda f: f"{f[1]}{_MONTHS[int(f[2]) - 1]} {f[3]}",
        "/",
    ),
    (
        r"(?<![\w/.$-])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?= ?(?:@|at) ?\d)",
        lambda f: f"{_MONTHS[int(f[1]) - 1]} {f[2]}",
        "/ @t",
    ),
    (r"\((1[0-2]|0?[1-9])/(3[01]|2\d|1[3-9])\)", lambda f: f"({_MONTHS[int(f[1]) - 1]} {f[2]})", "( /"),
    (r"(\d(?:st|nd|rd|th)) c\.(?= [a-z])", r"\1 century", "0 c"),
    (r"(\d(?:st|nd|rd|th)) c\.", r"\1 century.", "0 c"),
    (r"\b[Ee]st\. (1[5-9]\d\d|20\d\d)\b", lambda f: f"established {numbers.year(f[1])}", "0 s"),
    (r"\b[Pp]op\. (?=\d)", "population ", "0 p"),
    (
        rf"(?<!\w)({_WEEKDAY})\.?,? (1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\w/]|[.,]\d)",
        _month_day,
        "/ FMSTWy",
    ),
    (r"(?s)^.*\b(?:Mon|Tues?|Thu|Thurs?|Fri)\b.*$", _weekdays, "FMT"),
    (r"(?<![\w.])[Cc]a?\. ?(?=\d{3,4}\b)", "circa ", "0 Cc"),
    (
        rf"\b([Ii]n|[Ss]ince|[Uu]ntil|[Bb]y|[Ff]rom|[Tt]o|[Oo]f|last|this|next|late|early|and|through|between"
        rf"|during|for) ({any_of(list(_SHORT_MONTHS))})\.(?! ?\d)",
        _short_month,
        ". ADFJNOS",
    ),
    (r"\b(Tues|Thurs|Thur)\b\.?(?=[ ,;:)]|$)", lambda f: _WEEKDAYS[f[1]], "T u"),
    (
        r"\b([A-Z][a-z]+) ((?:19|20)\d\d)(?= (?:falls|is|was|has|starts|begins|ends|opens|runs|kicks|brings|comes"
        r"|sees|takes|features|marks|shows)\b)(?<!The \d{4})(?<!All \d{4})",
        lambda f: f"{f[1]} {numbers.year(f[2])}",
        "0",
    ),
    # Places.
    (rf"(?<!\w)({any_of(list(_PLACES))})\.? (?=\d)", lambda f: _PLACES[f[1]] + " ", "0 ABCFHRS"),
    (r"(?<=, )(\d{5}) (?=[A-Z][a-z])", lambda f: numbers.digits(f[1]) + " ", "0 ,"),
    (
        r"\b(NSW|VIC|QLD|WA|SA|TAS|ACT|NT) (\d{4})(?!\w)",
        lambda f: f"{f[1]} {numbers.digits(f[2])}",
        "0 ACNQVW",
    ),
    # Telephones, handles and commands.
    (r"(\d{3}[ .-]\d{4}),? (?:x|[Ee]xt\.?) ?(\d{2,6})(?!\w)#?", r"\1, extension \2", "0 x"),
    (r"(?<!\w)@([A-Za-z]\w*(?:[.-]\w+)+)", _handle, "@ .-"),
    (
        r"(?<!\w)T-(?=\d+(?: ?(?:s|sec|min|h|hours?|minutes?|seconds?|days?)\b|:\d\d))|(?<=\bat )T-(?=\d)",
        "T minus ",
        "-",
    ),
    (rf"\bHTTP/(\d(?:\.\d)?),? ({_STATUS})\b", _status, "/ P"),
    (
        rf"(?<![\w.,$])({_STATUS})(?= (?:errors?|page|status|response|[Nn]ot [Ff]ound|Bad Gateway|Service "
        r"Unavailable|Internal Server Error|Forbidden|Unauthorized|OK)\b)",
        lambda f: numbers.digits(f[1]),
        "0",
    ),
    (r"(?<=[\w\])]) ?([-+*/])= ?(?=[\w\"'-])", lambda f: f" {_ASSIGNED[f[1]]} equals ", "="),
    (r"(?<=\w)\+=", " plus equals", "+ ="),
    (r"(?<=\d)#(?!\w)", " hash", "#"),
    (r"(?<=\bSELECT )\*", "star", "* E"),
    (r"⌘ ?\+? ?(?=\w)", "Command ", "⌘"),
    (r"(?<=[\])]) ?\* ?(?=[\w(])", " times ", "* )]"),
    (
        r"\b(CVE|RFC|ISO|IEC|GB|INV)-(\d{4})-(\d+)\b",
        lambda f: f"{f[1]} {numbers.year(f[2])}, {numbers.digits(f[3])}",
        "- EGORV",
    ),
    (
        r"\bNo\. (\d{2})-(\d{3,5})(?![\w-])",
        lambda f: f"Number {numbers.number(f[1])}, {numbers.digits(f[2])}",
        "- N",
    ),
    (
        r"\b([Ee]nding (?:in|with)|[Ee]nds (?:in|with)) (\d{3,4})(?![\w,]|\.\d)",
        lambda f: f"{f[1]} {numbers.digits(f[2])}",
        "0 d",
    ),
    (r"(?s)^(?=.*(?<!\w)1\) .*(?<!\w)2\) ).*$", _enumerated, ")"),
    (r"\b([A-Z]\d+):([A-Z]\d+)\b", _cells, ":"),
    # Seconds that look like decades.
    (r"(?<=[=:<>~≤≥])( ?)(\d0)s\b", r"\1\2 seconds", "0 :<=>~≤≥"),
    (r"(?<![\w.,'’])10s\b(?! of\b)", "10 seconds", "0 s"),
    (
        r"(?<![\w.,'’])([2-9]0)s(?= (?:timeouts?|delay|wait|timer|intervals?|cooldown|clips?|videos?|ads?|later|left"
        r"|remaining|per|at (?:most|least))\b)",
        r"\1 second",
        "0 s",
    ),
    (
        r"\b((?i:after|within|takes?|took|every|lasts?|lasted|waits?|waited|sleeps?|timeout of|for|in(?: under)?|under"
        r"|over|about|only|another|than|is) )([2-9]0)s\b(?! (?:and|were|was|music|fashion|style|hits|kids)\b)",
        r"\1\2 seconds",
        "0 s",
    ),
    (r"(?<!\w)f/(?=\d)", "f ", "/ f"),
    (r"(?<!\w)[µμ](?![A-Za-z])", "mu", "µμ"),
    (r"(?<=\()–(?=[\d.])", "-", "( –"),
    (r"(?<![A-Za-z)]\d)(?<=[\d%CF°]) ?→ ?(?=[\d$€£+-])", " to ", "→ %CF°0"),
    (r"(?<![\w.])(\d{1,2})! ?= ?(?=\d)", r"\1 factorial equals ", "! ="),
    (r"(?<!\w)(\d{1,2}/\d{1,2}) ?[\"”″](?= ?[a-z])", r"\1 inch", '/ "”″'),
    (r"(\d(?:st|nd|rd|th)) fl\.(?=,| [a-z])", r"\1 floor", "0 f"),
    (r"\b([Ll]ine) (\d+):(\d+)\b", r"\1 \2, column \3", ": Ll"),
    (r"\b([fgh])['’]\(", r"\1 prime (", "( '’"),
    (r"/ea\b\.?(?!\w)", " each", "/ a"),
    # Sports.
    (r"(?<!\w)(\d)-(\d)\((\d{1,2})\)", r"\1-\2, \3", "- ("),
    (r"(\d\+\d{1,2})['’′]", r"\1", "+ '’′"),
    (
        r"\b(ran|run|runs|running|race|walk|walked|jog|jogged|hiked|cycled|swam) ((?:a|an|the|my|his|her) )?(\d{1,2})[kK]\b",
        lambda f: f"{f[1]} {f[2] or ''}{numbers.cardinal(f[3])} K",
        "0 Kk",
    ),
    (
        r"(?<!\w)(\d{1,2})[kK](?= (?:run|race|walk|runner|time|PB|PR)\b)",
        lambda f: f"{numbers.cardinal(f[1])} K",
        "0 Kk",
    ),
    # Numbers and units.
    (r"(?<=\d)-(\d{1,4})B\b", r" \1 B", "- B"),
    (r"(?<== )([A-Za-z]{1,3}) ?/ ?([A-Za-zα-ωΑ-Ω]{1,3})(?![\w/])", r"\1 over \2", "= /"),
    (r"(?<=[A-Za-z0-9)])[·⋅](?=[A-Za-z0-9(])(?![smh]\b)", " times ", "·⋅"),
    (r"(?<=\d) m?M (?=(?:[A-Z][a-z]?){1,4}\d?(?:\b|OH)|solution\b|stock\b)", _molar, "0 M"),
    (r"(?<![\w.])(\d{1,2})h ?(\d{1,2})m(?:in)?(?!\w)", r"\1 h \2 min", "0 m"),
    (
        r"(?<=[A-Za-z0-9])([²³]?)([⁺⁻])(?![⁰¹²³⁴-⁹])",
        lambda f: f"{_CHARGED[f[1]]} {'plus' if f[2] == '⁺' else 'minus'}",
        "⁺⁻",
    ),
    (
        rf"(?<![\w.,$€£])(\d+(?:\.\d+)?)m(?= (?:more |new |active |monthly |daily )?{_MANY}\b)",
        r"\1 million",
        "0 m",
    ),
    (rf"(?s)^(?=.*{_OF_RATES}).*$", lambda f: re.sub(r"(?<=\d) ?bps?\b", " basis points", f[0])),
    (r"(?<=\d)bp\b", " basis points", "0 b"),
    (r"(?<![\w.])([3-8])['’′](1[01]|\d)(?![\w\"”″'’.])", r"\1 foot \2", "0 '’′"),
    (
        rf"(10\^[-−]?\d{{1,3}}) ?({any_of([unit for unit in UNITS if unit[0].isalpha()])})(?![\w²³/^·.])",
        _powered,
        "^",
    ),
    (
        r"\b(reqs?|requests|calls|words|beats|steps|frames|tokens|messages|msgs|queries|hrs|hours|mins|minutes|miles|cups|times|users|items|pages|lines|clicks)"
        r"/(min|sec|s|hr|h|minute|second|hour|day|week|month|year|user|person)\b",
        lambda f: f"{_RATED.get(f[1], f[1])} per {_EACH.get(f[2], f[2])}",
        "/",
    ),
    (rf" ?[·⋅]? ?(?<![A-Za-z])({any_of(list(_UNIT_NAMES))})\^[-−]([123])(?!\d)", _per, "^ −-"),
    (rf"(?<=\d) ?({any_of(list(_PRODUCTS))})[·⋅](s|m|h)(?![A-Za-z])", _product, "·⋅ 0"),
    (ISOTOPE, lambda f: isotope(f, chinese=False), "²³¹⁰⁴⁵⁶⁷⁸⁹"),
    (
        r"(?<![\w-])(\d{2,3})-(\d{2})(?= \d+(?:st|nd|rd|th) (?:St|Street|Ave|Avenue|Rd|Road|Pl|Place|Dr|Drive)\b)",
        r"\1 \2",
        "- ADPRS",
    ),
    (r"\((?=[A-Z])[^()]{0,120}\d['’′][^()]{0,120}\)", _without_primes, "( '’′"),
)
