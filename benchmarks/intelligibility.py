"""Is the voice understood? At each stage, against the teacher that the built-in voice learned from.

    python -m benchmarks.intelligibility [--limit N] [--health 200] [--json FILE] [--model FOLDER]

English: word errors of a recogniser. Mandarin: distance of the sound to the teacher's own.
Needs pocketsphinx, flite and espeak-ng with their Debian libraries.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import cosyrt
from benchmarks import health
from benchmarks.distance import distance_db
from benchmarks.recogniser import Recogniser, interval, word_errors, words
from benchmarks.report import machine, table, write_json
from cosyrt import Audio, Pipeline, Voice
from cosyrt.engine.request import Request
from cosyrt.engine.vocoder_stream import OverlappingVocoderStream
from cosyrt.mel import log_mel
from cosyrt.text.pronounce import ArpabetPinyin
from cosyrt.voice.reference import ENCODER_HZ, mel_spec, speech_tokens
from recipes.builtin_voice.teacher import SAMPLE_HZ, Espeak, Flite

SENTENCES = {language: Path(__file__).parent / f"sentences_{language}.txt" for language in ("en", "zh")}
SEED = 0


class Chain:
    """A pipeline that can be entered at each of its stages, with one voice."""

    def __init__(self, tts: Pipeline, voice: Voice) -> None:
        self.tts, self.voice = tts, voice

    def vocoder_copy(self, audio: Audio, _text: str) -> Audio:
        """The audio's own mel through the vocoder."""
        mel = log_mel(audio.resample(self.tts.sample_rate).samples, mel_spec(self.tts.model.folder))
        noise = torch.Generator().manual_seed(SEED)
        vocoder = OverlappingVocoderStream(self.tts.model.stages, self.tts.model.settings.vocoder, noise)
        samples = vocoder.push(torch.from_numpy(mel)[None].to(self.tts.device), True)
        return Audio(samples.cpu().numpy(), self.tts.sample_rate)

    def tokens_to_audio(self, audio: Audio, _text: str) -> Audio:
        """The audio's own speech tokens through flow and vocoder."""
        tokens = speech_tokens(self.tts.model.folder, audio.resample(ENCODER_HZ).samples).tolist()
        utterance = self.tts.utterance(Request(voice=self.voice, seed=SEED))
        return Audio(np.concatenate(list(utterance.piece(iter(tokens)))), self.tts.sample_rate)

    def text_to_audio(self, _audio: Audio, text: str) -> Audio:
        """Everything, from the text alone."""
        return self.tts.say(text, voice=self.voice, seed=SEED)

    def stages(self) -> dict[str, Callable[[Audio, str], Audio]]:
        """All ways through, the teacher's own audio first."""
        return {
            "teacher": lambda audio, _text: audio,
            "vocoder copy": self.vocoder_copy,
            "tokens → audio": self.tokens_to_audio,
            "text → audio": self.text_to_audio,
        }


