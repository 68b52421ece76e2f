"""Traditional characters."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cosyrt.text.traditional import simplified


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("銀行", "银行"),
        ("長度", "长度"),
        ("重慶的音樂", "重庆的音乐"),
        ("他看著我睡覺", "他看着我睡觉"),
        ("著名的著作很顯著", "著名的著作很显著"),
        ("會計", "会计"),
        ("皇后在後面", "皇后在后面"),
        ("看着著名的书", "看着著名的书"),
    ],
)
def test_simplified(text: str, simple: str) -> None:
    """Words become those of simplified text; the particle 著 is told from the word."""
    assert simplified(text) == simple


def test_simplified_text_loads_no_table() -> None:
    """Text in simplified characters does not wait for the conversion."""
    code = "import sys; from cosyrt.text.traditional import simplified as s; s('你好，世界')"
    code += "; sys.exit('opencc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
