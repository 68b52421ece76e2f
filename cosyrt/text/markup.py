"""Markdown and HTML → plain lines: structure becomes line ends, signs are left out, words all stay."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from cosyrt.text import ssml
from cosyrt.text.scripts import has_han

_BLOCKS = frozenset(
    "address article aside blockquote body br center dd details div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 "
    "h4 h5 h6 head header hr html legend li main nav ol option p pre section speak summary table "
    "tbody td tfoot th thead title "
    "tr ul s paragraph sentence".split()
)
_INLINE = frozenset(
    "a abbr acronym audio b bdi bdo big button canvas caption cite code data del dfn em embed font "
    "i iframe img input ins kbd "
    "label map mark meta meter object output picture progress q rp rt ruby samp script select small "
    "source span strike strong "
    "style sub sup svg template textarea time tt u var video wbr link emphasis lang say-as voice prosody "
    "w token col colgroup".split()
)
_CELLS = frozenset(["td", "th", "rt"])
# What is no text: comments, programs, styles, and the pronunciation beside a character.
_COMMENT = re.compile(
    r"<!--.*?-->|<(script|style|rt|rp)\b[^<>]*>.*?</\1\s*>|<!\[CDATA\[|\]\]>|<!DOCTYPE[^<>]*>|<\?[^<>]*\?>",
    re.S | re.I,
)
_RAISED_TAG = re.compile(r"(?<=\w)<sup>\s*([-−]?\d{1,3}|[a-z])\s*</sup>", re.I)
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,40})((?:\s+[^<>]*)?)(/?)>")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,500}|[\w.+-]+@[\w.-]+)>")

_RULE = re.compile(r"\s*(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,}|={3,}|~{3,}|\$\$|\\[\[\]])\s*")
_FENCE = re.compile(r"\s*(?:```|~~~)[\w+#.-]*\s*")
_TABLE_RULE = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?)?\s*")
_QUOTE = re.compile(r"(?:\s*>)+ ?")
_QUOTED_LINE = re.compile(r"\n(?:\s*>)+ ?")
_HEADING = re.compile(r"\s*#{1,6}\s+(.*?)(?:\s+#+)?\s*")
_BULLET = re.compile(r"\s*[-*+•·◦▪●○■□–—]\s+(?:\[[ xX]\]\s+)?")
_LONG_BLANK = re.compile(r"[ \t]{3,}")
_CELL = re.compile(r"^\s*\||(?<!\|)\|(?!\|).*(?<!\|)\|(?!\|)|\s\|\s")
_NUMBER = re.compile(r"(\s*\**)(?:\((?=\d{1,3}\)\s+[^\d\s]))?(\d{1,3})[.)]\s*(?=\D)")
_FOOTNOTE = re.compile(r"^\s*\[\^[^\]\s]{1,20}\]:?|\[\^[^\]\s]{1,20}\]")
# Numbers of sources behind a sentence or a quotation: `”[1][2]`.
_SOURCES = re.compile(r"(?<=[.,;:!?\"”’)。，；！？」』])(?:\[\d{1,3}\])+")
_IMAGE_OR_LINK = re.compile(
    r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)?(?:\s+[\"'][^\"']*[\"'])?\s*\)|\[\d*\])"
)
_LINK_END = re.compile(r"\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~\"'$&%@=])")
_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]+)\1(?!`)")
_TAG_IN_CODE = re.compile(r"</?([A-Za-z|][^<>\n]*?)/?>")
_SIGN_IN_CODE = re.compile(r"[<>\[\]]")
_CODE_TICKS = re.compile(r"`+")
_STARS = re.compile(r"(?<!\d)\*+(?=\S)|(?<=\S)\*+(?!\d)|(?<!\S)\*+(?!\S)(?<! \*(?= \w))")
_POWER = re.compile(r"(?<=[A-Za-z0-9)])\*\*(?=\d)")  # `x**2`
_PRODUCT = re.compile(r"(?<=[A-Za-z0-9])\*(?=[A-Za-z0-9])")
_MASKED = re.compile(r"(?<!\d)(\d{3,6})\*{3,12}(\d{3,6})(?!\d)")  # a telephone number that is hidden in part
_MARKED = re.compile(r"==(?=\S)([^=\n]{1,300})(?<=\S)==")
_RAISED = re.compile(r"(?<=\w)\^(\d{1,3}|[A-Za-z]{1,3})\^(?!\w)")
_LOWERED = re.compile(r"(?<=\w)~(\w{1,20})~")
_EMOJI_NAME = re.compile(r"(?<![\w:]):(?:[a-z][a-z0-9_+-]{1,30}|[+-]1):(?![\w:])")
_ADDRESS = re.compile(r"\s*\[[^\[\]]{1,80}\]:\s*<?(?:https?://|mailto:|/|#|\.)\S*(?:\s+[\"'(].*)?\s*")
_UNDERSCORES = re.compile(r"(?<![\w])_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)")
_STRIKES = re.compile(r"~~")


def without_signs_in_code(text: str, *, in_code: bool) -> str:
    """The text with what stands in code spans and blocks as plain words: there is no tag or link in them."""
    if in_code:
        return _literal(text)
    return _SPAN.sub(lambda span: _literal(span[2]), text) if "`" in text else text


def _literal(code: str) -> str:
    code = _TAG_IN_CODE.sub(r" \1 ", code)
    return _SIGN_IN_CODE.sub(lambda sign: f"&#{ord(sign[0])};", code)


def plain_lines(
    text: str, *, starts_line: bool, in_code: bool, unknown_tag: Callable[[str], None]
) -> list[str]:
    """The words of a passage, line by line; `unknown_tag` is called for tags of another kind."""
    if not text or text.isspace():
        return []
    text = _LONG_BLANK.sub("  ", text)
    if "<" in text:
        text = ssml.resolve(text)
        text = _RAISED_TAG.sub(r"^\1", _COMMENT.sub(lambda found: "" if found[1] else " ", text))
        text = _AUTOLINK.sub(r"\1", text)
        text = _TAG.sub(lambda tag: _without_tag(tag, unknown_tag), text)
    lines = text.split(ssml.LINE_END)
    lines = [
        _code_line(line) if in_code else _line(line, starts_line or at > 0) for at, line in enumerate(lines)
    ]
    return [html.unescape(line) if "&" in line else line for line in lines]


def _without_tag(found: re.Match[str], unknown_tag: Callable[[str], None]) -> str:
    name, attributes = found[2].lower(), found[3]
    if name in _CELLS:
        return ", " if found[1] else ""
    if name in _BLOCKS and not (name == "s" and found[2].isupper()):
        return ssml.LINE_END
    if name in _INLINE:
        return _alternative(attributes) if name == "img" else ""
    if found.string[found.start() - 1 : found.start()].isalnum() and not found[1]:
        return f" {found[2]} "  # a type with a parameter: `List<String>`
    if attributes.strip() and "=" not in attributes:
        return found[0]
    unknown_tag(found[0])
    return " "


def _alternative(attributes: str) -> str:
    found = re.search(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""", attributes)
    return (found[1] or found[2] or "") if found else ""


