"""text → audio, top to bottom. Read this first.

    pieces of text → text tokens → [language model] → speech tokens → [flow] → mel → [vocoder] → samples
                                    speaking.py         chunks.py   mel_stream.py   audio_stream.py

Everything is a generator: asking for audio pulls tokens, closing it stops them. Nothing of an utterance is
kept on the pipeline, so that any number of utterances may run at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, takewhile
from pathlib import Path

import numpy as np
import torch

from cosyrt.audio import Audio
from cosyrt.checkpoint import ModelFolder
from cosyrt.engine.ahead import ahead
from cosyrt.engine.audio_stream import AudioStream
from cosyrt.engine.build import Description, build
from cosyrt.engine.chunks import ChunkPlan
from cosyrt.engine.mel_stream import Conditions, MelStream
from cosyrt.engine.speaking import Saying, speech_tokens
from cosyrt.engine.stages import Stages, eager
from cosyrt.engine.stretch import Stretch
from cosyrt.errors import SpeechError, TextError, UsageError, VoiceError, VoiceNotFound
from cosyrt.frontend.normalize import language_of, normalize
from cosyrt.frontend.sentences import whole_sentences
from cosyrt.frontend.split import iter_pieces
from cosyrt.frontend.tokenizer import TextTokenizer
from cosyrt.frontend.voice import Voice, VoiceEncoder, voices_of

BUILTIN = Path(__file__).parent.parent / "builtin"
TOKENS_AHEAD = 500  # 20 s of speech tokens may wait for the flow
MIN_SPEED, MAX_SPEED = 0.5, 2.0

END = -1  # follows the speech tokens of a piece, so that its last chunk need not wait for the next piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far `say` has come."""

    pieces_done: int
    pieces: int
    seconds: float  # of audio made so far


def load(folder: str | Path | None = None, *, device: str | None = None) -> Pipeline:
    """Load a model folder in the official layout; without one, the built-in voice.

    `device` is a torch device such as `cpu` or `cuda:0`; None takes CUDA when there is a GPU.

    Raises:
        ModelError: the folder, its description or its weights cannot be used.
        UsageError: no such device.
    """
    where = _device(device)
    opened = ModelFolder.open(BUILTIN if folder is None else folder)
    description, models = build(opened)
    return Pipeline(opened, description, eager(models.to(where)), where)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        there = torch.zeros(0, device=name)
        there.cpu()  # what gives nothing back, such as `meta`, cannot speak
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"the device {name!r} cannot be used: {reason}; try cpu") from error
    return there.device


