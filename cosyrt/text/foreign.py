"""Languages that the rules cannot read numbers in: their text is left as it is written."""

from __future__ import annotations

import re

from cosyrt.text.scripts import has_han

# Frequent words that are no English ones.
_WORDS = {
    "German": "der die das und ist nicht ein eine einen mit auf für von dem den ich wir sie haben hat "
    "sind wird "
    "im zum zur auch nach bei uhr euro kostet jahre jahr wurde habe er es seit oder aber noch gibt kein",
    "French": "le la les des et est pas une du dans pour sur avec nous vous il elle sont a été au aux "
    "ce cette "
    "plus ans heures euros coûte je mon son qui que mais ou où ai est mes ses leur deux",
    "Spanish": "el los las una es no en por para con que del se tiene años euros cuesta hay son este "
    "esta más "
    "pero como yo tengo mi su horas",
    "Italian": "abbiamo siamo hanno questo questa il lo gli una e è non di per con che del della sono ha "
    "anni euro costa ci più ma come ho mio "
    "ore alle",
    "Portuguese": "o os uma e é não em por para que do da dos são tem anos euros custa mais mas eu meu "
    "às horas",
    "Dutch": "de het een en is niet van voor met op dat zijn heeft jaar euro kost ik wij ook naar bij "
    "maar uur",
    "Polish": "nie jest w na z i do się że to ma lat złotych kosztuje mam oraz przez dla",
    "Swedish": "och är inte en ett på för med att som det har jag år kostar vi kronor",
    "Turkish": "ve bir bu için değil ile var yaşında lira saat çok ben",
    "Vietnamese": "và là của không có một cho được tôi với này năm",
}
_LANGUAGES = [frozenset(words.split()) for words in _WORDS.values()]
_ENGLISH = frozenset(
    "the of and to in is it you that he was for on are with as i his they be at have this from or "
    "had by but what "
    "all were we when your can said there an each which she do how their if will up about out many "
    "then them these "
    "so some her would him into has my than no not a please me its our us did does call on version "
    "room chapter "
    "costs cost bought sold born only".split()
)
# Of a single letter or spelled as an English word: no proof of either.
_BOTH = frozenset(
    "la los las el le il lo les des a i in is no on an me die as or so was to by "
    "de had son pour des den plus am e o y z w do per van".split()
)
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def is_foreign(text: str) -> bool:
    """Whether text without Chinese or Japanese is in another language than English."""
    words = {word.lower() for word in _WORD.findall(text) if word.isalpha()}
    letters = sum(map(len, words))
    if letters and sum(len(_LATIN.findall(word)) for word in words) * 2 < letters:
        return True
    english = len(words & _ENGLISH - _BOTH)
    accents = sum(not word.isascii() for word in words)
    return any(_is_in(words, language, english, accents) for language in _LANGUAGES)


def is_english_clause(text: str) -> bool:
    """Whether a clause of a Chinese sentence is English: no hanzi, and words that only English has."""
    if has_han(text) or not any(character.isdecimal() for character in text):
        return False
    words = [word.lower() for word in _WORD.findall(text) if len(word) > 1 or word == "I"]
    return len(words) >= 3 and any(word in _ENGLISH for word in words)


def _is_in(words: set[str], language: frozenset[str], english: int, accents: int) -> bool:
    """Whether enough of the words are of a language, and more than are English."""
    strong, weak = len(words & language - _BOTH), len(words & language & _BOTH)
    if strong and accents:
        strong += 1
    return strong > english and (strong >= 2 or (strong == 1 and weak >= 3 and not english))
