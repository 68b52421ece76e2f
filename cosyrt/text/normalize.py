"""Written text → text as it is spoken: numbers, dates, money, units and abbreviations become words.

The grammar is wetext's; what is done around it is upstream's `text_normalize` (cosyvoice/cli/frontend.py).
Where either errs we differ: docs/frontend.md lists it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from cosyrt.errors import TextError
from cosyrt.text.rewrites import HAN_DIGITS, rewritten, symbols_in_chinese, symbols_in_english
from cosyrt.text.scripts import HAN, HANGUL, KANA, LATIN
from cosyrt.text.sentences import best_break, is_finished

# Up to here wetext takes 0.1 ms a character; beyond, its time grows faster than the text, its memory too.
_CHARACTERS_AT_ONCE = 200

_SCRIPTS = {
    "ja": re.compile(f"[{KANA}]"),
    "ko": re.compile(f"[{HANGUL}]"),
    "zh": re.compile(f"[{HAN}]"),
    "en": re.compile(f"[{LATIN}]"),
}
_PARAGRAPH_END = re.compile(r"\n\s*\n")
# Control characters, direction marks, joiners, broken characters and emoji: nothing that has a sound.
_UNSPEAKABLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u20e3"
    "\u231a\u231b\u23e9-\u23fa\u2600-\u27bf\u2b00-\u2bff\ud800-\udfff\ufe00-\ufe0f\ufeff\ufffd"
    "\U0001f000-\U0001faff\U000e0000-\U000e007f]"
)
_ESCAPED = re.compile(r"""\\(["\\])""")
# Chinese needs no blanks, but alphabets do: a blank stays between two characters of these.
_ALPHABETS = r"[!-~\u00a1-\u1fff\uac00-\ud7af]"
_LOOSE_BLANK = re.compile(rf"(?<!{_ALPHABETS}) | (?!{_ALPHABETS})")
_STOP = re.compile(r"\.(?![A-Za-z0-9])")
# The stress of a sound in brackets (`[AA1]`, CosyVoice 3) is no number: it passes in private characters.
_STRESS = re.compile(r"(?<=\[[A-Z][A-Z])[012](?=\])")
_HIDDEN = 0xE000
_SHOWN = {_HIDDEN + stress: str(stress) for stress in range(3)}
_SILENT_BRACKETS = str.maketrans(dict.fromkeys("（）【】`"))
_LATIN_FORMS = str.maketrans({"￥": "¥"})
# wetext takes a comma between digits for a thousands mark, whatever the grouping: `5，10` would be 510.
_LIST_COMMA = re.compile(r"(?<!\d)(?<!\d,)\d{1,3}(?:,\d{3})+(?!,?\d)|(?P<comma>，|(?<=\d),)")
_LATIN_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def language_of(text: str) -> str | None:
    """`ja`, `ko`, `zh` or `en` by script, in this order; None where the text has no letter of these."""
    return next((language for language, script in _SCRIPTS.items() if script.search(text)), None)


def spoken_language(text: str) -> str | None:
    """The language a text is read in: that of its letters, or of its numbers where it has no letter at all.

    Upstream reads a text of digits alone in Chinese, other numbers in English.
    """
    if language_of(text) or not _is_letterless(text):
        return language_of(text)
    return "zh" if text.strip().isdecimal() else "en"


def normalize(text: str) -> str:
    """The whole text as it is spoken, ended by a mark.

    Text with control tags (`<|…|>`) is left as it is.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    spoken = "".join(paragraphs(text))
    check_speakable(spoken, text)
    return spoken


def paragraphs(text: str) -> Iterator[str]:
    """The text as it is spoken, by paragraphs (blank lines part them); joined they are the whole.

    Each is ended by a mark. Lazy, so that a long text can begin to sound before its end is read.
    """
    if _is_tagged(text):
        yield audible(text)
        return
    lead, han = "", False
    for written in map(_clean, _PARAGRAPH_END.split(text)):
        if not written:
            continue
        han = _is_han(written) or (han and _is_letterless(written))
        if han:
            yield _spoken_han(written).translate(_SHOWN)
        else:
            yield lead + _spoken_latin(written).translate(_SHOWN)
        lead = " "


def audible(text: str) -> str:
    """The text without what has no sound: emoji, control characters, direction marks."""
    return _UNSPEAKABLE.sub("", text)


def is_speakable(text: str) -> bool:
    """Whether there is a letter, digit or character to say."""
    return any(character.isalnum() for character in text)


def check_speakable(spoken: str, text: str) -> None:
    """Refuse a text of which nothing is left to say.

    Raises:
        TextError: in one line, with the beginning of the text.
    """
    if not text.strip():
        raise TextError("the text is empty; give some words to say")
    if not is_speakable(spoken):
        raise TextError(f"nothing in {text.strip()[:40]!r} can be spoken; give some words to say")


def _is_tagged(text: str) -> bool:
    opening = text.find("<|")
    return opening >= 0 and "|>" in text[opening + 2 :]


def _clean(text: str) -> str:
    hidden = _STRESS.sub(lambda stress: chr(_HIDDEN + int(stress[0])), audible(text))
    return " ".join(unicodedata.normalize("NFC", hidden).split())


def _is_letterless(text: str) -> bool:
    return bool(text.strip()) and not any(character.isalpha() for character in text)


def _is_han(text: str) -> bool:
    return any(_SCRIPTS[language].search(text) for language in ("ja", "zh"))


def _spoken_han(text: str) -> str:
    text = _in_words(text, "ja" if _SCRIPTS["ja"].search(text) else "zh")
    text = _LOOSE_BLANK.sub("", text.replace(" - ", "，"))
    text = symbols_in_chinese(text.translate(_SILENT_BRACKETS)).replace("——", " ")
    text = re.sub(r"\d", lambda digit: HAN_DIGITS[int(digit[0])], text)
    return _finished(_STOP.sub("。", text), "。")


def _spoken_latin(text: str) -> str:
    text = _in_words(text.translate(_LATIN_FORMS), "zh" if spoken_language(text) == "zh" else "en")
    text = symbols_in_english(text)
    text = re.sub(r" ?\d", lambda digit: f" {_LATIN_DIGITS[int(digit[0])]}", text)
    return _finished(text.strip(), ".")


def _finished(text: str, mark: str) -> str:
    text = text.rstrip("，,、 ")
    return text if is_finished(text) else text + mark


def _in_words(text: str, grammar: str) -> str:
    text = rewritten(text, grammar)
    clauses = _clauses(text) if grammar == "zh" else [text]
    return "".join(_verbalized(part, grammar) for clause in clauses for part in _readable_at_once(clause))


def _clauses(text: str) -> list[str]:
    ends = [comma.end() for comma in _LIST_COMMA.finditer(text) if comma["comma"]]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def _readable_at_once(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _CHARACTERS_AT_ONCE:
        window = text[start : start + _CHARACTERS_AT_ONCE + 1]  # slices of all the rest would be quadratic
        cut = best_break(window, _CHARACTERS_AT_ONCE)
        yield window[:cut]
        start += cut
    yield text[start:]


@lru_cache(maxsize=1_024)
def _verbalized(text: str, grammar: str) -> str:
    import wetext

    if not text.strip() or not wetext.should_normalize(text, grammar, "tn"):
        return text
    tagged = wetext.tag(text, grammar, "tn")
    spoken = tagged and wetext.verbalize(wetext.reorder(tagged, grammar, "tn"), grammar, "tn")
    if not spoken:
        return _verbalized_by_parts(text, grammar)
    return text[: len(text) - len(text.lstrip())] + _ESCAPED.sub(r"\1", spoken)


def _verbalized_by_parts(text: str, grammar: str) -> str:
    """wetext has no reading of any text that holds `#1` or `+5`: halve it until only that part is left."""
    words = text.split(" ")
    if len(words) > 1:
        half = len(words) // 2
        return " ".join(_verbalized(" ".join(part), grammar) for part in (words[:half], words[half:]))
    runs = re.findall(r"\d+|\D+", text)
    if len(runs) > 1:
        return ("" if grammar == "zh" else " ").join(_verbalized(run, grammar) for run in runs)
    return text
