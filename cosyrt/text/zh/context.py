"""Forms of Chinese whose neighbours tell what they mean, written so that the other rules read them right."""

from __future__ import annotations

import re

from cosyrt.text.elements import ISOTOPE, isotope
from cosyrt.text.rules import any_of, rules
from cosyrt.text.scripts import HAN
from cosyrt.text.zh.numbers import digits, number, telephone
from cosyrt.text.zh.units import UNITS

_UNIT_NAMES = {
    "mol": "摩尔",
    "s": "秒",
    "m": "米",
    "kg": "千克",
    "K": "开",
    "L": "升",
    "g": "克",
    "h": "小时",
}
_PRODUCTS = {"J": "焦耳", "N": "牛", "W": "瓦", "kW": "千瓦", "Pa": "帕"}
_PRODUCT_UNITS = {"s": "秒", "m": "米", "h": "时"}
_PER = {
    "km²": "平方公里", "m²": "平方米", "m³": "立方米", "kg": "公斤", "g": "克", "h": "小时", "L": "升", "t": "吨",
    "km": "公里", "min": "分钟", "s": "秒", "d": "天", "GB": "GB",
}  # fmt: skip
_NAME_SIGNS = {"_": "下划线", "-": "杠", ".": "点"}
_RAISED = {"²": "二", "³": "三"}
_STATUS = "(?:4[0-5][0-9]|50[0-9]|20[0-9]|30[0-9])"


def _account(found: re.Match[str]) -> str:
    return found[1] + telephone("".join(_NAME_SIGNS.get(sign, sign) for sign in found[2]))


def _per(found: re.Match[str]) -> str:
    return "每" + _UNIT_NAMES[found[1]] + {"1": "", "2": "平方", "3": "立方"}[found[2]]


_PATH_SIGNS = {"/": "斜杠", "\\": "反斜杠", ":": "冒号", ".": "点", "-": "杠", "_": "下划线", "~": "波浪号"}
_CHARGES = {"⁺": "正", "⁻": "负"}


_COMPASS = {"N": "北纬", "S": "南纬", "E": "东经", "W": "西经"}


def _known_day(found: re.Match[str]) -> str:
    """A day that is known by its numbers: `9·11`, and 十一 for the first of October."""
    return "十一" if found[0] == "10·1" else digits(found[1] + found[2])


def _path(found: re.Match[str]) -> str:
    return "".join(_PATH_SIGNS.get(sign, sign) for sign in re.sub(r"\d+", lambda n: number(n[0]), found[0]))


def _spaced(found: re.Match[str]) -> str:
    return telephone(found[0].replace(" ", ""))


def _powered_unit(found: re.Match[str]) -> str:
    return UNITS[found[1]]


