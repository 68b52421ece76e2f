"""Elements of SSML."""

from __future__ import annotations

import pytest

from cosyrt.errors import TextError
from cosyrt.text.normalize import normalize
from cosyrt.text.ssml import resolve


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<speak>One.<break time='1s'/>Two.</speak>", "One. Two."),
        ('A<break time="200ms"/>b', "A, b."),
        ('A<break strength="weak"/>b', "A, b."),
        ('<sub alias="World Health Organization">WHO</sub> said', "World Health Organization said."),
        ('<say-as interpret-as="digits">123</say-as> is it', "one two three is it."),
        ('<say-as interpret-as="characters">ab1</say-as> is it', "A B one is it."),
        ('the <say-as interpret-as="ordinal">4</say-as> one', "the fourth one."),
        ('第一是<say-as interpret-as="telephone">110</say-as>吗', "第一是幺幺零吗。"),
        ("<prosody rate='slow'>Slow 5</prosody>", "Slow five."),
    ],
)
def test_elements_are_honoured(text: str, spoken: str) -> None:
    """Substitutions, spelled words and pauses are spoken as they ask."""
    assert normalize(text) == spoken


def test_sounds_are_refused_in_one_line() -> None:
    """A phoneme cannot be spoken; the error says what to do instead."""
    with pytest.raises(TextError, match="sub alias") as caught:
        resolve('<phoneme alphabet="ipa" ph="x">a</phoneme>')
    assert "\n" not in str(caught.value)
