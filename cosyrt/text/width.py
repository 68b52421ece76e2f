"""Full-width, subscript and look-alike signs become the ordinary ones that the rules know.

Chinese punctuation stays as it is, and powers such as `²` too: they have a meaning of their own.
"""

from __future__ import annotations

import re
import unicodedata

_FULL_WIDTH = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
# Marks of Chinese text that its rules and the models know as they are.
_CHINESE_MARKS = "！（），：；？［］｛｝"
_DASHES = dict.fromkeys("\u2010\u2011\u2012\ufe58\ufe63\uff0d", "-")
_TILDES = dict.fromkeys("～〜∼˜", "~")
_SPACES = dict.fromkeys(
    "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
)
_SUBSCRIPTS = {chr(0x2080 + digit): str(digit) for digit in range(10)}
_UNITS = {
    "㎡": "m²", "㎢": "km²", "㎠": "cm²", "㎟": "mm²", "㎥": "m³", "㎦": "km³", "㎤": "cm³", "㎣": "mm³",
    "㏄": "cc",
    "№": "No.", "℃": "°C", "℉": "°F", "μ": "µ", "㎍": "µg", "㎕": "µl", "㎛": "µm", "㎲": "µs", "㎧": "m/s",
    "㎨": "m/s²", "Ω": "Ω", "K": "K",
}  # fmt: skip
_MORE = {
    "﹪": "%",
    "٪": "%",
    "﹩": "$",
    "﹢": "+",
    "﹤": "<",
    "﹥": ">",
    "﹦": "=",
    "﹟": "#",
    "﹠": "&",
    "⁄": "/",
    "∕": "/",
    "∶": ":",
    "∗": "*",
    "✕": "×",
    "✖": "×",
    "º": "°",
    "˚": "°",
    "➕": "+",
    "➖": "-",
    "￠": "¢",
    "￡": "£",
}
_TABLE = str.maketrans(
    {chr(code): chr(plain) for code, plain in _FULL_WIDTH.items() if chr(code) not in _CHINESE_MARKS}
    | {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in range(0x3371, 0x33E0)}
    | {chr(code): f", {unicodedata.normalize('NFKC', chr(code))}, " for code in range(0x2460, 0x2474)}
    | _DASHES | _TILDES | _SPACES | _SUBSCRIPTS | _UNITS | _MORE
)  # fmt: skip
_COLON = re.compile(r"(?<=\d)：(?=\d)")
_POINT = re.compile(r"(?<=[A-Za-z0-9Ａ-Ｚａ-ｚ０-９])．(?=[A-Za-z0-9Ａ-Ｚａ-ｚ０-９])|．(?=\d)")
# Exponents but for a lone square or cube, which have names.
_EXPONENT = re.compile("(?<=[0-9A-Za-z)])(?:[⁺⁻][⁰¹²³⁴-⁹]{1,4}|[⁰¹²³⁴-⁹]{2,4}|[⁰¹⁴-⁹])")
# Behind a power of ten they are exponents: `1.2×10³`.
_EXPONENT_OF_TEN = re.compile("(?:(?<=[×*]10)|(?<=[×*] 10))[²³](?![⁰¹²³⁴-⁹])")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_NUMERO = re.compile(r"(?<=\b[Nn])[º°] ?(?=\d)")


def fold(text: str) -> str:
    """The text in ordinary characters."""
    if text.isascii():
        return text
    text = _EXPONENT_OF_TEN.sub(lambda found: "^" + found[0].translate(_RAISED), text)
    text = _EXPONENT.sub(lambda found: "^" + found[0].translate(_RAISED), text)
    text = _POINT.sub(".", text).replace("．", "。").translate(_TABLE)
    text = _NUMERO.sub("o. ", _COLON.sub(":", text).replace("kW·h", "kWh"))
    return re.sub(
        r"(?![0-9])\d", lambda digit: str(unicodedata.decimal(digit[0])), unicodedata.normalize("NFC", text)
    )
