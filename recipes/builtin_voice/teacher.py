"""The two programs that speak the training data, called in this process, with the end time of every phone.

flite (voice rms) reads English, espeak-ng (voice cmn-latn-pinyin) reads Mandarin given as pinyin.
"""

from __future__ import annotations

import ctypes as C
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from cosyrt.text.mandarin import SHORTENED, STANDALONE

SAMPLE_HZ = 24_000
LEAD_S, TAIL_S = 0.1, 0.25
SILENCE = "pau"


class TeacherError(RuntimeError):
    """The teacher did not say what it was given."""


@dataclass(frozen=True, slots=True)
class Speech:
    """One utterance: samples [N] at 24 kHz, its phones in order and when each ends."""

    samples: NDArray[np.float32]  # [N]
    phones: list[str]
    phone_end_s: list[float]
    syllables: list[int]  # of each phone, the index of its syllable (-1 for silence; all -1 in English)


class Flite:
    """CMU flite 2.2 with its clustergen voice rms, 16 kHz."""

    # A constant brings this voice to about -23 dBFS RMS where it speaks: levels within it stay natural.
    gain = 0.804
    name = "rms"

    class _Wave(C.Structure):
        _fields_ = [
            ("type", C.c_char_p),
            ("rate_hz", C.c_int),
            ("count", C.c_int),
            ("channels", C.c_int),
            ("samples", C.POINTER(C.c_short)),
        ]

    def __init__(self) -> None:
        names = ("flite", "flite_usenglish", "flite_cmulex", "flite_cmu_us_rms")
        self._flite, _, lexicon, voice = (C.CDLL(f"lib{name}.so.1", mode=C.RTLD_GLOBAL) for name in names)
        self._declare()
        self._flite.flite_init()
        voice.register_cmu_us_rms.restype = lexicon.cmu_lex_init.restype = C.c_void_p
        self._voice = voice.register_cmu_us_rms(None)
        self._lexicon = lexicon.cmu_lex_init()

    def _declare(self) -> None:
        pointer, text = C.c_void_p, C.c_char_p
        for name, result, *arguments in (
            ("flite_synth_text", pointer, text, pointer),
            ("utt_wave", pointer, pointer),
            ("utt_relation", pointer, pointer, text),
            ("relation_head", pointer, pointer),
            ("item_next", pointer, pointer),
            ("item_feat_string", text, pointer, text),
            ("item_feat_float", C.c_float, pointer, text),
            ("delete_utterance", None, pointer),
            ("lex_lookup", pointer, pointer, text, text, pointer),
            ("val_car", pointer, pointer),
            ("val_cdr", pointer, pointer),
            ("val_string", text, pointer),
            ("delete_val", None, pointer),
        ):
            function = getattr(self._flite, name)
            function.restype, function.argtypes = result, arguments

    def reads(self, word: str) -> list[str]:
        """Phones of one word on its own, as `hh ax l ow1`."""
        entry = rest = self._flite.lex_lookup(self._lexicon, word.encode("ascii"), None, None)
        phones = []
        while rest:
            phones.append(self._flite.val_string(self._flite.val_car(rest)).decode())
            rest = self._flite.val_cdr(rest)
        self._flite.delete_val(entry)
        return phones

    def say(self, text: str, units: list[str]) -> Speech:
        """Speak English text (the units are not needed)."""
        utterance = self._flite.flite_synth_text(text.encode("ascii"), self._voice)
        try:
            wave = C.cast(self._flite.utt_wave(utterance), C.POINTER(self._Wave)).contents
            samples, rate_hz = np.ctypeslib.as_array(wave.samples, (wave.count,)).copy(), wave.rate_hz
            phones, ends = self._segments(utterance)
        finally:
            self._flite.delete_utterance(utterance)
        return finished(samples, rate_hz, self.gain, phones, ends, [-1] * len(phones))

    def _segments(self, utterance: int) -> tuple[list[str], list[float]]:
        phones, ends = [], []
        item = self._flite.relation_head(self._flite.utt_relation(utterance, b"Segment"))
        while item:
            phones.append(self._flite.item_feat_string(item, b"name").decode())
            ends.append(self._flite.item_feat_float(item, b"end"))
            item = self._flite.item_next(item)
        return phones, ends


