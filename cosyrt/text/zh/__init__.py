"""Written Chinese becomes Chinese words.

A sentence comes in, and the same sentence without digits and signs goes out. `reading.py` puts the rules of the
other files in their order: read it first.
"""

from cosyrt.text.zh.reading import in_words

__all__ = ["in_words"]
