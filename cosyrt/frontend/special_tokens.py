"""The tags that a model's tokenizer knows beside Qwen2's vocabulary, in the order of their numbers.

They are numbered after the vocabulary (151643 entries): `<|endofprompt|>` is 151646 and `[mn]` 151662; those of
CosyVoice 3 go on to `[ǜ]`, 151923. Source: upstream's `tokenizer/tokenizer.py`.
"""

from __future__ import annotations

# Qwen2's own, then CosyVoice 2's.
SPECIAL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|endofprompt|>"),
    *("[breath]", "<strong>", "</strong>", "[noise]", "[laughter]", "[cough]", "[clucking]", "[accent]"),
    *("[quick_breath]", "<laughter>", "</laughter>", "[hissing]", "[sigh]", "[vocalized-noise]"),
    *("[lipsmack]", "[mn]"),
)

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
# Initials, and finals with their tones.
_PINYIN = """
a ai an ang ao b c ch d e ei en eng f g h i ian in ing iu ià iàn iàng iào iá ián iáng iáo iè ié iòng ióng
iù iú iā iān iāng iāo iē iě iōng iū iǎ iǎn iǎng iǎo iǒng iǔ j k l m n o ong ou p q r s sh t u uang ue un
uo uà uài uàn uàng uá uái uán uáng uè ué uì uí uò uó uā uāi uān uāng uē uě uī uō uǎ uǎi uǎn uǎng uǐ uǒ vè
w x y z zh à ài àn àng ào á ái án áng áo è èi èn èng èr é éi én éng ér ì ìn ìng í ín íng ò òng òu ó óng
óu ù ùn ú ún ā āi ān āng āo ē ēi ēn ēng ě ěi ěn ěng ěr ī īn īng ō ōng ōu ū ūn ǎ ǎi ǎn ǎng ǎo ǐ ǐn ǐng ǒ
ǒng ǒu ǔ ǔn ǘ ǚ ǜ
""".split()


def special_tokens(family: str) -> tuple[str, ...]:
    """The tags of that family; CosyVoice 3 also takes single sounds, in ARPAbet with stress or in pinyin."""
    if family != "cosyvoice3":
        return SPECIAL_TOKENS
    arpabet = sorted([*_CONSONANTS, *(vowel + stress for vowel in _VOWELS for stress in ("", "0", "1", "2"))])
    return (*SPECIAL_TOKENS, "<|endofsystem|>", *(f"[{sound}]" for sound in (*arpabet, *_PINYIN)))
