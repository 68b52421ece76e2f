"""The voice entered at each of its stages: what every measure of it runs, sentence by sentence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import cosyrt
from cosyrt import Audio, Pipeline, Voice
from cosyrt.engine.request import Request
from cosyrt.engine.vocoder_stream import OverlappingVocoderStream
from cosyrt.mel import log_mel
from cosyrt.text.pronounce import ArpabetPinyin
from cosyrt.voice.reference import mel_spec
from recipes.builtin_voice.teacher import SAMPLE_HZ, Espeak, Flite, TeacherError

SENTENCES = {language: Path(__file__).parent / f"sentences_{language}.txt" for language in ("en", "zh")}
LANGUAGES = {"en": "English", "zh": "Mandarin"}
TEACHER, COPY, TOKENS, TEXT = "teacher", "vocoder copy", "tokens → audio", "text → audio"
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One sentence as one stage made it, with the teacher's own audio where there is a teacher."""

    stage: str
    text: str
    audio: Audio
    teacher: Audio | None = None


class Chain:
    """A pipeline that can be entered at each of its stages, with one voice."""

    def __init__(self, tts: Pipeline, voice: Voice) -> None:
        self.tts, self.voice = tts, voice

    def vocoder_copy(self, audio: Audio) -> Audio:
        """Copy the audio through its own mel and the vocoder."""
        mel = log_mel(audio.resample(self.tts.sample_rate).samples, mel_spec(self.tts.model.folder))
        noise = torch.Generator().manual_seed(SEED)
        vocoder = OverlappingVocoderStream(self.tts.model.stages, self.tts.model.settings.vocoder, noise)
        samples = vocoder.push(torch.from_numpy(mel)[None].to(self.tts.device), True)
        return Audio(samples.cpu().numpy(), self.tts.sample_rate)

    def tokens_to_audio(self, audio: Audio) -> Audio:
        """Copy the audio through its own speech tokens, flow and vocoder."""
        return Audio.join(self.tts.run(Request(recording=audio, voice=self.voice, seed=SEED)))

    def text_to_audio(self, text: str) -> Audio:
        """Speak the text with all stages."""
        return self.tts.say(text, voice=self.voice, seed=SEED)

    def ways(self, text: str, teacher: Audio | None) -> dict[str, Callable[[], Audio]]:
        """Name every way to audio; without a teacher only the one that begins with the text."""
        whole = {TEXT: lambda: self.text_to_audio(text)}
        if teacher is None:
            return whole
        return {
            TEACHER: lambda: teacher,
            COPY: lambda: self.vocoder_copy(teacher),
            TOKENS: lambda: self.tokens_to_audio(teacher),
            **whole,
        }


class Bench:
    """One run of a measure: the pipeline, its teachers, the sentences, and where audio and progress go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tts = cosyrt.load(options.model, device=options.device)
        self.lines = {
            language: SENTENCES[language].read_text("utf-8").splitlines()[: options.limit]
            for language in LANGUAGES
        }
        self.teachers: dict[str, Flite | Espeak] = {}
        self.cannot: list[str] = []  # what this machine or this model keeps from being judged, in words
        self._find_teachers()

    def _find_teachers(self) -> None:
        kinds: dict[str, type[Flite | Espeak]] = {"en": Flite, "zh": Espeak}
        for language, kind in kinds.items():
            try:
                self.teachers[language] = kind()
            except (OSError, TeacherError) as error:
                self.cannot.append(
                    f"{LANGUAGES[language]}: no teacher ({error}), so only {TEXT} is judged, against nothing"
                )

    def chain(self, text: str) -> Chain:
        """Open the stages with the voice that was asked for, or the text's own."""
        return Chain(self.tts, self.tts.voices[self.options.voice or self.tts.default_voice(text)])

    def teach(self, language: str, text: str) -> Audio | None:
        """Let the language's teacher speak the sentence, where there is one."""
        teacher = self.teachers.get(language)
        return Audio(teacher.say(text, ArpabetPinyin()(text)).samples, SAMPLE_HZ) if teacher else None

    def spoken(self, language: str) -> Iterator[Spoken]:
        """Speak every sentence of the language by every stage."""
        chain = self.chain(self.lines[language][0])
        for number, text in enumerate(self.lines[language]):
            teacher = self.teach(language, text)
            for stage, way in chain.ways(text, teacher).items():
                with torch.inference_mode():
                    audio = way()
                self.keep(audio, f"{language}{number:03}-{stage.partition(' ')[0]}")
                yield Spoken(stage=stage, text=text, audio=audio, teacher=teacher)
            show_progress(f"{language} {number + 1}/{len(self.lines[language])}")

    def keep(self, audio: Audio, name: str) -> None:
        """Write the audio where it can be listened to, if that is wanted."""
        if self.options.keep:
            self.options.keep.mkdir(parents=True, exist_ok=True)
            audio.write(self.options.keep / f"{name}.wav")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every measure: what is judged, how much of it, and where the figures go."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="judge these files, not a model")
    parser.add_argument("--model", type=Path, help="a model folder; default: the built-in voice")
    parser.add_argument("--device")
    parser.add_argument("--voice", help="one voice for everything; default: the language's own")
    parser.add_argument("--limit", type=int, help="only the first sentences of each language")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write all audio there")


def show_progress(text: str) -> None:
    """Show one line that is written over, where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def print_unjudged(reasons: list[str]) -> None:
    """Print what could not be judged, and why."""
    for reason in reasons:
        print(f"Not judged: {reason}.")
