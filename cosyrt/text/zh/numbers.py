"""Numbers as Chinese words: cardinals with 两 where it is said, digits with or without 幺, decimals."""

from __future__ import annotations

HAN_DIGITS = "零一二三四五六七八九"
_TELEPHONE_DIGITS = "零幺二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿", "亿亿")
_MOST_DIGITS = 16

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!,?\d)(?:\.\d+)?|\d+(?:\.\d+)?)"


def digits(written: str) -> str:
    """Every digit by itself, as in years and decimals; what is no digit stays."""
    return "".join(HAN_DIGITS[int(c)] if c.isdecimal() else c for c in written)


def telephone(written: str) -> str:
    """Every digit by itself with 幺 for 1, as in telephone numbers and codes; what is no digit stays."""
    return "".join(_TELEPHONE_DIGITS[int(c)] if c.isdecimal() else c for c in written)


def cardinal(written: str | int, *, counted: bool = False) -> str:
    """A whole number in words; `counted` things are 两 of them where a bare number is 二."""
    plain = str(written).replace(",", "")
    if len(plain) > _MOST_DIGITS:
        return digits(plain)
    plain = str(int(plain))
    if plain == "2":
        return "两" if counted else "二"
    spoken = _grouped(plain) or "零"
    if spoken.startswith("一十"):
        spoken = spoken[1:]
    return "两" + spoken[1:] if spoken[:1] == "二" and spoken[1:2] in ("百", "千", "万", "亿") else spoken


def _grouped(plain: str) -> str:
    groups = [plain[max(0, end - 4) : end] for end in range(len(plain), 0, -4)]
    spoken = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if int(group) == 0:
            continue
        gap = bool(spoken) and (group.startswith("0") or int(groups[place + 1]) == 0)
        spoken += ("零" if gap else "") + _below_ten_thousand(group.lstrip("0")) + _GROUPS[place]
    return spoken


def _below_ten_thousand(group: str) -> str:
    spoken, gap = "", False
    for place, digit in zip(range(len(group) - 1, -1, -1), group, strict=True):
        if digit == "0":
            gap = True
            continue
        spoken += ("零" if gap and spoken else "") + HAN_DIGITS[int(digit)] + _PLACES[place]
        gap = False
    return spoken


def number(written: str, *, counted: bool = False) -> str:
    """A number with or without commas and a decimal point; a leading zero makes it a series of digits."""
    whole, point, fraction = written.replace(",", "").partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        spoken = digits(whole)
    else:
        spoken = cardinal(whole or "0", counted=counted and not point)
    return f"{spoken}点{digits(fraction)}" if point else spoken
