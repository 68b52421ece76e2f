"""Readings of 地, 得, 了 and 儿 that depend on their neighbours: particles, or words of their own.

The dictionary knows them inside its words; here is decided what they are where they stand alone.
"""

from __future__ import annotations

import re

from cosyrt.text.scripts import HAN

# Before 地 that is a place, and is said in full.
_PLACES = (
    "这那各当本外内原实基陆湿林耕墓营场工高盆产圣领空荒农驻在生某异两三多等草土田大天山坡洼平满遍扫随"
    "落倒着席胜绿重心腹境的块片种特"
)
_VERBS = (
    "走说跑看想笑哭问答做写读听叫喊站坐躺睡吃喝拿放打开关进出来去回起抬低抱握拉推敲点摇望盯瞪飞跳爬追逃转"
    "告回解提完学工生努发感觉知认认同表描展显变增减上下过用把被对向往朝从给让使为和与跟在等找干忙唱念讲谈聊"
    "思考观注欣享接收投参加融控抓捂捧端摸擦洗切煮伸缩垂落流淌吹响闪照亮围绕穿戴挤抢夺保护支反指询请求"
)
# Ends of adverbs that 地 makes: 突然地, 开心地, 大声地, 创造性地, 一样地.
_ADVERB_ENDS = (
    "康学由健然性心声力速快真细极情切烈静兴乐怒急烦苦甜淡和柔重轻巧妙深紧松缓慢稳"
    "勇敢明白楚晰整齐全完般样似式化度"
)
_NO_NOUN = "(?![方上下面里区球点位址理图域铁狱震])"
# Ends in 地: what stands twice, sounds, adverbs, and a verb behind what is no place.
_DE_PARTICLE = re.compile(
    rf"([{HAN}])(?:一?\1|(?P<second>[{HAN}])\1(?P=second))地{_NO_NOUN}|(?<=[猛唰刷腾噌啪哗嗖轰咚砰])地|"
    rf"(?<=[{HAN}][{_ADVERB_ENDS}])地{_NO_NOUN}|"
    rf"(?<=[{HAN}]{{2}})(?<![{_PLACES}])地(?=[{_VERBS}])"
)
_MUST = re.compile(
    r"(?:(?<=^)|(?<=[，。！？；：、我你您他她它们咱谁就可都也还总只真非才又定须家人])(?<!觉|值|记|懂|显))得"
    r"(?=立|马|赶|去|走|说|做|先|再|把|给|等|看|要|用|想|找|有|靠|从|让|在|自|花|多(?!人)|好好|回|来(?!及|不及)|学|去|问|干|买|吃|睡|起|上|交|付|努|小心|注意)"
)
_WORD = re.compile(
    r"得(?=[到分奖知以出意逞体力当手主罪救益失宠势胜名票标])|(?<=[我你他她它们])得(?=了)|(?<=[不取获所应难心博赢求])得"
)
_COMPLEMENT = re.compile(rf"(?<=[{HAN}])得(?=[{HAN}])")
_LIAO = re.compile(
    r"(?<=不得|受不|少不|免不|忘不|大不|办不|吃不|跑不|干不|做不|用不|去不|来不|走不|死不|错不|好不|改不|管不|忘得|做得|办得|受得|吃得|走得|用得)了"
)
_ER_ENDS = re.compile(
    "(?<=[会点这那哪花玩孩事劲味活头块画鸟样门份准今明歌词字馅杆根盖罐球曲角饭带串丝面汤条瓶盆皮缝空])"
    "儿(?![子女童媳歌科园时戏])"
)
_RULES = (
    ("得", _WORD, "de2"),
    ("得", _MUST, "dei3"),
    ("得", _COMPLEMENT, "de5"),
    ("地", _DE_PARTICLE, "de5"),
    ("了", _LIAO, "liao3"),
    ("儿", _ER_ENDS, "er5"),
)


def readings(text: str) -> dict[int, str]:
    """Where the text has such a character with another reading than the dictionary's, and its syllable."""
    found: dict[int, str] = {}
    for character, pattern, syllable in _RULES:
        if character in text:
            at = (match.end() - 1 for match in pattern.finditer(text))
            found |= {position: syllable for position in at if position not in found}
    return found
