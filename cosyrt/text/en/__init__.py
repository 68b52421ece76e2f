"""Written English becomes English words.

A sentence comes in, and the same sentence without digits, signs and abbreviations goes out. `reading.py` puts
the rules of the other files in their order: read it first.
"""

from cosyrt.text.en.reading import in_words

__all__ = ["in_words"]