class Bench:
    """One run: the pipeline, the sentences, and where audio and progress go."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tts = cosyrt.load(options.model, device=options.device)
        self.pronounce = ArpabetPinyin()
        self.lines = {
            language: path.read_text("utf-8").splitlines()[: options.limit]
            for language, path in SENTENCES.items()
        }
        self.teachers: dict[str, Flite | Espeak] = {"en": Flite(), "zh": Espeak()}

    def chain(self, text: str) -> Chain:
        """The stages with the voice that was asked for, or the text's own."""
        return Chain(self.tts, self.tts.voices[self.options.voice or self.tts.default_voice(text)])

    def through(self, language: str) -> Iterator[tuple[str, str, Audio, Audio]]:
        """Stage, text, the teacher's audio and the stage's audio, for every sentence and stage."""
        chain = self.chain(self.lines[language][0])
        for number, text in enumerate(self.lines[language]):
            spoken = self.teachers[language].say(text, self.pronounce(text))
            teacher = Audio(spoken.samples, SAMPLE_HZ)
            for stage, run in chain.stages().items():
                with torch.inference_mode():
                    audio = run(teacher, text)
                self.keep(audio, f"{language}{number:03}-{stage.partition(' ')[0]}")
                yield stage, text, teacher, audio
            _show_progress(f"{language} {number + 1}/{len(self.lines[language])}")

    def keep(self, audio: Audio, name: str) -> None:
        """Write the audio where it can be listened to, if that is wanted."""
        if self.options.keep:
            self.options.keep.mkdir(parents=True, exist_ok=True)
            audio.write(self.options.keep / f"{name}.wav")

    def english(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Word error rates by stage, and what was heard of each sentence."""
        recogniser = Recogniser()
        heard: list[dict[str, Any]] = [
            {"stage": stage, "said": words(text), "heard": recogniser.words(audio)}
            for stage, text, _, audio in self.through("en")
        ]
        for item in heard:
            item["errors"] = word_errors(item["said"], item["heard"])
        stages: dict[str, list[dict[str, Any]]] = {}
        for item in heard:
            stages.setdefault(item["stage"], []).append(item)
        return [_error_row(stage, items, stages["teacher"]) for stage, items in stages.items()], heard

    def mandarin(self) -> list[dict[str, Any]]:
        """Distances to the teacher and durations against the teacher's, by stage."""
        measured: dict[str, list[tuple[float, float]]] = {}
        for stage, _, teacher, audio in self.through("zh"):
            if stage != "teacher":
                figures = distance_db(audio, teacher), audio.seconds / teacher.seconds
                measured.setdefault(stage, []).append(figures)
        copy_db = float(np.mean(measured["vocoder copy"], axis=0)[0])
        return [_distance_row(stage, np.asarray(figures), copy_db) for stage, figures in measured.items()]

    def health(self, count: int) -> list[dict[str, Any]]:
        """The texts that were not spoken healthily, and what was wrong."""
        failing = []
        for number, text in enumerate(health.sentences(self.lines["en"], self.lines["zh"], count)):
            audio = self.chain(text).text_to_audio(Audio(np.zeros(1, np.float32), 1), text)
            self.keep(audio, f"health{number:03}")
            if wrong := list(health.complaints(audio, text)):
                failing.append({"number": number, "text": text, "wrong": "; ".join(wrong)})
            _show_progress(f"health {number + 1}/{count}, {len(failing)} failing")
        return failing


def _error_row(stage: str, items: list[dict[str, Any]], teacher: list[dict[str, Any]]) -> dict[str, Any]:
    """Word error rate and its ratio to the teacher's, each with its interval."""
    errors, teachers = [item["errors"] for item in items], [item["errors"] for item in teacher]
    lengths = [len(item["said"]) for item in items]
    low, high = interval(errors, lengths)
    ratio_low, ratio_high = interval(errors, teachers)
    return {
        "stage": stage,
        "words": sum(lengths),
        "errors": sum(errors),
        "wer": sum(errors) / sum(lengths),
        "low": low,
        "high": high,
        "to teacher": _ratio(sum(errors), sum(teachers)),
        "ratio low": ratio_low,
        "ratio high": ratio_high,
    }


def _distance_row(
    stage: str,
    figures: NDArray[np.float64],  # [sentences, 2]: distance in dB, duration against the teacher's
    copy_db: float,
) -> dict[str, Any]:
    distance_db, duration = figures.mean(0).tolist()
    return {
        "stage": stage,
        "sentences": len(figures),
        "distance_db": distance_db,
        "worst_db": float(figures[:, 0].max()),
        "duration": duration,
        "to vocoder copy": _ratio(distance_db, copy_db),
    }


def _ratio(one: float, other: float) -> float | None:
    return one / other if other else None


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder; default: the built-in voice")
    parser.add_argument("--device")
    parser.add_argument("--voice", help="one voice for everything; default: the language's own")
    parser.add_argument("--limit", type=int, help="only the first sentences of each language")
    parser.add_argument("--health", type=int, default=0, metavar="N", help="check N texts for faults as well")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write all audio there")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, write; 1 if a text was not spoken healthily."""
    options = options_of()
    bench = Bench(options)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    english, heard = bench.english()
    print(f"\nEnglish, word error rate and its 95 % interval\n{table(english)}")
    mandarin = bench.mandarin()
    print(f"\nMandarin, mel-cepstral distance to the teacher and duration against it\n{table(mandarin)}")
    failing = bench.health(options.health)
    if options.health:
        healthy = f"{options.health - len(failing)} of {options.health}"
        print(f"\n{healthy} texts are spoken healthily\n{table(failing)}")
    if options.json:
        figures = {"english": english, "mandarin": mandarin, "heard": heard}
        write_json(options.json, **figures, health={"texts": options.health, "failing": failing})
    return int(bool(failing))


if __name__ == "__main__":
    sys.exit(main())
