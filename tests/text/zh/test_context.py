"""Forms of Chinese whose neighbours tell what they mean."""

from __future__ import annotations

import pytest

from cosyrt.text.zh import in_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("满200-30", "满两百减三十"), ("约200-300", "约两百到三百")),
        (("高2分", "高两分"), ("8点2分", "八点二分")),
        (("9秒58夺冠", "九秒五八夺冠"), ("9分58秒", "九分五十八秒")),
        (("状态码200", "状态码二零零"), ("返回200条", "返回两百条")),
        (("楼上+1", "楼上加一"), ("同比+1%", "同比正百分之一")),
        (("改到12/3开会", "改到十二月三日开会"), ("吃了2/3个", "吃了三分之二个")),
        (
            ("比分3:2（25-21）", "比分三比二，二十五比二十一）"),
            ("电话(010)12345678", "电话零幺零，幺二三四五六七八"),
        ),
        (("8k-12k", "八千到一万二千"), ("30-50w", "三十到五十万")),
        (("人vs狗", "人对狗"), ("A vs B", "A vs B")),
        (("5万km", "五万公里"), ("5万K", "五万K")),
        (("二手和2手", "二手和二手"), ("2手牌", "两手牌")),
        (("市盈率25x，", "市盈率二十五倍，"), ("y=2x+1", "y等于二x加一")),
        (("WiFi密码：8888", "WiFi密码：八八八八"), ("共8888个", "共八千八百八十八个")),
    ],
)
def test_neighbours_decide(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Two texts with the same form, which is read in two ways."""
    for written, spoken in (one, other):
        assert in_words(written) == spoken
