"""What is said sign by sign in English: addresses of the web, telephone numbers, codes, versions, hashes."""

from __future__ import annotations

import re

from cosyrt.text.en import numbers
from cosyrt.text.rules import any_of, rules

_WEB_SIGNS = {
    ".": " dot ", "/": " slash ", ":": " colon ", "?": " question mark ", "=": " equal sign ", "&": " and ",
    "#": " hash ", "@": " at ", "-": " dash ", "_": " underscore ", "%": " percent ", "+": " plus ",
    "~": " tilde ",
}  # fmt: skip
_DOMAINS = (
    "com org net edu gov io ai co uk de fr cn jp us eu info dev app me tv ly gg be xyz html htm php py js ts "
    "json txt md pdf csv xml yaml yml toml exe zip tar gz png jpg jpeg gif svg mp3 mp4 wav doc docx xls xlsx "
    "ppt pptx sh cpp rs go java rb ini cfg conf log sql css dll iso apk epub srt"
)
_HOST = rf"[A-Za-z0-9](?:[\w-]{{0,62}}\.){{1,6}}{any_of(_DOMAINS)}(?![\w-])"
_URL_TAIL = r"(?::\d{1,5})?(?:[/?#](?:[\w\-./?=&#%+~:@]{0,500}[\w/=#])?)?"
_WEB = rf"(?<![\w@])(?:(?:https?|ftp)://[\w\-.:@]{{1,200}}{_URL_TAIL}|www\.[\w\-.]{{1,200}}\w{_URL_TAIL}|{_HOST}{_URL_TAIL})"
_MAIL = r"(?<![\w.])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@])"
# Nouns after which a number is a name: it is said digit by digit.
_NAMED = any_of(
    "PIN CVV ID account zip extension ext order invoice tracking serial card SSN ticket confirmation "
    "verification password passcode OTP code phone telephone tel mobile cell fax hotline postcode postal "
    "licence license passport reference ref booking reservation case docket patent permit "
    "member customer employee registration plate lot batch SKU ISBN ISSN IMEI VIN model"
)
_PLACED = any_of(
    "flight room suite apartment apt unit highway interstate route hwy bus train boeing airbus channel "
    "locker gate box error http status port form area dial"
)
_LINK = r"(?:['’]s)?(?: (?:number|no\.?|code|id|is|was|of|to|line|at))*[ :#=.]{1,3}"
_CALL = r"(?<![A-Za-z])(?:[Cc]all(?:s|ed|ing)?|[Dd]ial(?:s|ed|l?ing)?|[Tt]ext|[Pp]honed?|[Rr]ing)(?: (?:me|us|him|her))?(?: (?:at|on))?:? "
_THINGS = r"(?![\d,.:/-]*\d)(?!\s+(?!and|or|is|for|to|in|at|if|now|on|when|as|was|its|this|thus|has|does|us|because|unless|yes|plus\b)[a-z]+s\b)"


def _web(found: re.Match[str]) -> str:
    address = found[0]
    end = len(address.rstrip(".,:?!"))
    address, rest = address[:end], address[end:]
    scheme = re.match(r"https?|ftp|www", address)
    if scheme:
        address = scheme[0].upper() + address[scheme.end() :]
    address = address.replace(".www.", ".WWW.").replace("//www.", "//WWW.")
    spoken = re.sub(r"\d+", lambda number: f" {_web_number(number[0])} ", address)
    spoken = "".join(_WEB_SIGNS.get(sign, sign) for sign in spoken)
    return " ".join(spoken.split()) + rest


def _web_number(written: str) -> str:
    return numbers.digits(written) if len(written) > 2 else numbers.number(written)


def _groups(found: re.Match[str]) -> str:
    """Digits one by one with a pause between their groups."""
    plus = "plus " if found[0].startswith("+") else ""
    return plus + ", ".join(numbers.digits(group) for group in re.findall(r"[A-Za-z0-9]+", found[0]))


def _digits_after(found: re.Match[str]) -> str:
    return found[1] + re.sub(r"[A-Z0-9][A-Z0-9 -]*", _called, found[2])


def _called(found: re.Match[str]) -> str:
    return _groups_of(found[0].rstrip()) + (" " if found[0].endswith(" ") else "")


def _groups_of(written: str) -> str:
    return ", ".join(spelled(group) for group in re.findall(r"[A-Za-z0-9]+", written))


def spelled(code: str) -> str:
    """A code sign by sign: digits have their names, letters are capitals of their own."""
    runs = re.findall(r"[A-Z]{4,}(?=\d*$)|.", code)  # `SAVE20`: letters that are a word stay one
    return " ".join(numbers.digits(run) if run.isdecimal() else run.upper() for run in runs)


def _spelled_groups(found: re.Match[str]) -> str:
    return _groups_of(found[0])


def _address(found: re.Match[str]) -> str:
    parts = re.split(r"([.:])", found[0])
    names = {".": "dot", ":": "port"}
    return " ".join(names.get(part) or numbers.digits(part) for part in parts)


def _version(found: re.Match[str]) -> str:
    return " point ".join(map(numbers.number, found[0].split(".")))


