"""Written text → text as it is spoken: numbers, dates, money, units and abbreviations become words.

A text is cut into passages, each is freed of markup and read in the language of its own letters. The steps
around the rules are those of upstream's `text_normalize` (cosyvoice/cli/frontend.py).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import chain, groupby, zip_longest

from cosyrt.errors import TextError
from cosyrt.text import en, foreign, japanese, zh
from cosyrt.text.latex import plain_formulas
from cosyrt.text.lexicon import NO_LEXICON, Lexicon
from cosyrt.text.markup import plain_lines, without_signs_in_code
from cosyrt.text.passages import Passage, PassageCutter
from cosyrt.text.pauses import (
    PARAGRAPH,
    SHORT_PAUSE_S,
    hide_pauses,
    is_mark,
    seconds_of,
    split_at_marks,
)
from cosyrt.text.pronunciations import Pronunciations
from cosyrt.text.scripts import HAN, HANGUL, KANA, LATIN, has_han
from cosyrt.text.sentences import is_finished, sentences
from cosyrt.text.tags import ControlTags, ends_in_sound
from cosyrt.text.traditional import simplified
from cosyrt.text.width import fold

_SCRIPTS = {
    "ja": re.compile(f"[{KANA}]"),
    "ko": re.compile(f"[{HANGUL}]"),
    "zh": re.compile(f"[{HAN}]"),
    "en": re.compile(f"[{LATIN}]"),
}
# Control characters, direction marks, joiners, broken characters and emoji: nothing that has a sound.
_UNSPEAKABLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u20e3"
    "\u231a\u231b\u23e9-\u23fa\u2600-\u27bf\u2b00-\u2bff\ud800-\udfff\ufe00-\ufe0f\ufeff\ufffd"
    "\U0001f000-\U0001faff\U000e0000-\U000e007f]"
)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*\Z")
# Chinese needs no blanks, but alphabets do: a blank stays between two characters of these.
_ALPHABETS = r"[!-~\u00a1-\u1fff\uac00-\ud7af]"
_LOOSE_BLANK = re.compile(rf"(?<!{_ALPHABETS}) | (?!{_ALPHABETS})")
_BLANK_BESIDE_MARK = re.compile(rf"(?<!{_ALPHABETS})(?<![{KANA}]) | (?!{_ALPHABETS})(?![{KANA}])")
_CHINESE_ALONE = re.compile(r"\A\s*(?:\d+\s*\Z|.*[¥￥]|[（(]?\+86|1[3-9]\d{9})|[。！？，；：、]")
# A number and the unit or letter beside it: no words that would tell a language.
_WITH_UNIT = re.compile(
    r"\d[\d.,]*(?:[A-Za-zµ°%/²³]{1,8}(?![A-Za-z])"
    r"| (?:°[CF]|km|kg|cm|mm|m|g|ml|mL|L|[MGT]B|kWh|mmHg|m/s)(?![A-Za-z]))?"
)
_WORDS = re.compile(f"[{LATIN}]")
_LATIN_WORD = re.compile(f"[{LATIN}]+")
# Letters, numbers and signs with a name; a line of other marks is silence.
_SAYABLE = re.compile(r"[^\W_]|[%‰$€£¥￥₹¢°&@=+×÷±√∞≈≠≥≤§©]")
_MOST_SIGNS = 100
_STOP = re.compile(r"\.(?![A-Za-z0-9])")
_SILENT_BRACKETS = str.maketrans(dict.fromkeys("（）【】`"))
_LATIN_FORMS = str.maketrans({"￥": "¥"})
_CLAUSE = re.compile("[^，；：]+[，；：]*|[，；：]+")
_LOOSE_MARK = re.compile(r" +(?=[,.!?;:](?!\w))")
# The number of an item, and its words up to the first hanzi, sum or quotation.
_ENGLISH_ITEM = re.compile(rf"(\d{{1,3}})，([^{HAN}，：；(\"“'‘\d¥￥$€£]{{1,200}}[:,.(])")
# Ends of clauses, but no mark inside a number.
_CLAUSE_END = re.compile(r"(?<=[,，;；:：])(?!\d)")


def language_of(text: str) -> str | None:
    """The language of a text by script: `ja`, `ko`, `zh` or `en`, in this order; None without letters."""
    return next((language for language, script in _SCRIPTS.items() if script.search(text)), None)


def spoken_language(text: str) -> str | None:
    """The language in which a text is read aloud: that of its letters, or of its numbers where it has none.

    Upstream reads a text of digits alone in Chinese, other numbers in English; sums of yuan and telephone
    numbers of China are read in Chinese too.
    """
    language = language_of(text)
    if not (language == "en" and _is_quantity(text)) and (language or not _is_letterless(text)):
        return language
    return "zh" if _CHINESE_ALONE.search(text) else "en"


def normalize(text: str, tags: Container[str] | None = None, lexicon: Lexicon = NO_LEXICON) -> str:
    """Put the whole text into words as they are spoken, ended by a mark.

    `tags` are the control tags that the model knows; None: all. A sentence that steers the model by a tag of
    the form `<|…|>` is left as it is. Words of the `lexicon` are said as it says.

    Raises:
        TextError: nothing in the text can be spoken.
    """
    reader = Reader(tags, lexicon)
    spoken = "".join(part for part in [*reader.read(text), *reader.finish()] if not is_mark(part))
    check_speakable(spoken, text)
    return spoken


class Reader:
    """Reads one text, which may come in parts that end where passages do; keeps the language between them.

    Between the words that are spoken it gives marks: of pauses, and of paragraphs. If not `in_words`, each
    part is as it is written, but for markup.
    """

    def __init__(
        self, tags: Container[str] | None = None, lexicon: Lexicon = NO_LEXICON, *, in_words: bool = True
    ) -> None:
        self._cutter = PassageCutter()
        self._tags = ControlTags(tags)
        self._pronunciations = Pronunciations(tags, lexicon)
        self._language: str | None = None  # of the last letters
        self._unknown: list[tuple[str, bool]] = []  # lines at the beginning without a letter: numbers alone
        self._in_words = in_words
        self._begun = False
        self._paragraph_ended = False

    def read(self, part: str) -> Iterator[str]:
        """Yield the passages of a part as they are spoken, lazily; joined without marks they are the text."""
        for passage in self._cutter.feed(part, last=True):
            yield from self._passage(passage)

    def finish(self) -> Iterator[str]:
        """Read what still waits for a letter that would decide its language: a text of numbers alone."""
        for line, ended in self._unknown:
            yield self._said(line, spoken_language(line), ended, alone=True)
        self._unknown = []

    def _passage(self, passage: Passage) -> Iterator[str]:
        written = without_signs_in_code(passage.text, in_code=passage.in_code)
        if self._tags.switch_off(written):
            self._begun = True
            yield from split_at_marks(hide_pauses(audible(passage.text)))
            return
        text = self._tags.hide(hide_pauses(written))
        text = self._pronunciations.hide(text) if self._in_words else self._pronunciations.written(text)
        if not passage.in_code:
            text = plain_formulas(text)
        lines = plain_lines(
            text, starts_line=passage.starts_line, in_code=passage.in_code, unknown_tag=self._tags.warn
        )
        for line in lines:
            yield from self._paused_line(line, passage.ended)
        self._paragraph_ended = self._paragraph_ended or _BLANK_LINE.search(passage.text) is not None

    def _paused_line(self, line: str, ended: bool) -> Iterator[str]:
        """Read a line with pauses in it: a long pause ends a sentence, a short one is like a comma."""
        parts = split_at_marks(line)
        for part, following in zip_longest(parts, parts[1:]):
            if is_mark(part):
                yield from self._line(part, False)
            elif _is_sayable(cleaned := self._pronunciations.look_up(_clean(part))):
                if self._paragraph_ended and self._begun:
                    yield from self._line(PARAGRAPH, False)
                self._paragraph_ended = False
                if following is None:
                    yield from self._line(cleaned, ended)
                elif seconds_of(following) > SHORT_PAUSE_S:
                    yield from self._line(cleaned, True)
                else:
                    yield from self._line(_finished(cleaned, "，" if has_han(cleaned) else ","), False)

    def _line(self, line: str, ended: bool) -> Iterator[str]:
        if is_mark(line) and not self._unknown:
            yield line
            return
        language = _reading_language(line, self._language)
        if language is None and self._language is None:
            self._unknown.append((line, ended))
            return
        self._language = language or self._language
        waiting, self._unknown = [*self._unknown, (line, ended)], []
        for written, is_ended in waiting:
            yield self._said(written, self._language, is_ended)

    def _said(self, line: str, language: str | None, ended: bool, *, alone: bool = False) -> str:
        """The spoken line, with the blank that parts it from Latin text before it; a mark is itself."""
        if is_mark(line):
            return line
        if not self._in_words:
            return f" {self._tags.show(line)}"
        in_han = language in ("zh", "ja") and not alone
        spoken = _spoken_han(line, language or "") if in_han else _spoken_latin(line, language or "")
        spoken = self._pronunciations.show(self._tags.show(spoken)).lstrip(",，、;；:： ")
        if not is_speakable(spoken):
            return ""
        if ended:
            spoken = _finished(spoken, "。" if in_han else ".")
        lead = " " if self._begun and not in_han else ""
        self._begun = True
        return lead + spoken


def sentence_pairs(
    text: str, tags: Container[str] | None = None, lexicon: Lexicon = NO_LEXICON
) -> Iterator[tuple[str, str]]:
    """Each sentence of a text as it is written, without markup, and as it is spoken.

    Where the two have other sentences, as after `5 p.m.`, a line is one.
    """
    for written, said in zip(
        _lines_of(Reader(tags, in_words=False), text), _lines_of(Reader(tags, lexicon), text), strict=False
    ):
        parts = list(sentences(written)), list(filter(is_speakable, sentences(said)))
        yield from zip(*parts, strict=True) if len(parts[0]) == len(parts[1]) else [(written, said)]


def _lines_of(reader: Reader, text: str) -> Iterator[str]:
    return (line for line in chain(reader.read(text), reader.finish()) if not is_mark(line))


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


def _clean(text: str) -> str:
    return " ".join(audible(fold(text)).split())


def _is_sayable(text: str) -> bool:
    """Whether there may be something to say; a long run of signs is none, even of signs with a name."""
    return is_speakable(text) or (len(text) <= _MOST_SIGNS and _SAYABLE.search(text) is not None)


def _is_quantity(text: str) -> bool:
    """Whether all letters belong to units or stand at a number: `5kg`, `705A`."""
    return not _WORDS.search(_WITH_UNIT.sub("", fold(text)))


def _is_abbreviated(text: str) -> bool:
    """Whether there are numbers, and all words beside them are units or abbreviations in capitals."""
    words = _LATIN_WORD.findall(_WITH_UNIT.sub("", fold(text)))
    return any(map(str.isdecimal, text)) and all(
        word.isupper() and len(word) < 6 and word != "I" for word in words
    )


def _is_letterless(text: str) -> bool:
    return bool(text.strip()) and not any(character.isalpha() for character in text)


def _reading_language(line: str, before: str | None) -> str | None:
    """The language whose rules read a line; `other` has none, a line without a letter gives None.

    `before` is the language of the text before it, in which abbreviations stay: `血常规：WBC 6.5`.
    """
    language = language_of(line)
    if language == "zh" and foreign.is_mostly_english(line):
        return "en"
    if language == "en" and (_is_quantity(line) or (before == "zh" and _is_abbreviated(line))):
        return None
    if language == "en" and foreign.is_foreign(line, goes_on=before == "other"):
        return "other"
    if language in ("ko", None):
        return None if _is_letterless(line) else "other"
    return language


def _spoken_han(text: str, language: str) -> str:
    # Japanese in kana alone is written in words; CosyVoice 3 was taught so.
    blank = _LOOSE_BLANK if has_han(text) or language != "ja" else _BLANK_BESIDE_MARK
    text = blank.sub("", text.replace(" - ", "，"))
    text = japanese.in_words(text) if language == "ja" else _clauses(simplified(text))
    text = blank.sub("", text.translate(_SILENT_BRACKETS).replace("——", " "))
    return _STOP.sub("。", text)


def _clauses(text: str) -> str:
    """A Chinese sentence in words, its English clauses in English: both may have numbers."""
    item = _ENGLISH_ITEM.match(text)
    if item and foreign.is_english_clause(item[0]):
        return en.in_words(f"{item[1]}, {item[2]}") + _clauses(text[item.end() :])
    runs = groupby(_CLAUSE.findall(text), foreign.is_english_clause)
    return "".join((en if is_english else zh).in_words("".join(run)) for is_english, run in runs)


def _is_chinese_clause(text: str) -> bool:
    """Whether a clause of an English sentence is Chinese: with a number in it, and no Latin letter."""
    return has_han(text) and any(map(str.isdecimal, text)) and not _WORDS.search(text)


def _spoken_latin(text: str, language: str) -> str:
    text = text.translate(_LATIN_FORMS)
    if language == "en" and has_han(text):
        runs = groupby(_CLAUSE_END.split(text), _is_chinese_clause)
        text = "".join((zh if is_zh else en).in_words("".join(run)) for is_zh, run in runs)
    elif language in ("zh", "en"):
        text = (zh if language == "zh" else en).in_words(text)
    return _LOOSE_MARK.sub("", text).strip()


def _finished(text: str, mark: str) -> str:
    text = text.rstrip("，,、 ")
    return text if is_finished(text) or ends_in_sound(text) else text + mark