def _code_line(line: str) -> str:
    return "" if _FENCE.fullmatch(line) else line


def _line(line: str, starts_line: bool) -> str:
    if "\n" in line:
        line = _QUOTED_LINE.sub("\n", line)
    if starts_line:
        if any(silent.fullmatch(line) for silent in (_RULE, _FENCE, _TABLE_RULE, _ADDRESS)):
            return ""
        line = _without_prefix(line)
    if _CELL.search(line):
        line = _row(line)
    return _inline(line)


def _without_prefix(line: str) -> str:
    """A line without the signs that make it a quote, a heading or an item; the number of an item stays."""
    line = line[_end(_QUOTE, line) :]
    if heading := _HEADING.fullmatch(line):
        line = heading[1]
    if bullet := _end(_BULLET, line):
        line = line[bullet:]
    mark = "，" if has_han(line) else ", "
    return _NUMBER.sub(rf"\1\2{mark}", line, count=1) if _NUMBER.match(line) else line


def _end(pattern: re.Pattern[str], line: str) -> int:
    found = pattern.match(line)
    return found.end() if found else 0


def _row(line: str) -> str:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return ("，" if has_han(line) else ", ").join(filter(None, cells))


def _inline(line: str) -> str:
    if "***" in line:
        line = _MASKED.sub(lambda found: f"{' '.join(found[1])}, {' '.join(found[2])}", line)
    if "\\" in line:  # as entities, which become characters after all signs are gone
        line = _ESCAPE.sub(lambda escaped: f"&#{ord(escaped[1])};", line)
    if "[" in line or "]" in line:
        line = _SOURCES.sub("", _FOOTNOTE.sub("", line))
        line = _LINK_END.sub("", _IMAGE_OR_LINK.sub(r"\1", line))
        if line.count("[") != line.count("]"):
            line = re.sub(r"!?\[(?![^\[\]]*\])", "", line)
    line = _CODE_TICKS.sub("", _EMOJI_NAME.sub("", line) if ":" in line else line)
    if "==" in line or "^" in line or "~" in line:
        line = _LOWERED.sub(r"\1", _RAISED.sub(r"^\1", _MARKED.sub(r"\1", line)))
    if line.count("**") == 1:
        line = _POWER.sub("^", line)
    if "*" in line and not (line.count("*") == 1 and _PRODUCT.search(line)):
        line = _STARS.sub("", line)
    return _STRIKES.sub("", _UNDERSCORES.sub("", line))
