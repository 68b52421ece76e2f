"""Texts of the benchmark: short (below 50), medium (50 to 200) and long texts, in English and Chinese."""

from __future__ import annotations

from typing import NamedTuple

TEXT_LENGTHS = ("short", "medium", "long")
REFERENCE_TEXT = "The quick brown fox jumps over the lazy dog near the river bank."


class BenchText(NamedTuple):
    """A text in a language, of a kind of length."""

    language: str
    length: str
    words: str

    def __str__(self) -> str:
        return f"{self.language} {self.length}"


TEXTS = (
    BenchText("en", "short", "The train leaves at half past nine."),
    BenchText("zh", "short", "火车九点半开。"),
    BenchText(
        "en",
        "medium",
        "It rained all morning but the afternoon was warm, so we walked along the river until it was dark.",
    ),
    BenchText(
        "zh",
        "medium",
        "上午一直在下雨，下午却很暖和，所以我们沿着河边走到天黑。孩子们在花园里踢足球，我哥哥坐在树下看一本关于大海的书。",
    ),
    BenchText(
        "en",
        "long",
        "It rained all morning but the afternoon was warm. We walked along the river until it was dark. "
        "The children were playing football in the garden, and my brother was reading a book about the sea. "
        "When the lights went out in the middle of the storm, nobody was surprised.",
    ),
    BenchText(
        "zh",
        "long",
        "上午一直在下雨，下午却很暖和。我们沿着河边走到天黑。孩子们在花园里踢足球，我哥哥坐在树下看一本关于大海的书。"
        "晚饭以后，父亲给我们讲了他年轻时候的故事。那时候他在一条大船上工作，一年只能回家两次。"
        "他说海上的夜晚很安静，星星比岸上多得多，有时候还能看见远处的灯塔。"
        "后来他离开了那条船，在城里找到了新的工作，认识了我的母亲。"
        "暴风雨中突然停电的时候，谁也没有感到意外，母亲点了一根蜡烛，父亲继续讲他的故事，我们一直听到深夜才去睡觉。",
    ),
)
