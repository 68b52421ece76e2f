"""The tags that a model's tokenizer knows besides its vocabulary, in the order of their numbers.

Those of CosyVoice 2 follow 151643 others: `<|endofprompt|>` is 151646 and `[mn]` 151662; CosyVoice 3 goes on
to `[ǜ]`, 151923. Source: upstream's `tokenizer/tokenizer.py`.
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


def special_tokens(sound_tags: bool) -> tuple[str, ...]:
    """The tags of a tokenizer, with single sounds (ARPAbet with stress, pinyin) or without."""
    if not sound_tags:
        return SPECIAL_TOKENS
    arpabet = sorted([*_CONSONANTS, *(vowel + stress for vowel in _VOWELS for stress in ("", "0", "1", "2"))])
    return (*SPECIAL_TOKENS, "<|endofsystem|>", *(f"[{sound}]" for sound in (*arpabet, *_PINYIN)))


# Whisper's languages in the order of their numbers, then those of CosyVoice-300M-25Hz.
_LANGUAGES = """
en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi
ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd
gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue minnan wuyu dialect zh/en
en/zh
""".split()
_TASKS = "translate transcribe startoflm startofprev nospeech notimestamps".split()
_EVENTS = "ASR AED SER Speech /Speech BGM /BGM Laughter /Laughter Applause /Applause".split()
_EMOTIONS = "HAPPY SAD ANGRY NEUTRAL".split()
_SPEAKING = [f"TTS/{kind}" for kind in ("B O Q A CO CL H".split() + [f"SP{n:02d}" for n in range(1, 14)])]
_TIMES = [f"{step * 0.02:.2f}" for step in range(1501)]


def whisper_tags(languages: int) -> list[str]:
    """The tags of Whisper, which CosyVoice 1 takes over; `languages` of them are for languages."""
    return _marked(["endoftext", "startoftranscript", *_LANGUAGES[:languages], *_TASKS, *_TIMES])


def upstream_tags(languages: int) -> list[str]:
    """The tags of CosyVoice-300M-25Hz: Whisper's and some more in between."""
    more = [f"SPECIAL_TOKEN_{n}" for n in range(1, 31)] + _SPEAKING
    heard = _LANGUAGES[:languages] + _EVENTS + _EMOTIONS
    return _marked(["endoftext", "startoftranscript", *heard, *_TASKS, *more, *_TIMES])


def _marked(names: list[str]) -> list[str]:
    return [f"<|{name}|>" for name in names]
