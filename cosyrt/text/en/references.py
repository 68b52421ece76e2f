"""Numbers that are names in English: verses of scripture, processors and graphics cards, paths of files."""

from __future__ import annotations

import re

from cosyrt.text.en import numbers
from cosyrt.text.rules import EUROPEAN, any_of, plain_number, rules

_BOOKS = (
    "Genesis Exodus Leviticus Deuteronomy Joshua Judges Ruth Samuel Kings Chronicles Ezra Nehemiah Esther Job "
    "Psalm Psalms Proverbs Ecclesiastes Isaiah Jeremiah Lamentations Ezekiel Daniel Hosea Joel Amos Obadiah "
    "Jonah Micah Nahum Habakkuk Zephaniah Haggai Zechariah Malachi Matthew Mark Luke John Acts Romans "
    "Corinthians Galatians Ephesians Philippians Colossians Thessalonians Timothy Titus Philemon Hebrews James "
    "Peter Jude Revelation Surah Sura Quran Koran Qur'an Numbers"
)
_SHORT_BOOKS = {
    "Gen": "Genesis", "Exod": "Exodus", "Ex": "Exodus", "Lev": "Leviticus", "Num": "Numbers",
    "Deut": "Deuteronomy", "Josh": "Joshua", "Sam": "Samuel", "Chr": "Chronicles", "Neh": "Nehemiah",
    "Ps": "Psalm", "Pss": "Psalms", "Prov": "Proverbs", "Eccl": "Ecclesiastes", "Isa": "Isaiah",
    "Jer": "Jeremiah", "Lam": "Lamentations", "Ezek": "Ezekiel", "Dan": "Daniel", "Hos": "Hosea",
    "Mic": "Micah", "Hab": "Habakkuk", "Zech": "Zechariah", "Mal": "Malachi", "Matt": "Matthew",
    "Mt": "Matthew", "Mk": "Mark", "Lk": "Luke", "Jn": "John", "Rom": "Romans", "Cor": "Corinthians",
    "Gal": "Galatians", "Eph": "Ephesians", "Phil": "Philippians", "Col": "Colossians",
    "Thess": "Thessalonians", "Tim": "Timothy", "Heb": "Hebrews", "Jas": "James", "Pet": "Peter",
    "Rev": "Revelation",
}  # fmt: skip
_FIRST = {"1": "First ", "2": "Second ", "3": "Third "}
_PRODUCTS = any_of(
    "RTX GTX RX GT MX Ryzen Radeon GeForce Arc Xeon Snapdragon Dimensity Exynos Kirin Threadripper Quadro Tesla "
    "ThinkPad Core i3 i5 i7 i9"
)
_PATH_SIGNS = {"/": " slash ", "\\": " backslash ", ":": " colon", ".": " dot ", "-": " dash ", "_": " underscore ",
               "~": "tilde", "+": " plus ", "@": " at "}  # fmt: skip


def _verse(found: re.Match[str]) -> str:
    """A verse: `John three sixteen`; before a small number the word keeps the two apart."""
    number, book, chapter, first, last = found.groups()
    book = _SHORT_BOOKS.get(book.rstrip("."), book)
    spoken = f"{_FIRST.get(number or '', '')}{book} {numbers.number(chapter)}"
    if last:
        return f"{spoken}, verses {numbers.number(first)} to {numbers.number(last)}"
    return f"{spoken} {'verse ' if int(first) < 10 else ''}{numbers.number(first)}"


def _model(found: re.Match[str]) -> str:
    """A processor such as `i7-12700K`: the family, then the number digit by digit."""
    family = re.sub(r"\d+", lambda digits: f" {numbers.number(digits[0])}", found[1])
    return f"{family} {numbers.digits(found[2])}{_letters(found[3])}"


def _product(found: re.Match[str]) -> str:
    return f"{found[1]} {_in_pairs(found[2])}{_letters(found[3])}"


def _in_pairs(written: str) -> str:
    """A number of three or four digits as products have them: `forty ninety`, `eight sixty five`."""
    if len(written) > 4:
        return numbers.digits(written)
    if len(written) == 4 and not written.endswith("000"):
        return numbers.year(written)
    hundreds, rest = divmod(int(written), 100)
    if len(written) == 4 or rest == 0:
        return numbers.cardinal(written)
    return f"{numbers.cardinal(hundreds)} {'oh ' if rest < 10 else ''}{numbers.cardinal(rest)}"


def _letters(suffix: str | None) -> str:
    spoken = re.sub(r"\d", lambda digit: f" {numbers.digits(digit[0])} ", suffix or "").strip()
    return f" {spoken}" if spoken else ""


def _path(found: re.Match[str]) -> str:
    spoken = re.sub(r"\d+", lambda number: f" {numbers.number(number[0])} ", found[0].rstrip("."))
    spoken = "".join(_PATH_SIGNS.get(sign, sign) for sign in spoken)
    return " ".join(spoken.split()) + "." * (len(found[0]) - len(found[0].rstrip(".")))


REFERENCES = rules(
    (EUROPEAN, plain_number, "0 ,"),
    (r"(?<![\w.,])1,?000s(?= of\b)", "thousands", "0 f"),
    (r"(?<![\w.,])100s(?= of\b)", "hundreds", "0 f"),
    (
        r"\b(Windows|Android|iOS|Python|Java|Office|[Gg]rades?) (\d{1,2})/(\d{1,2})(?![\w/])",
        r"\1 \2, \3",
        "/ AGJOPWg",
    ),
    (
        rf"(?<![\w.])(?:([123]) )?({any_of(_BOOKS)}|{any_of(list(_SHORT_BOOKS))}\.?) (\d{{1,3}}):(\d{{1,3}})"
        r"(?: ?[-–—] ?(\d{1,3}))?(?![\w:]|\.\d)",
        _verse,
        ":",
    ),
    (r"(?<![\w-])([A-Za-z]{1,2}\d{1,2})-(\d{3,5})([A-Za-z]{0,2}(?:\d[A-Z]?)?)(?![\w-])", _model, "-"),
    (rf"(?<![\w-])({_PRODUCTS}(?: \d)?) (\d{{3,5}})(X3D|[A-Z]{{1,3}})?(?![\w-]|[.,]\d)", _product, "0"),
    (
        r"(\d ?V)(?: ?[/,@] ?| )(\d+(?:\.\d+)?) ?A(?![A-Za-z])",
        lambda f: f"{f[1]}, {numbers.number(f[2])} amp{'' if numbers.is_one(f[2]) else 's'}",
        "0 V",
    ),
    (r"(?<![\w/:.])(?:~|\.{1,2})?(?:/[A-Za-z_.][\w.@+-]{0,80}){2,}/?(?!\w)", _path, "/"),
    (r"(?<![\w/:.])~(?:/[\w.@+-]{1,80})+/?(?!\w)", _path, "~ /"),
    (
        r"(?<![\w/:.@-])[A-Za-z_][\w-]{0,40}(?:/[\w.-]{1,40}){1,8}\.(?:py|js|ts|json|md|txt|toml|ya?ml|cfg|ini|html|css"
        r"|csv|xml|sh|c|h|cpp|rs|go|java|pdf|png|jpg|wav|mp3|tsv)(?!\w)",
        _path,
        "/ .",
    ),
    (r"\b[A-Z]:(?:\\[\w.-]{1,80})+", _path, ": \\"),
)
