"""The International Phonetic Alphabet → ARPAbet, against the dictionary of pronunciations."""

from __future__ import annotations

import pytest

from cosyrt.text.english import PHONES, English
from cosyrt.text.ipa import arpabet_of, stressed


@pytest.mark.parametrize(
    ("word", "ipa"),
    [
        ("hello", "həˈloʊ"),
        ("hello", "həˈləʊ"),
        ("kitten", "ˈkɪtən"),
        ("kitten", "ˈkɪtn̩"),
        ("church", "tʃɜːtʃ".replace("ɜː", "ɜːɹ")),
        ("church", "t͡ʃɝt͡ʃ"),
        ("judge", "ʤʌʤ"),
        ("thing", "θɪŋ"),
        ("measure", "ˈmɛʒɚ"),
        ("you", "juː"),
        ("boy", "bɔɪ"),
        ("house", "haʊs"),
        ("my", "mˈI"),
        ("day", "dˈA"),
    ],
)
def test_spellings_of_dictionaries(word: str, ipa: str) -> None:
    """British, American and misaki's spellings give the phones of the dictionary."""
    assert arpabet_of(ipa) in English().read(word)


@pytest.mark.parametrize("ipa", ["ʁuʒ", "ǃa", "5", "tone˥"])
def test_sounds_of_other_languages_are_none(ipa: str) -> None:
    """A symbol that is no English sound gives nothing, rather than a part of the word."""
    assert arpabet_of(ipa) == ()


def test_a_word_has_one_first_stress() -> None:
    """Without a mark the first vowel is stressed; marks go to the vowel behind them."""
    assert stressed(["K", "AE0", "T", "IY0"]) == ("K", "AE1", "T", "IY0")
    assert arpabet_of("ˌæbəˈkʌs") == ("AE2", "B", "AH0", "K", "AH1", "S")
    assert set(arpabet_of("ˌæbəˈkʌs")) <= set(PHONES)
    assert stressed(["S", "T"]) == ("S", "T")
