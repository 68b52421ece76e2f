"""Results of games in Chinese, and ranges that look like them."""

from __future__ import annotations

import pytest

from cosyrt.text.zh import in_words


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("凯尔特人98-95热火", "凯尔特人九十八比九十五热火"),
        ("国足0-1不敌日本队", "国足零比一不敌日本队"),
        ("总比分4:2", "总比分四比二"),
        ("德国1–1西班牙，两队握手言和", "德国一比一西班牙，两队握手言和"),
        ("以25-20、23-25和15-9取胜", "以二十五比二十、二十三比二十五和十五比九取胜"),
        ("球队3-5人一组", "球队三到五人一组"),
        ("中国3-5年内", "中国三到五年内"),
        ("年龄18-25岁", "年龄十八到二十五岁"),
    ],
)
def test_scores_and_ranges(written: str, spoken: str) -> None:
    """Between teams, after a word for the result and before a verb of winning it is a score; else a range."""
    assert in_words(written) == spoken
