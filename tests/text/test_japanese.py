"""Numbers of Japanese text."""

from __future__ import annotations

from cosyrt.text.japanese import _verbalized, in_words


def test_numbers_are_japanese() -> None:
    """Years and minus signs; a text without numbers is as it was."""
    assert in_words("日本は2024年です") == "日本は二千二十四年です"
    assert in_words("です") == "です"
    assert not any(map(str.isdecimal, in_words("気温は−5度、#1です。" * 30)))


def test_what_was_read_before_is_looked_up() -> None:
    """A text that comes again asks the grammar no more, and what is kept has a bound."""
    first = in_words("これは3つです")
    before = _verbalized.cache_info()
    assert in_words("これは3つです") == first
    after = _verbalized.cache_info()
    assert after.misses == before.misses and after.hits > before.hits
    assert after.maxsize is not None and after.maxsize <= 10_000
