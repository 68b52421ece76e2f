"""Results of games in Chinese: `112-108` between two teams, after 比分, or before a verb of winning, is 比."""

from __future__ import annotations

import re

from cosyrt.text.rules import any_of, rules
from cosyrt.text.scripts import HAN
from cosyrt.text.zh.numbers import cardinal

_WORDS = any_of(
    "比分 比数 得分 总分 战胜 击败 大胜 负于 不敌 领先 落后 打平 战平 取胜 险胜 完胜 获胜 以 赢 输 淘汰 打成 回合"
)
_VERBS = any_of(
    "战胜 击败 大胜 险胜 完胜 力克 逆转 淘汰 横扫 不敌 惜败 负于 战平 取胜 获胜 领先 落后 告负 轻取 拿下 打平 "
    "打败 客胜 胜出 晋级 力压 送走 惨败 完败 绝杀 逼平 握手言和 胜 负 平 输给 赢"
)
_TEAMS = any_of(
    "老鹰 凯尔特人 篮网 黄蜂 公牛 骑士 独行侠 小牛 掘金 活塞 勇士 火箭 步行者 快船 湖人 灰熊 热火 雄鹿 森林狼 "
    "鹈鹕 尼克斯 雷霆 魔术 76人 太阳 开拓者 国王 马刺 猛龙 爵士 奇才 广东 辽宁 新疆 北京 首钢 上海 浙江 广厦 山东 "
    "曼联 曼城 切尔西 阿森纳 利物浦 热刺 埃弗顿 纽卡斯尔 莱斯特城 西汉姆 维拉 皇马 巴萨 马竞 塞维利亚 瓦伦西亚 "
    "拜仁 多特 多特蒙德 勒沃库森 莱比锡 国米 国际米兰 AC米兰 米兰 尤文 尤文图斯 罗马 那不勒斯 拉齐奥 巴黎 大巴黎 里昂 "
    "马赛 阿贾克斯 本菲卡 波尔图 国安 申花 海港 恒大 泰山 皇家马德里 巴塞罗那 "
    "中国 日本 韩国 朝鲜 美国 法国 德国 英格兰 西班牙 意大利 巴西 阿根廷 葡萄牙 荷兰 比利时 克罗地亚 摩洛哥 沙特 "
    "伊朗 澳大利亚 乌拉圭 墨西哥 瑞士 瑞典 丹麦 波兰 土耳其 俄罗斯 乌克兰 塞尔维亚 加拿大 泰国 越南 印度 卡塔尔 "
    "主队 客队 国足 女排 男篮 女足 国羽 国乒"
)
_TEAM = rf"(?:{_TEAMS}|[{HAN}]队)"
_SCORE = r"\d{1,3} ?[-–—:：比] ?\d{1,3}"
_END = r"(?![\d.]|[-:]\d)"


def _scores(found: re.Match[str]) -> str:
    return re.sub(r"(\d{1,3}) ?[-–—:：比] ?(\d{1,3})", _score, found[0])


def _score_lists(found: re.Match[str]) -> str:
    """The results of several games in a row: `11-9、8-11、13-11`."""
    return re.sub(rf"(?<![\d.:-]){_SCORE}(?:[、，,] ?{_SCORE})+{_END}", _scores, found[0])


def _score(found: re.Match[str]) -> str:
    return f"{cardinal(found[1])}比{cardinal(found[2])}"


SCORES = rules(
    (rf"(?s)^(?=.*(?:{_VERBS}|比分|局分|对阵)).*$", _score_lists),
    (rf"{_WORDS}[^\d。！？\n]{{0,6}}{_SCORE}(?:(?:[、，,和及/； ])+{_SCORE})*{_END}", _scores, "0 :–—比：-"),
    (rf"(?<![\d.:-]){_SCORE}(?= ?{_VERBS})", _scores, "0 :–—比：-"),
    (rf"{_TEAM} ?{_SCORE}(?= ?(?:{_TEAM}|[，。；！、)）]|$))", _scores, "0 :–—比：-"),
)
