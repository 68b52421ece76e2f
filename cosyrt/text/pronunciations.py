"""Words of one text whose sounds are given: by a lexicon, `[word](/…/)`, `<phoneme>`, or sound tags.

Each passes the rules as a word of its own language that no rule reads, and is put into sound tags at the end;
for a model that knows none, pinyin is written in hanzi that are read so.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Container

from cosyrt.errors import TextError
from cosyrt.text.lexicon import Lexicon, Said
from cosyrt.text.sounds import A_SOUND_TAG, TAG_RUN, Sounds, homophones, is_sound_run, sounds_of

log = logging.getLogger(__name__)

# Rare characters that stand for a word meanwhile: a hanzi for Mandarin, clicks for English. Those of the text
# itself are left out.
_FIRST_HANZI, _HANZI = 0x30000, 0x100
_CLICKS, _CLICK_ENDS = "ǀǁ", "ǂ"
_STAND_IN = re.compile(
    f"{_CLICK_ENDS}([{_CLICKS}]+){_CLICK_ENDS}|([{chr(_FIRST_HANZI)}-{chr(_FIRST_HANZI + _HANZI)}])"
)

_INLINE = re.compile(r"\[([^\[\]\n]{1,200})\]\(/([^/()\n]{1,200})/\)")
_PHONEME = re.compile(r"<phoneme\b([^<>]*)>([^<>]*)</phoneme\s*>|<phoneme\b([^<>]*)/>", re.IGNORECASE)
_SOUNDS = re.compile(r"""\bph\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_NO_SOUNDS = "this model does not read the sounds of English words; write the word as it sounds"


class Pronunciations:
    """The sounds that one text gives. `tags` are those that the model knows; None: all."""

    def __init__(self, tags: Container[str] | None, lexicon: Lexicon) -> None:
        self._knows_tags = tags is None or A_SOUND_TAG in tags
        self._lexicon = lexicon
        self._runs: list[str] = []  # of sound tags, by the number of their stand-in
        self._warned = False

    def hide(self, text: str) -> str:
        """Replace the words whose sounds stand in the text itself.

        Raises:
            TextError: sounds that cannot be read, or that the model cannot speak.
        """
        text = text if text.isascii() else _STAND_IN.sub("", text)
        if "[" in text:
            if self._knows_tags:
                text = TAG_RUN.sub(self._tags, text)
            text = _INLINE.sub(self._inline, text)
        return _PHONEME.sub(self._phoneme, text) if "<" in text else text

    def look_up(self, text: str) -> str:
        """Replace the words of the lexicon."""
        return self._lexicon.replace(text, self._entry) if self._lexicon else text

    def show(self, text: str) -> str:
        """Put the sounds in place of what stood for them."""
        return _STAND_IN.sub(self._shown, text) if self._runs else text

    @staticmethod
    def written(text: str) -> str:
        """The words whose sounds stand in the text, without these."""
        text = _INLINE.sub(lambda found: found[0] if sounds_of(found[2]) is None else found[1], text)
        return _PHONEME.sub(lambda found: found[2] or "", text)

    def _inline(self, found: re.Match[str]) -> str:
        sounds = sounds_of(found[2])
        return found[0] if sounds is None else self._given(sounds, found[0])

    def _phoneme(self, found: re.Match[str]) -> str:
        written = _SOUNDS.search(found[1] or found[3] or "")
        text = (written[1] or written[2] or "").strip() if written else ""
        sounds = sounds_of(text) or sounds_of(f"ˈ{text}")  # there it is IPA, even if it looks like letters
        if sounds is None:
            raise TextError(
                f"{found[0][:60]} cannot be read; give ph= in IPA of English, ARPAbet or pinyin, or use "
                "<sub alias=…>"
            )
        return self._given(sounds, found[0])

    def _given(self, sounds: Sounds, written: str) -> str:
        spoken = self._stand_in(sounds)
        if not spoken:
            raise TextError(f"{written[:60]} cannot be spoken: {_NO_SOUNDS}")
        return spoken

    def _entry(self, word: str, said: Said) -> str:
        if isinstance(said, str):
            return said
        if not (spoken := self._stand_in(said)) and not self._warned:
            self._warned = True
            log.warning("the sounds of %r in the lexicon are left out: %s", word, _NO_SOUNDS)
        return spoken or word

    def _tags(self, found: re.Match[str]) -> str:
        if not is_sound_run(found[0]):
            return found[0]
        return self._hidden(found[0], is_english=found[0][1].isupper())

    def _stand_in(self, sounds: Sounds) -> str:
        """What stands for the sounds; "" where the model cannot speak them."""
        if self._knows_tags:
            return self._hidden(sounds.tags(), is_english=sounds.kind == "arpabet")
        return homophones(sounds)

    def _hidden(self, run: str, *, is_english: bool) -> str:
        number = self._runs.index(run) if run in self._runs else len(self._runs)
        if number == len(self._runs):
            self._runs.append(run)
        if is_english or number >= _HANZI:
            return _CLICK_ENDS + f"{number:b}".translate(str.maketrans("01", _CLICKS)) + _CLICK_ENDS
        return chr(_FIRST_HANZI + number)

    def _shown(self, found: re.Match[str]) -> str:
        if found[2]:
            number = ord(found[2]) - _FIRST_HANZI
        else:
            number = int(found[1].translate(str.maketrans(_CLICKS, "01")), 2)
        return self._runs[number] if number < len(self._runs) else found[0]