class Espeak:
    """espeak-ng 1.51, Mandarin from pinyin, 22.05 kHz; every syllable is a word, so that it has its event."""

    gain = 0.59
    name = "cmn"
    words_per_minute = 180  # about four syllables a second
    _WORD, _PHONEME = 1, 7

    class _Event(C.Structure):
        _fields_ = [
            ("type", C.c_int),
            ("unique_identifier", C.c_uint),
            ("text_position", C.c_int),
            ("length", C.c_int),
            ("audio_ms", C.c_int),
            ("sample", C.c_int),
            ("user_data", C.c_void_p),
            ("phoneme", C.c_char * 8),
        ]

    def __init__(self) -> None:
        self._espeak = C.CDLL("libespeak-ng.so.1")
        synchronous, phoneme_events, rate_parameter = 2, 1, 1
        self._rate_hz = self._espeak.espeak_Initialize(synchronous, 0, None, phoneme_events)
        if self._espeak.espeak_SetVoiceByName(b"cmn-latn-pinyin"):
            raise TeacherError("espeak-ng has no voice cmn-latn-pinyin; install espeak-ng-data 1.51")
        self._espeak.espeak_SetParameter(rate_parameter, self.words_per_minute, 0)
        callback_type = C.CFUNCTYPE(C.c_int, C.POINTER(C.c_short), C.c_int, C.POINTER(self._Event))
        self._callback = callback_type(self._receive)
        self._espeak.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave: C._Pointer[C.c_short], count: int, events: C._Pointer[_Event]) -> int:
        if wave and count:
            self._chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while (event := events[index]).type:
            if event.type == self._PHONEME:
                self._events.append((event.sample, event.phoneme.decode()))
            elif event.type == self._WORD and event.length:
                self._events.append((event.sample, None))
            index += 1
        return 0

    def say(self, text: str, units: list[str]) -> Speech:
        """Speak Mandarin units (the text is not needed)."""
        spelled = pinyin(units).encode("ascii")
        self._chunks: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str | None]] = []
        characters_utf8 = 1
        self._espeak.espeak_Synth(spelled, len(spelled) + 1, 0, 1, 0, characters_utf8, None, None)
        samples = np.concatenate(self._chunks)
        phones, starts, syllables = self._segments()
        ends = [start / self._rate_hz for start in [*starts[1:], len(samples)]]
        return finished(samples, self._rate_hz, self.gain, phones, ends, syllables)

    def _segments(self) -> tuple[list[str], list[int], list[int]]:
        """Phones, their start samples and syllables; `_|`, a gap before a sound, belongs to that sound."""
        phones: list[str] = []
        starts: list[int] = []
        syllables: list[int] = []
        syllable, gap = -1, -1
        for sample, phone in self._events:
            if phone is None:
                syllable += 1
            elif phone == "_|":
                gap = sample
            elif phone:
                silent = phone.startswith("_")
                if not (silent and phones and phones[-1] == SILENCE):
                    phones.append(SILENCE if silent else phone)
                    starts.append(gap if gap >= 0 else sample)
                    syllables.append(-1 if silent else syllable)
                gap = -1
        return phones, starts, syllables


_WRITTEN = {final: written for written, final in STANDALONE.items()}
_SHORT = {final: short for short, final in SHORTENED.items()}


def pinyin(units: list[str]) -> str:
    """Mandarin units as pinyin with tone digits and marks, `ni3 hao3, ma5?`; English units are left out."""
    spelled, initial = "", ""
    for unit in units:
        sound = unit.removeprefix("z:")
        if unit in (",", ".", "?", "!"):
            spelled += unit
        elif unit == sound:
            continue
        elif sound[-1].isdigit():
            spelled += " " + _syllable(initial, sound[:-1]) + sound[-1]
            initial = ""
        else:
            initial = sound
    return spelled.strip()


def _syllable(initial: str, final: str) -> str:
    if not initial:
        return _WRITTEN.get(final, final)
    if initial in "jqx" and final.startswith("v"):
        return initial + "u" + final[1:]
    return initial + _SHORT.get(final, final)


def finished(
    samples: NDArray[np.int16],  # [N]
    rate_hz: int,
    gain: float,
    phones: list[str],
    ends: list[float],
    syllables: list[int],
) -> Speech:
    """The utterance at 24 kHz, its first and last phone being silences of fixed length."""
    if phones and phones[0] == SILENCE:
        first, phones, ends, syllables = ends[0], phones[1:], ends[1:], syllables[1:]
    else:
        first = 0.0
    if len(phones) > 1 and phones[-1] == SILENCE:
        phones, ends, syllables = phones[:-1], ends[:-1], syllables[:-1]
    if not phones or phones == [SILENCE]:
        raise TeacherError("nothing was said")
    sound = _cut(samples.astype(np.float32) * np.float32(gain / 32768), rate_hz, first, ends[-1])
    sound = soxr.resample(sound, rate_hz, SAMPLE_HZ, "HQ").astype(np.float32)
    ends = [LEAD_S] + [end - first + LEAD_S for end in ends]
    ends.append(ends[-1] + TAIL_S)
    count = round(ends[-1] * SAMPLE_HZ)
    sound = np.pad(sound, (0, max(0, count - len(sound))))[:count]
    return Speech(sound, [SILENCE, *phones, SILENCE], ends, [-1, *syllables, -1])


def _cut(
    samples: NDArray[np.float32],  # [N]
    rate_hz: int,
    first_s: float,
    last_s: float,
    fade_s: float = 0.03,
) -> NDArray[np.float32]:
    """What was said from LEAD_S before the first sound to TAIL_S after the last, faded in the silence."""
    start, stop = round((first_s - LEAD_S) * rate_hz), round((last_s + TAIL_S) * rate_hz)
    fade_samples = round(fade_s * rate_hz)
    inside = samples[max(start, 0) : stop]
    window = np.ones(len(inside), np.float32)
    ramp = np.linspace(0, 1, fade_samples, dtype=np.float32)
    silent_after = len(inside) - round((last_s - max(start, 0) / rate_hz) * rate_hz)
    if silent_after > fade_samples:
        window[-fade_samples:] = ramp[::-1]
    if start >= 0:
        window[:fade_samples] = ramp
    return np.pad(inside * window, (max(-start, 0), 0))
