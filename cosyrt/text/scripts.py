"""Writing systems as sets of characters, each to stand between the brackets of a regular expression.

`HAN` is Unicode's script Han: the ideographs with all their extensions and 〇, their radicals, the iteration
mark 々 and the numerals of Suzhou. Source: Scripts.txt of the Unicode Character Database.
"""

from __future__ import annotations

import re

HAN = (
    "\u2e80-\u2e99\u2e9b-\u2ef3\u2f00-\u2fd5"  # radicals
    "\u3005\u3007\u3021-\u3029\u3038-\u303b"  # 々, 〇, numerals of Suzhou, vertical 々
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufa6d\ufa70-\ufad9"  # ideographs, and their compatibility forms
    "\U00016fe2\U00016fe3\U00016ff0\U00016ff1"  # marks of old texts
    "\U00020000-\U0003fffd"  # planes 2 and 3, which hold ideographs and nothing else
)
KANA = "\u3040-\u30ff"
HANGUL = "\u1100-\u11ff\uac00-\ud7af"
LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"  # without × and ÷

_HAN_CHARACTER = re.compile(f"[{HAN}]")


def has_han(text: str) -> bool:
    """Whether a Chinese character stands in the text."""
    return _HAN_CHARACTER.search(text) is not None
