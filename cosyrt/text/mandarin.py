"""Hanzi as pinyin units: initial and final-with-tone, such as `z:zh` `z:ong1`; tone 5 is the neutral one.

Finals are the full ones of Hanyu Pinyin (iou, uei, uen; v for ü), so that each sound has one name.
Third-tone sandhi is left to the voice; the tones of 一 and 不, which the spelling hides, are resolved here.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cosyrt.text import particles

_INITIALS = "b p m f d t n l g k h j q x zh ch sh r z c s".split()
_FINALS = (
    "a o e ai ei ao ou an en ang eng er ong i ia ie iai iao iou ian in iang ing io iong "
    "u ua uo uai uei uan uen uang ueng v ve van vn"
).split()
INITIALS = tuple("z:" + initial for initial in _INITIALS)
FINALS = tuple(f"z:{final}{tone}" for final in _FINALS for tone in "12345")

_SYLLABLE = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcs])?([a-zêü]+)([1-5])")
# Interjections without a vowel, and the bare ê, are said with their nearest ordinary syllable.
_BARE = {"n": "en", "ng": "en", "m": "mu", "hm": "heng", "hng": "heng", "ê": "ei"}
# Written with y or w because no initial stands before them.
STANDALONE = {
    "yi": "i", "ya": "ia", "ye": "ie", "yai": "iai", "yao": "iao", "you": "iou", "yan": "ian", "yin": "in",
    "yang": "iang", "ying": "ing", "yo": "io", "yong": "iong", "wu": "u", "wa": "ua", "wo": "uo",
    "wai": "uai", "wei": "uei", "wan": "uan", "wen": "uen", "wang": "uang", "weng": "ueng", "wong": "ong",
    "yu": "v", "yue": "ve", "yuan": "van", "yun": "vn",
}  # fmt: skip
SHORTENED = {"iu": "iou", "ui": "uei", "un": "uen"}

_NUMERALS = "〇零一二三四五六七八九"
# Where 一 is a number or the end of a word, and keeps its first tone.
_YI_KEEPS_ITS_TONE = re.compile(
    f"一(?=[{_NUMERALS}十月号楼])|一(?=年级|等奖|级|线城)|(?<=月)一(?=日)"
    f"|(?<=[{_NUMERALS}十第初之唯专归均])一|(?<=星期|礼拜)一"
    # A decimal point, but not 一点一滴 and 一点一点地.
    f"|(?<=点)(?<!一点)一|(?<=一点)一(?!滴|点(?![{_NUMERALS}]))"
    "|(?<=统)(?<!系统|传统)一"
    # 周一, 划一, 合一, 同一; but 每周一次, 规划一下, 合同一份, and again 周一下午.
    "|(?<=[周划合同])一(?![次份]|下(?!午))"
    # 万一 is `in case`, in 三万一千 it is not.
    f"|(?<=万)(?<![{_NUMERALS}十百千几两]万)一"
)


def hanzi_units(text: str) -> list[str]:
    """Units of a run of hanzi; characters without a known reading give none."""
    from pypinyin import Style, lazy_pinyin

    syllables = lazy_pinyin(
        text,
        style=Style.TONE3,
        neutral_tone_with_five=True,
        # One blank for each character, so that positions stay; pypinyin's hints do not know of the list.
        errors=lambda unknown: ["" for _ in unknown],  # type: ignore[arg-type,return-value]
    )
    if len(syllables) == len(text):
        for position, syllable in particles.readings(text).items():
            syllables[position] = syllable
        syllables = [_tone_sandhi(text, syllables, position) for position in range(len(text))]
    return [unit for syllable in syllables for unit in syllable_units(syllable)]


@lru_cache(maxsize=4096)
def syllable_units(syllable: str) -> tuple[str, ...]:
    """Units of one pinyin syllable with its tone digit, `zhong1` → `z:zh` `z:ong1`; () for anything else."""
    bare = _BARE.get(syllable[:-1])
    match = _SYLLABLE.fullmatch(bare + syllable[-1] if bare else syllable)
    if not match:
        return ()
    initial, final, tone = match[1] or "", match[2].replace("ü", "v"), match[3]
    final = _full_final(initial, final)
    if final not in _FINALS:
        return ()
    return (f"z:{initial}", f"z:{final}{tone}") if initial else (f"z:{final}{tone}",)


def _full_final(initial: str, final: str) -> str:
    if not initial:
        return STANDALONE.get(final, final)
    if initial in "jqx" and final.startswith("u"):
        return "v" + final[1:]
    return SHORTENED.get(final, final)


def _tone_sandhi(text: str, syllables: list[str], position: int) -> str:
    """A syllable with its spoken tone, which for 一 and 不 depends on their neighbours."""
    character, syllable = text[position], syllables[position]
    if character not in "一不" or syllable[:-1] not in ("yi", "bu"):
        return syllable
    before, after = text[position - 1 : position], text[position + 1 : position + 2]
    if before and before == after and before not in _NUMERALS + "点不":
        return syllable[:-1] + "5"
    next_tone = syllables[position + 1][-1:] if after else ""
    if character == "不":
        return "bu2" if next_tone == "4" else "bu4"
    if not next_tone or _YI_KEEPS_ITS_TONE.match(text, position):
        return "yi1"
    return "yi2" if next_tone in "45" else "yi4"
