"""Numbers of Chinese text that are no date, sum, measure or code: signed, ranges, fractions, ordinals, rest."""

from __future__ import annotations

import re
from decimal import Decimal

from cosyrt.text.rules import any_of, rules
from cosyrt.text.zh.numbers import NUMBER, cardinal, digits, number

_SIGNS = {"-": "负", "−": "负", "+": "正", "±": "正负", "": ""}
_FRACTIONS = {
    "½": "二分之一", "¼": "四分之一", "¾": "四分之三", "⅓": "三分之一", "⅔": "三分之二", "⅛": "八分之一",
    "⅜": "八分之三",
    "⅝": "八分之五", "⅞": "八分之七", "⅕": "五分之一", "⅖": "五分之二", "⅗": "五分之三", "⅘": "五分之四",
}  # fmt: skip
# Words after which a number of two is 两; after all others it is 二.
_COUNTED = (
    "个 只 条 张 本 件 把 位 名 台 辆 部 座 棵 朵 头 匹 块 片 瓶 杯 碗 盘 盒 箱 包 袋 双 对 套 份 "
    "篇 首 封 幅 句 段 种 类 样 项 次 趟 遍 回 场 天 周 年 小时 分钟 秒 元 角 分钱 "
    "毛 斤 公斤 克 千克 吨 两 米 厘米 毫米 千米 公里 里 尺 寸 平方 立方 升 毫升 亩 公顷 岁 倍 成 万 "
    "千 亿 百万 千万 人 家 间 口 层 门 颗 粒 滴 根 支 枝 株 顶 "
    "架 艘 列 节 步 声 眼 页 行 字 点钟 站 圈 轮 局 盘 届 代 大 国 地 边 者 美元 欧元 英镑 日元 "
    "港元 人民币 星期 礼拜 季 批 组 队 排 串 束 堆 团 群 餐 顿 道 扇 面 枚 副 股 "
    "起 宗 例 则 款 档 级台阶 处 所 栋 幢 度 刻钟 个月 米高 晚 夜 手 脚 桶 壶 罐 锅 勺 亿元 "
    "万元 瓣 截 盏 尊 发 贴 针 剂 滴 码 磅 盎司 英里 英尺 英寸"
)
_NOT_COUNTED = r"(?!年级|级(?!台阶)|层楼|排[座，。]|支弄|支路|支线|路|线|环|期|等奖|号|楼|月|日|班|室|组别|团[的长]|代目|次元|进制|维|胎|把手|手车|手房|手货|手机|手烟|人转|大爷|地主|两)"
_COUNTER = any_of(_COUNTED)
_COUNTER_FOLLOWS = re.compile(rf"{_COUNTER}{_NOT_COUNTED}")
_RANGE = r" ?[-–—~] ?"
_SIZE = r"((?:[十百千万亿](?!分之))*)"


def _percent(found: re.Match[str]) -> str:
    share = "千分之" if found[3] == "‰" else "百分之"
    return f"{_SIGNS[found[1] or '']}{share}{number(found[2]) if found[2] != '100' else '一百'}"


def _percents(found: re.Match[str]) -> str:
    first, last = _SIGNS[found[1] or ""], _SIGNS[found[3] or ""]
    return f"{first}百分之{number(found[2])}到{last}百分之{number(found[4])}"


def _fraction(found: re.Match[str]) -> str:
    return f"{_SIGNS[found[1] or '']}{number(found[3])}分之{number(found[2])}"


def _mixed(found: re.Match[str]) -> str:
    return f"{number(found[1])}又{_FRACTIONS[found[2]]}"


def _formula(found: re.Match[str]) -> str:
    names = {
        "+": "加",
        "-": "减",
        "−": "减",
        "×": "乘",
        "*": "乘",
        "÷": "除以",
        "/": "除以",
        "=": "等于",
        "＝": "等于",
    }
    return re.sub(
        rf"({NUMBER})|[ ]+|.",
        lambda f: number(f[1]) if f[1] else names.get(f[0].strip(), f[0].strip()),
        found[0],
    )


def _scientific(found: re.Match[str]) -> str:
    sign = {"-": "负", "−": "负"}.get(found[2], "")
    return f"{number(found[1])}乘十的{sign}{cardinal(found[3])}次方"


def _power(found: re.Match[str]) -> str:
    exponent = found[2]
    spoken = ("负" if exponent[0] in "-−" else "") + cardinal(exponent.lstrip("-−"))
    return f"{number(found[1])}的{spoken}次方"


def _ordinal(found: re.Match[str]) -> str:
    return found[1] + re.sub(r"\d+", lambda n: cardinal(n[0]), found[2]).replace("-", "到").replace(
        "~", "到"
    ).replace("–", "到")


def _thousands(found: re.Match[str]) -> str:
    return number(f"{Decimal(found[1]) * 1000:f}".partition(".")[0], counted=True)


def _sized(found: re.Match[str]) -> str:
    return number(found[1], counted=True) + found[2]


def _bare(found: re.Match[str]) -> str:
    return number(found[0])


def _operation(written: str) -> str:
    return next(
        name
        for sign, name in (("−", "减"), ("-", "减"), ("+", "加"), ("×", "乘"), ("*", "乘"))
        if sign in written
    )