def _place(found: re.Match[str]) -> str:
    """The number of a room or a road: round ones whole, others of three digits or more one by one."""
    written = found[2]
    whole = written.endswith("00") or len(written) < 3
    return found[1].replace("#", "number ") + (
        numbers.cardinal(written) if whole else numbers.digits(written)
    )


def _section(found: re.Match[str]) -> str:
    parts = re.findall(r"\w+", found[0])
    return ", ".join(numbers.number(part) if part.isdecimal() else part.upper() for part in parts)


CODES = rules(
    (_MAIL, _web, "@ ."),
    (_WEB, _web, ".:"),
    (r"(?<![\w:])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![\w:-])", _spelled_groups, "-:"),
    (r"(?<![\w-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![\w-])", _spelled_groups, "-"),
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]?\d)", _address, "0 ."),
    (
        r"#(?=[0-9A-Fa-f]{0,5}\d)(?=[0-9A-Fa-f]{0,5}[A-Fa-f])([0-9A-Fa-f]{6})\b",
        lambda f: "hash " + spelled(f[1]),
        "#",
    ),
    (r"\b0x([0-9A-Fa-f]{1,16})\b", lambda f: "zero x " + spelled(f[1]), "0 x"),
    (
        r"(?<![\w-])(ISBN(?:-1[03])?:? ?)(\d(?:[- ]?\d){8,11}[- ]?[\dXx])(?![\w-])",
        lambda f: "ISBN " + _groups_of(f[2]),
        "0 N",
    ),
    (r"(?<!\w)#(?=[A-Z]{1,4}-?\d)", "number ", "#"),
    (r"\b([A-Z]{1,5})-(\d{3,})(?![\w-])", lambda f: f"{f[1]} {numbers.digits(f[2])}", "-"),
    (
        r"\b([Ss]eat|[Rr]ow|[Gg]ate|[Rr]oom|[Ff]lat|[Uu]nit|[Bb]lock|[Pp]latform|[Cc]lass) (\d{1,3})([A-Z])\b",
        lambda f: f"{f[1]} {numbers.number(f[2])} {f[3]}",
        "0",
    ),
    (r"(?<![\d.,])(\d{1,3})((?: 000)+)(?![\d,.]?\d)", lambda f: f[1] + f[2].replace(" ", ","), "0"),
    (r"\b(localhost):(\d{2,5})\b", lambda f: f"{f[1]} port {numbers.digits(f[2])}", ": c"),
    # Telephone numbers: with a country, with an area, with at least two groups, toll-free with words.
    (
        r"(?<![\w+])\+(?=[1-9](?:[ .()-]{0,2}\d){7,14}(?![\d]))(?!\d+\.\d+(?![.\d-]))\d{1,3}(?:[ .-]?\(?\d{1,12}\)?){1,6}(?![\w-])",
        _groups,
        "+",
    ),
    (r"(?<![\w-])(?:1[ -])?\(\d{3}\)[ -]?\d{3}[ .-]\d{4}(?![\w-])", _groups, "("),
    (r"(?<![\w.-])(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}(?![\w-])", _groups, "0"),
    (r"(?<![\w-])(1-8\d\d)-([A-Z]{3,10})\b", lambda f: _groups_of(f[1]) + ", " + f[2], "-"),
    (r"(?<![\w.,-])0\d{2,4}(?:[ -]\d{3,4}){1,3}(?![\w,-])", _groups, "0"),
    (r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", _groups, "-"),
    (r"(?<![\w-])\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?![\w-])", _groups, "0"),
    (r"(?<![\w-])(?<![\d)] )(?<!\))\d{3}-\d{3}[1-9](?![\w-])", _groups, "-"),
    (r"(?<![\w-])\d{5}-\d{4}(?![\w-])", _groups, "-"),
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){2}(?!\.?\d)", _version, "0 ."),
    (r"\b([vV])(\d+(?:\.\d+)+)", lambda f: f"{f[1]} {_version(re.match('.*', f[2]))}", "0 Vv"),  # type: ignore[arg-type]
    # Numbers that are names.
    (
        rf"({_CALL})(\d{{3,}}(?:[ -]\d{{2,}})*(?:(?: or | and |, )\d{{3,}})*)(?!\w){_THINGS}",
        _digits_after,
        "0",
    ),
    (
        rf"(?i)((?<![A-Za-z]){_NAMED}{_LINK})((?=[A-Z-]*\d)[A-Z0-9]{{3,}}(?:-[A-Z0-9]+)*)(?!\w){_THINGS}",
        _digits_after,
        "0",
    ),
    (
        rf"((?i:(?<![A-Za-z]){_PLACED})(?i:(?: number| no\.?)?)(?: [A-Z]{{2,3}})? #?)(\d{{2,5}})(?!\w){_THINGS}",
        _place,
        "0",
    ),
    (r"(?<![\w$€£¥.,])911(?![\w,.]?\d)(?! [a-z]+s\b)", "nine one one", "0"),
    (r"\b([A-Z]{2} )(\d{5})(?![\w-])(?=[.,;!?)]|$)", _digits_after, "0"),
    (r"(?<![\w(])\d+(?:\.\d+)*(?:\(\w{1,4}\)){1,4}", _section, "("),
    (r"(?<![\w.,-])\d{12,}(?![\w,]|\.\d)", lambda f: numbers.digits(f[0]), "0"),
)
