"""Text of other languages."""

from __future__ import annotations

import pytest

from cosyrt.text.foreign import is_english_clause, is_foreign, is_mostly_english


@pytest.mark.parametrize(
    "text",
    [
        "Ich habe 3 Katzen und 2 Hunde.",
        "Das Haus ist nicht 20 Jahre alt.",
        "Il y a 5 chats dans la maison.",
        "Nous avons 3 enfants et un chien.",
        "Tengo 25 años y 3 gatos.",
        "Abbiamo 3 figli e una casa.",
        "У меня 3 кошки.",
        "Έχω 3 γάτες",
        "Mi hermano tiene 15 años.",
        "Nació en 1985 en Madrid.",
        "El vuelo sale a las 6:45 de la puerta 12.",
        "Compré 3 camisas por 45,50 euros.",
        "Llámame al 612 345 678.",
        "Faltan 20 minutos.",
        "La temperatura es de 25 grados.",
        "Quedan 2 entradas.",
        "En 2023 hubo 4 terremotos.",
        "Mide 1,80 metros.",
        "Página 34, línea 5.",
        "Ganaron 3 a 1.",
        "Mon frère a 15 ans.",
        "Il est né en 1985 à Paris.",
        "Le vol part à 6h45, porte 12.",
        "J'ai acheté 3 chemises pour 45,50 euros.",
        "Appelez-moi au 06 12 34 56 78.",
        "Il reste 20 minutes.",
        "Il fait 25 degrés.",
        "On a gagné 3 à 1.",
        "Chapitre 12, page 34.",
        "Environ 200 personnes étaient là.",
        "Mein Bruder ist 15 Jahre alt.",
        "Er wurde 1985 in Berlin geboren.",
        "Der Flug geht um 6:45 Uhr von Gate 12.",
        "Ich habe 3 Hemden für 45,50 Euro gekauft.",
        "Rufen Sie 030 1234567 an.",
        "Noch 20 Minuten.",
        "Es sind 25 Grad.",
        "Wir haben 3:1 gewonnen.",
        "Etwa 200 Leute waren da.",
        "Zimmer 12, 3. Stock.",
        "Mio fratello ha 15 anni.",
        "È nato nel 1985 a Roma.",
        "Il volo parte alle 6:45.",
        "Ho comprato 3 camicie per 45 euro.",
        "Chiamami al 333 1234567.",
        "Mancano 20 minuti.",
        "Ci sono 25 gradi.",
        "Abbiamo vinto 3 a 1.",
        "Circa 200 persone.",
        "Meu irmão tem 15 anos.",
        "Ele nasceu em 1985 em Lisboa.",
        "O voo parte às 6:45.",
        "Comprei 3 camisas por 45 euros.",
        "Ligue para 912 345 678.",
        "Faltam 20 minutos.",
        "Estão 25 graus.",
        "Ganhamos por 3 a 1.",
        "Cerca de 200 pessoas.",
        "Mijn broer is 15 jaar.",
        "Nog 20 minuten.",
        "Mój brat ma 15 lat.",
        "Min bror är 15 år.",
        "Kardeşim 15 yaşında.",
        "Anh ấy 15 tuổi.",
        "Saya punya 3 anak.",
        "Můj bratr má 15 let.",
        "Ez 15 forint.",
        "Minulla on 3 kissaa.",
        "Am 12. März 2024 treffen wir uns.",
        "Le 14 juillet 1789.",
        "El 12 de octubre de 1492.",
        "Il 25 aprile 1945.",
        "7 de setembro de 1822.",
    ],
)
def test_other_languages_are_known(text: str) -> None:
    """By their frequent words, or by their letters."""
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "I love Los Angeles and La La Land 2.",
        "We met on Monday at the Café Müller.",
        "Beyoncé sold 5 million.",
        "Die Hard 2 was on TV.",
        "Call me on 5 May.",
        "NASA GPU 4GB",
        "Bon Jovi played 3 songs.",
        "Café de la Paix 5",
        "El Niño 2",
        "On a 5 point scale",
        "De La Soul 3",
        "Meet at 5 PM EST.",
        "Flight BA 117, JFK T7, LHR T5",
        "I've 5, we've 3.",
        "Uber 5, NATO 1949, MIT 6, CD 2",
        "P(A|B) = 0.25, n = 3",
        "",
    ],
)
def test_english_with_foreign_names_is_english(text: str) -> None:
    """Names and single words make no other language."""
    assert not is_foreign(text)


@pytest.mark.parametrize(
    ("clause", "is_english"),
    [
        ("I have 5 cats.", True),
        ("the year is 2024", True),
        ("iPad Pro 11", False),
        ("I have cats", False),
        ("我有 5 cats and dogs", False),
        ("a^2 + b^2 = c^2", False),
    ],
)
def test_clauses_in_another_language(clause: str, is_english: bool) -> None:
    """English words with a number of their own are read in English; names and formulas are not."""
    assert is_english_clause(clause) is is_english


def test_a_text_stays_in_its_language() -> None:
    """Words that tell nothing are of the language before them, until an English one comes."""
    assert is_foreign("Juan 5", goes_on=True) and not is_foreign("Juan 5")
    assert not is_foreign("I have 5", goes_on=True) and not is_foreign("5", goes_on=True)


@pytest.mark.parametrize(
    ("text", "is_english"),
    [
        ("He said 我爱你 only 3 times.", True),
        ("The word 银行 has 2 characters.", True),
        ("我说 I love you 3次", False),
        ("我用 iPhone 15 Pro Max 拍了", False),
        ("Windows 11 和 macOS 14", False),
    ],
)
def test_english_that_quotes_hanzi(text: str, is_english: bool) -> None:
    """An English sentence stays one; English names in a Chinese sentence do not make it English."""
    assert is_mostly_english(text) is is_english