def _ranged(found: re.Match[str]) -> str:
    """A range; a 2 at its end is 两 where a counter follows it."""
    first, first_size, last, size = found.groups()
    counted = bool(size) or (last == "2" and _COUNTER_FOLLOWS.match(found.string, found.end()) is not None)
    return f"{number(first, counted=bool(first_size))}{first_size}到{number(last, counted=counted)}{size}"


_EXPONENTS = {"2": "平方", "3": "立方"}
_OPERATOR = r" ?[-+−×*÷/] ?"
# Before measures, whose number would be the exponent.
POWERS = rules(
    (r"(?<=[A-Za-z)）])\^\{?(\d{1,3}|[a-z])\}?", lambda f: "的" + _EXPONENTS.get(f[1], f[1] + "次方"), "^"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER})\^([-−]?\d+)", _power, "^"),
)
QUANTITIES = rules(
    (r"(?<=\d) (?=\d)", "，", "0"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER})[wW](?![A-Za-z])", lambda f: number(f[1], counted=True) + "万", "0 Ww"),
    (r"(?<![A-Za-z0-9.,])(\d{1,4}(?:\.\d{1,3})?)k(?![A-Za-z])", _thousands, "0 k"),
    (r"(?<![\d./])\d+(?:/\d+){2,}(?![\d/])", lambda f: f[0].replace("/", "、"), "/"),
    (r"(?<![\d.])([1-9][1-9])(?=折)", lambda f: digits(f[1]), "折"),
    (
        r"(?<![\d.])(\d{1,2})[.·](\d{1,2})(?=晚会|事件|假期|节|惨案|地震|大促|消费)",
        lambda f: digits(f[1] + f[2]),
        "0 .·",
    ),
    (r"(?<![A-Za-z])N[oO]\. ?(?=\d)", "第", "0 N"),
    (r"(?<![A-Za-z0-9.])(\d+)(?:st|nd|rd|th)(?![A-Za-z])", lambda f: "第" + cardinal(f[1]), "0 dht"),
    (r"(第)(\d+(?: ?[-–~、，,] ?\d+)*)(?![\d.])", _ordinal, "第"),
    (
        rf"(?<![A-Za-z0-9.,])({NUMBER}{_OPERATOR}){{1,5}}{NUMBER} ?= ?-?{NUMBER}(?![A-Za-z0-9])",
        _formula,
        "= *+/×÷−-",
    ),
    (
        rf"((?<![A-Za-z0-9)）])[-−+])?(?<![A-Za-z0-9.,])({NUMBER})%?{_RANGE}([-−+])?({NUMBER})%",
        _percents,
        "% ~–—-",
    ),
    (rf"((?<![A-Za-z0-9)）])[-−+±])?(?<![A-Za-z0-9.,])({NUMBER}) ?([%‰])", _percent, "%‰"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER})[eE]([-−+]?)(\d{{1,4}})(?![A-Za-z0-9])", _scientific, "0 Ee"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER}) ?([½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘])", _mixed, "0"),
    (r"[½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘]", lambda f: _FRACTIONS[f[0]], "¼½¾⅓⅔⅕⅖⅗⅘⅛⅜⅝⅞"),
    (r"(?<![A-Za-z0-9./])24/7(?![\d/])", "七天二十四小时", "/"),
    (rf"((?<![A-Za-z0-9)）])[-−+])?(?<![A-Za-z0-9./,])({NUMBER})/({NUMBER})(?![A-Za-z0-9/])", _fraction, "/"),
    (
        rf"(?<![A-Za-z0-9.:])({NUMBER}) ?[:：] ?({NUMBER})(?: ?[:：] ?({NUMBER}))?(?![A-Za-z0-9:])",
        lambda f: "比".join(number(g) for g in f.groups() if g),
        ":：",
    ),
    (
        rf"(?<![A-Za-z0-9.,])({NUMBER}) ?(?:−|[-+] (?=\d)|×|\*) ?(?=\d)",
        lambda f: number(f[1]) + _operation(f[0]),
        "*+-×−",
    ),
    (
        rf"(?<![A-Za-z0-9.,-])({NUMBER}){_SIZE}{_RANGE}({NUMBER}){_SIZE}(?![A-Za-z0-9.-])",
        _ranged,
        "-~–—",
    ),
    (r"(?<![A-Za-z])([a-z])-(?=\d)", r"\1减", "-"),
    (r"(?<=[A-Za-z])-(?=\d)", " ", "-"),
    (r"(?<=[歼轰运直强])-(?=\d)|(?<=东风|长征|神舟|嫦娥|天舟|天问|红旗|巨浪|波音|空客)-(?=\d)", "", "-"),
    (rf"(?<![A-Za-z0-9)）])([-−+±]) ?({NUMBER})", lambda f: _SIGNS[f[1]] + number(f[2]), "+-±−"),
    (rf"(?<![A-Za-z0-9.,])({NUMBER})((?:[千万亿]|百万|千万)+)", _sized, "0 万亿千百"),
    (rf"(?<![A-Za-z0-9.,])2(?=(?:{_COUNTER})){_NOT_COUNTED}", "两", "0"),
    (rf"(?<![\d.,]){NUMBER}(?!,?\d)", _bare, "0"),
    (rf"(?<![\d.]){NUMBER}", _bare, "0"),
    (r"\d+", lambda f: digits(f[0]), "0"),
)