CONTEXT = rules(
    (r"(?<![\d·])(\d{1,2})·(\d{1,2})(?![\d·=])", _known_day, "·"),
    (
        r"(?<![\d.])(\d{1,3}(?:\.\d{1,6})?)° ?([NSEW])(?![A-Za-z])",
        lambda f: f"{_COMPASS[f[2]]}{number(f[1])}度",
        "° ENSW",
    ),
    (r"(?<=%)\+(?=\d)", "加", "% +"),
    (r"([图表])(\d{1,2})-(\d{1,2})(?![\d%])", r"\1\2杠\3", "- 图表"),
    (
        r"(明治|大正|昭和|平成|令和|民国|康熙|雍正|乾隆|嘉庆|道光|咸丰|同治|光绪|贞观|开元|洪武|永乐|嘉靖|万历|崇祯)(\d{1,3})(?=年)",
        lambda f: f[1] + number(f[2]),
        "年",
    ),
    (
        r"(?<![A-Za-z0-9.])([12])m(\d{2})(?![\d.A-Za-z])",
        lambda f: f"{number(f[1], counted=True)}米{digits(f[2])}",
        "0 m",
    ),
    (r"第(\d+)/(\d+)(页|集|章|期|步|题|关|层)", r"第\1\3，共\2\3", "/ 第"),
    (r"(?<![\d/])(\d{1,3})/(\d{1,3})层", r"\1层，共\2层", "/ 层"),
    (r"(?<![\d./])(\d{1,2}\.\d{1,2})/(4\.0|5\.0|10|100)(?![\d./])", r"\1，满分\2", "/ ."),
    (r"(?<![A-Za-z])f/(?=\d)", "f", "/ f"),
    (r"(?<![\d/])1/(\d{2,4})s(?![A-Za-z])", r"1/\1秒", "/ s"),
    (
        r"\+(\d{1,3}) ?[（(]0[）)] ?(\d{2,3})[ -](\d{3,4})[- ](\d{4})(?!\d)",
        lambda f: "加" + "，".join(map(telephone, f.groups())),
        "+ (（",
    ),
    (r"(?<![\d/])50/50(?![\d/])", "五五开", "/"),
    (
        r"(有效期(?:至|到|为)?[:：]?)(0[1-9]|1[0-2])/(\d\d)(?![\d/])",
        lambda f: f"{f[1]}20{f[3]}年{int(f[2])}月",
        "/ 效",
    ),
    (
        r"(?<=\d)\+(?=[个人家米元次件名张岁天年种款台套座位]|公里|公斤|分钟|小时)|(?<=\d[万亿])\+(?=[\u4e00-\u9fff])",
        "多",
        "+",
    ),
    (r"(?<![A-Za-z)]\d)(?<=[\d%CF°]) ?→ ?(?=[\d￥¥$+-])", "到", "→"),
    (r"(?<=[：:])\+(\d{1,2})(?=[，。!！]|$)", r"加\1", "+ :："),
    (
        r"(?s)^(?=.*(?:购物节|大促)).*$",
        lambda f: re.sub(r"(?<![\d.])(\d{1,2})\.(\d{1,2})(?![\d.])", lambda n: digits(n[1] + n[2]), f[0]),
        "大购 促购",
    ),
    (r"(?<![\d.])(\d{1,2})! ?= ?(?=\d)", r"\1的阶乘等于", "! ="),
    (r"(?<![\dA-Za-z])[µμ](?![A-Za-z])", "缪", "µμ"),
    (r"满(\d+)[-−](\d+)(?!\d)", r"满\1减\2", "−- 满"),
    (
        r"(?<![\d.])(\d{1,2})[.·](\d{1,2})(?=(?:暴雨|空难|爆炸|事故|洪灾|阅兵|大阅兵|讲话|抗战|案|[\u4e00-\u9fff]{2}(?:地震|空难|爆炸)))",
        lambda f: digits(f[1] + f[2]),
        "0 .·",
    ),
    (
        r"(?<![\d:.])(\d{1,2}):([0-5]\d)\.(\d{1,3})(?!\d)",
        lambda f: f"{number(f[1])}分{number(f[2])}秒{digits(f[3])}",
        ": .",
    ),
    (
        r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([kKwW]) ?[-–—~] ?(?=\d+(?:\.\d+)?\2(?![A-Za-z]))",
        r"\1\2到",
        "~–—- KWkw",
    ),
    (r"(?<=[元块])/(?=\d)", "每", "/ 元块"),
    (r"(?<=LPR)([-+])(?=\d)", lambda f: "减" if f[1] == "-" else "加", "+- L"),
    (r"(?<=V×)(\d+(?:\.\d+)?) ?A(?![A-Za-z])", r"\1安", "× V"),
    (r"(?<![A-Za-z0-9])0b([01]{1,32})(?![A-Za-z0-9])", lambda f: f"零b{digits(f[1])}", "0 b"),
    (r"(?<=\d号)(\d{3,4})(?=$|[，。；])", lambda f: telephone(f[1]), "号"),
    (
        r"(?<![A-Za-z0-9/:.@-])[A-Za-z_][A-Za-z0-9_-]{0,40}(?:/[A-Za-z0-9_.-]{1,40}){1,8}\.[a-z]{1,4}(?![A-Za-z0-9])",
        _path,
        "/ .",
    ),
    (r"↑(?=\d)", "上升", "↑ 0"),
    (r"↓(?=\d)", "下降", "↓ 0"),
    (r"(?<=:\d\d)/(?=\d{1,2}:\d\d)", "、", ": /"),
    (r"(?<![A-Za-z0-9.])(\d{1,2})h ?(\d{1,2})m(?:in)?(?![A-Za-z])", r"\1小时\2分钟", "0 h"),
    (
        r"((?:改到|改为|改至|定在|定于|推迟到|推迟至|延期到|延期至|延至|提前到|提前至|安排在|[Dd]eadline|DDL|ddl)[是为:：]?)"
        r"(1[0-2]|0?[1-9])[/.](3[01]|[12]\d|0?[1-9])(?![\d/.])",
        r"\1\2月\3日",
        "0 ./",
    ),
    (
        r"(?<![\d/.])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?= ?[（(]?(?:周[一二三四五六日天]|星期))",
        r"\1月\2日",
        "/ 周星",
    ),
    (r"(?<!\d)(?<!\d )\d(?: \d){2,}(?! ?\d)", _spaced, "0"),
    (rf"(?<=[{HAN}])\+(\d{{1,2}})(?=[，。！!~～；]|$)", r"加\1", "+"),
    (r"(?<![\d.])2手(?!牌)", "二手", "手 0"),
    (
        rf"(?<=[{HAN}A-Z])[（(](\d{{6}})(?:\.([A-Z]{{2}}))?[)）]",
        lambda f: f"，{digits(f[1])}{f[2] or ''}，",
        "(（",
    ),
    (
        r"(?s)^(?=.*端口).*$",
        lambda f: re.sub(r"(?<=[是为])\d{4,5}(?![\d.])", lambda n: digits(n[0]), f[0]),
        "端",
    ),
    (rf"(?<=[{HAN}A-Za-z])#(?=\d)", " ", "#"),
    (r" ?&& ?", "并且", "&"),
    (r" ?\|\| ?", "或者", "|"),
    (r"(?<![A-Za-z])[A-Z]:(?:\\[\w.-]{1,80})+", _path, ": \\"),
    (r"(?<![A-Za-z0-9/:.])~?(?:/[A-Za-z_.][A-Za-z0-9_.-]{0,80}){2,}", _path, "/"),
    (
        rf"(?<=[万亿])({any_of([unit for unit in UNITS if unit[0].isalpha() and unit not in 'AUNKVW'])})(?![A-Za-z0-9²³/])",
        _powered_unit,
        "万亿",
    ),
    (r"(?<![\dA-Za-z.])(\d{1,4}(?:\.\d{1,2})?)x(?=[，。、；！)）的]|$)", r"\1倍", "0 x"),
    (
        r"(?<=[A-Za-z0-9])([²³]?)([⁺⁻])(?![⁰¹²³⁴-⁹])",
        lambda f: f"{_RAISED.get(f[1], '')}{_CHARGES[f[2]]}",
        "⁺⁻",
    ),
    (
        r"((?:微信号?|QQ号?|[账帐]号|用户名|昵称|ID|id)(?:[是为:：叫 ]|是：)? ?)"
        r"([A-Za-z][A-Za-z0-9]{0,30}(?:[_.-][A-Za-z0-9]{1,30}){1,5})(?![A-Za-z0-9_@])",
        _account,
        "-._",
    ),
    (
        rf"((?:[Ee]rror|HTTP|错误码?|状态码|[Ss]tatus(?: ?[Cc]ode)?|返回码?|响应码)[ 是为:：]{{0,2}})({_STATUS})"
        r"(?![\d%]|[.,]\d|[个条张元人次页份只天])",
        lambda f: f[1] + digits(f[2]),
        "0 Hru响状返错",
    ),
    (
        rf"(?<![A-Za-z0-9.,])({_STATUS})(?= ?(?:[为是]|表示|代表)?(?:服务器|内部)?(?:错误|报错|页面|状态码|Not Found|Bad Gateway))",
        lambda f: digits(f[1]),
        "0 Nw状错页",
    ),
    (r"(?<![A-Za-z0-9])(K\d{1,4})\+(\d{3})(?!\d)", lambda f: f"{telephone(f[1])}加{number(f[2])}", "+ K"),
    (r"(?<![A-Za-z0-9.])(\d{1,3})秒(\d{2})(?![\d.])", lambda f: f"{number(f[1])}秒{digits(f[2])}", "秒"),
    (rf"(?<=[{HAN}]) ?(?:vs|VS|Vs)\.? ?(?=[{HAN}A-Z])", "对", "Vv"),
    (r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?) ?[-–—~～] ?(\d+(?:\.\d+)?)[wW](?![A-Za-z])", r"\1-\2万", "0 Ww"),
    (r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?) ?[-–—~～] ?(\d+(?:\.\d+)?)k(?![A-Za-z])", r"\1-\2千", "0 k"),
    (r"(?<=[高低多少差得扣加减先后赢输仅只])2(?=分(?![之钟钱\d]))", "两", "分"),
    (r"(?<![\d.,])\d{1,3}(?: 000)+(?!\d)", lambda f: f[0].replace(" ", ""), "0"),
    (r"(?<=[²³)）])[-−](?=[\da-z])", "减", "−- )²³）"),
    (rf"(?<=[{HAN}])/({any_of(list(_PER))})(?![A-Za-z0-9])", lambda f: "每" + _PER[f[1]], "/"),
    (rf" ?[·⋅]? ?(?<![A-Za-z])({any_of(list(_UNIT_NAMES))})\^[-−]([123])(?!\d)", _per, "^ −-"),
    (
        rf"(?<=\d) ?({any_of(list(_PRODUCTS))})[·⋅]([smh])(?![A-Za-z])",
        lambda f: _PRODUCTS[f[1]] + _PRODUCT_UNITS[f[2]],
        "·⋅ hms",
    ),
    (ISOTOPE, lambda f: isotope(f, chinese=True), "²³¹⁰⁴⁵⁶⁷⁸⁹"),
)
# After codes, of which brackets may be a part.
BRACKETS = rules(
    # They are silent: numbers on both sides of one must not run together.
    (r"(?<=[\d%])[（(](?=[\d¥￥$€£+-])|[)）](?=\d)", "，", "()（）"),
)