class Pipeline:
    """A loaded model: says text, streams text, registers voices."""

    def __init__(
        self, folder: ModelFolder, description: Description, stages: Stages, device: torch.device
    ) -> None:
        self.folder = folder
        self.description = description
        self.stages = stages
        self.tokenizer = TextTokenizer.from_folder(folder.tokenizer_folder(), description.pronunciation)
        self.voices: dict[str, Voice] = voices_of(folder)
        # On a CPU the language model and the flow compete for the same cores and gain nothing side by side.
        self.overlap = device.type != "cpu"
        self._device = device
        self._conditions = Conditions(stages, device)
        self.plan = ChunkPlan(
            chunk_tokens=description.flow.encoder.chunk_tokens,
            lookahead_tokens=description.flow.encoder.lookahead_tokens,
        )

    @property
    def family(self) -> str:
        """Which CosyVoice: `cosyvoice2`."""
        return self.folder.family

    @property
    def device(self) -> str:
        """Where the models run."""
        return str(self._device)

    @property
    def sample_rate(self) -> int:
        """Samples a second of all audio made here."""
        return self.description.rates.sample_hz

    @cached_property
    def encoder(self) -> VoiceEncoder:
        """Turns reference audio into voices; its ONNX sessions are made on first use and kept."""
        return VoiceEncoder(self.folder)

    def voice_from(self, audio: Audio | str | Path, text: str, name: str = "reference") -> Voice:
        """A voice from reference audio (1 to 30 s) and its transcript.

        Raises:
            AudioError: the audio cannot be read or is unfit.
            ModelError: the folder lacks an encoder or it cannot be used.
        """
        return self.encoder.encode(audio if isinstance(audio, Audio) else Audio.read(audio), text, name)

    def default_voice(self, text: str) -> str:
        """The first voice of the text's language, else the first voice.

        Raises:
            VoiceError: the model comes without voices.
        """
        if not self.voices:
            raise VoiceError(
                f"{self.folder.path} comes without voices; give a reference clip and its transcript"
            )
        language = language_of(text)
        fitting = (name for name, voice in self.voices.items() if voice.language == language)
        return next(fitting, next(iter(self.voices)))

    def say(
        self,
        text: str,
        *,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        seed: int = 0,
        chunked: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> Audio:
        """Speak the whole text; the same seed gives the same audio again.

        Every frame sees its whole piece, as upstream does offline. With `chunked` it sees what it would see
        in `stream`: the samples are then those of the stream.

        Raises:
            TextError: nothing to speak. VoiceNotFound: no such voice. SpeechError: the models failed.
        """
        pieces = list(iter_pieces(text, self.tokenizer.count))
        utterance = Utterance(self, self._voice(voice, text), speed, seed, chunked=chunked, edges=False)
        samples: list[np.ndarray] = []
        for number, audio in enumerate(utterance.run(iter(pieces)), 1):
            samples.append(audio)
            if progress is not None:
                seconds = sum(map(len, samples)) / self.sample_rate
                progress(Progress(pieces_done=number, pieces=len(pieces), seconds=seconds))
        return Audio(np.concatenate(samples), self.sample_rate)

    def stream(
        self,
        text: str | Iterable[str],
        *,
        voice: str | Voice | None = None,
        speed: float = 1.0,
        seed: int = 0,
    ) -> Generator[Audio, None, None]:
        """Speak while the text is still being made: audio as soon as it is certain.

        `text` may be an iterable of parts, such as the output of a chat model; each sentence is spoken when
        it is complete. Closing the generator stops all work.

        Raises:
            TextError: nothing to speak. VoiceNotFound: no such voice. SpeechError: the models failed.
        """
        sentences = iter([text]) if isinstance(text, str) else whole_sentences(text)
        first = next(sentences, "")
        utterance = Utterance(self, self._voice(voice, first), speed, seed, chunked=True, edges=True)
        pieces = self._pieces(chain([first], sentences))
        with contextlib.closing(utterance.run(pieces)) as chunks:
            for samples in chunks:
                yield Audio(samples, self.sample_rate)

    def _pieces(self, parts: Iterator[str]) -> Iterator[str]:
        """The pieces of all parts; one that cannot be spoken is passed over, unless there are no others."""
        found, refused = False, TextError("the text is empty; give some words to say")
        for part in parts:
            try:
                for piece in iter_pieces(part, self.tokenizer.count):
                    found = True
                    yield piece
            except TextError as error:
                refused = error
        if not found:
            raise refused

    def _voice(self, voice: str | Voice | None, text: str) -> Voice:
        if voice is None:
            voice = self.default_voice(text)
        if isinstance(voice, str):
            if voice not in self.voices:
                known = ", ".join(self.voices) or "none"
                raise VoiceNotFound(f"no voice {voice!r}; this model has: {known}")
            voice = self.voices[voice]
        if voice.family != self.family:
            raise VoiceError(f"the voice {voice.name!r} is of {voice.family}, the model is {self.family}")
        vocabulary = self.description.flow.speech_vocabulary
        highest = int(voice.speech_tokens.max(initial=0))
        if highest >= vocabulary:
            raise VoiceError(
                f"the voice {voice.name!r} has the speech token {highest}, the model only {vocabulary}; "
                "make it again with this model"
            )
        return voice


class Utterance:
    """One call of `say` or `stream`: the voice, the random numbers, the way it is cut."""

    def __init__(
        self, pipeline: Pipeline, voice: Voice, speed: float, seed: int, *, chunked: bool, edges: bool
    ) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise UsageError(f"speed {speed:g} is out of range; choose {MIN_SPEED:g} to {MAX_SPEED:g}")
        self.pipeline, self.voice, self.speed = pipeline, voice, speed
        self.chunked, self.edges = chunked, edges
        self.drawing = torch.Generator(pipeline._device).manual_seed(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.condition = pipeline._conditions.of(voice)
        # Words and speech tokens go together: words alone would be spoken, speech alone would be continued.
        prompted = bool(voice.text) and len(voice.speech_tokens) > 0
        self.prompt_text = pipeline.tokenizer.encode(normalize(voice.text)) if prompted else []
        self.prompt_speech: list[int] = voice.speech_tokens.tolist() if prompted else []

    def run(self, pieces: Iterator[str]) -> Generator[np.ndarray, None, None]:  # float32 [N] each
        """Audio of all pieces: one array a piece, or one a chunk where edges are wanted."""
        tokens = self.tokens(pieces)
        if self.pipeline.overlap:
            tokens = ahead(tokens, TOKENS_AHEAD)
        with contextlib.closing(tokens):
            for first in tokens:
                yield from self.piece(takewhile(lambda token: token != END, chain([first], tokens)))

    def tokens(self, pieces: Iterator[str]) -> Generator[int, None, None]:
        """Speech tokens of one piece after another, END after each."""
        p = self.pipeline
        for piece in pieces:
            saying = Saying(p.tokenizer.encode(piece), self.prompt_text, self.prompt_speech)
            yield from speech_tokens(p.stages, p.description.speaking, saying, self.drawing, p._device)
            yield END

    def piece(self, tokens: Iterator[int]) -> Iterator[np.ndarray]:  # float32 [N] each
        """Audio of one piece: flow and vocoder run whenever the tokens reach an edge."""
        p = self.pipeline
        mels = MelStream(p.stages, p.description.flow, self.condition, chunked=self.chunked)
        sound = AudioStream(p.stages, p.description.vocoder, self.noise)
        stretch = Stretch(self.speed)
        spoken: list[int] = []
        edges = p.plan.edges(len(self.voice.speech_tokens)) if self.edges else iter(())
        edge = next(edges, None)
        for token in tokens:
            spoken.append(token)
            if edge is not None and len(spoken) == edge + p.plan.lookahead_tokens:
                yield from _audible(sound.push(stretch.push(mels.until(spoken, edge), False), False))
                edge = next(edges, None)
        yield from _audible(sound.push(stretch.push(mels.until(spoken, None), True), True))


def _audible(
    samples: torch.Tensor,  # [N]
) -> Iterator[np.ndarray]:  # float32 [N], if there are any
    if not torch.isfinite(samples).all():
        raise SpeechError("the models gave samples that are not finite; check the weights, or use float32")
    if len(samples):
        yield samples.float().cpu().numpy()
