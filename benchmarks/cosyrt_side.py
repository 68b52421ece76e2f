"""Our engine, asked by `against_upstream.py`: python -m benchmarks.cosyrt_side FOLDER WAY THREADS"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain, takewhile

import numpy as np
import torch

from benchmarks.side import Given, Watch, hops, memory_mb, serve
from cosyrt.accel.registry import PLAN
from cosyrt.engine.audio_stream import AudioStream
from cosyrt.engine.decoding import LanguageModelInput, complete
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.model import Model
from cosyrt.engine.pipeline import Pipeline
from cosyrt.engine.request import Request
from cosyrt.engine.speech_tokens import speech_tokens
from cosyrt.engine.token_stream import END
from cosyrt.engine.turns import voiced
from cosyrt.engine.vocoder_stream import VocoderStream
from cosyrt.families import COSYVOICE3
from cosyrt.lab.bench import run_by
from cosyrt.voice.voice import Voice

PLAN_EXACT = "plan-exact"  # the backends of a plan without what else was allowed


class Ours:
    """Our pipeline, and the requests it answers; times are in seconds."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.given = pipeline, Given(marked=pipeline.family == COSYVOICE3.name)
        self.voice = Voice(
            name="given",
            speaker=self.given.speaker,
            speech_tokens=self.given.prompt_speech,
            mel=self.given.prompt_mel,
        )

    def tokens(self, count: int) -> Iterator[int]:
        """Draw that many speech tokens of the text."""
        p, given = self.pipeline, self.given
        ratio = count / len(given.text)
        exactly = replace(
            p.model.settings.decoding, least_per_text=ratio, most_per_text=ratio, repetition_window=1 << 30
        )
        saying = LanguageModelInput(
            given.text.tolist(), given.prompt_text.tolist(), given.prompt_speech.tolist()
        )
        draw = torch.Generator().manual_seed(0)
        return speech_tokens(p.model.stages, complete(exactly, saying), draw, p.model.device)

    def voiced(self, count: int, *, stream: bool) -> Iterator[np.ndarray]:  # float32 [N] each
        """Speak that many speech tokens; the pipeline keeps what belongs to the voice."""
        p = self.pipeline
        request = Request(voice=self.voice, streamed=stream)
        noise = torch.Generator().manual_seed(request.seed)
        audio = AudioStream(p.model, request, p.conditions.of(self.voice), noise)
        with closing(audio):  # whose cache is large
            made = voiced(audio, chain(self.tokens(count), [END]))
            yield from (each for each in made if isinstance(each, np.ndarray))

    def mels(self, *, stream: bool) -> MelStream:
        """Make a stream from tokens to mel."""
        p = self.pipeline
        made = p.model.settings.mel_stream(
            p.model.stages, p.model.settings.flow, p.conditions.of(self.voice), chunked=stream
        )
        assert isinstance(made, MelStream)
        return made

    def llm(self, count: int) -> float:
        """Time that many speech tokens."""
        watch = Watch()
        made = len(list(self.tokens(count)))
        assert made == count, made
        return watch.s

    def flow(self, count: int) -> float:
        """Time tokens to mel in one piece, prompt included."""
        tokens = self.given.speech(count).tolist()
        watch = Watch()
        self.mels(stream=False).until(tokens, None)
        return watch.s

    def write_mel(self, count: int, path: str) -> None:
        """Write a mel for comparison with the other side's."""
        mel = self.mels(stream=False).until(self.given.speech(count).tolist(), None)
        np.save(path, mel[0].float().cpu().numpy())

    def vocoder(self, frames: int) -> float:
        """Time mel to samples."""
        mel = torch.tensor(self.given.mel(frames), device=self.pipeline.model.device)[None]
        watch = Watch()
        self.sound().push(mel, True)
        return watch.s

    def utterance(self, count: int) -> float:
        """Time text to samples, whole."""
        watch = Watch()
        samples = sum(map(len, self.voiced(count, stream=False)))
        assert samples == 960 * count, samples
        return watch.s

    def first_audio(self, count: int) -> float:
        """Time until the first chunk of a stream is there."""
        watch = Watch()
        next(self.voiced(count, stream=True))
        return watch.s

    def chunk(self, at: int) -> tuple[float, float]:
        """(seconds, seconds of audio) of the chunk of a stream that has that token: flow and vocoder."""
        start, end = hops(self.boundaries(), at)
        tokens = self.given.speech(end + self.pipeline.model.settings.chunking.lookahead_tokens).tolist()
        mels = self.arrived(start, tokens)
        sound = self.sound()
        sound.push(torch.full((1, 80, 50), -6.0, device=self.pipeline.model.device), False)
        watch = Watch()
        sound.push(mels.until(tokens, end), False)
        return watch.s, (end - start) / 25

    def arrived(self, start: int, tokens: list[int]) -> MelStream:
        """Run a stream up to a token."""
        mels = self.mels(stream=True)
        for boundary in takewhile(lambda boundary: boundary <= start, self.boundaries()):
            mels.until(tokens[: boundary + self.pipeline.model.settings.chunking.lookahead_tokens], boundary)
        return mels

    def stream(self, count: int) -> float:
        """Time flow and vocoder of a stream of that many tokens, with a known voice."""
        tokens = self.given.speech(count).tolist()
        ahead = self.pipeline.model.settings.chunking.lookahead_tokens
        mels, sound = self.mels(stream=True), self.sound()
        watch = Watch()
        for boundary in takewhile(lambda boundary: boundary + ahead <= count, self.boundaries()):
            sound.push(mels.until(tokens[: boundary + ahead], boundary), False)
        sound.push(mels.until(tokens, None), True)
        return watch.s

    def boundaries(self) -> Iterator[int]:
        """Ends of the chunks of a stream."""
        return self.pipeline.model.settings.chunking.boundaries(len(self.voice.speech_tokens))

    def sound(self) -> VocoderStream:
        """Make a stream from mel to samples."""
        p = self.pipeline
        return p.model.settings.vocoder_stream(
            p.model.stages, p.model.settings.vocoder, torch.Generator().manual_seed(0)
        )


def without_approximations(model: Model) -> Model:
    """Take the model's own solver and whole pieces, whatever a plan says."""
    flow = replace(model.settings.flow, approximation=None)
    return replace(model, settings=replace(model.settings, flow=flow), chunked=False)


def main(folder: str, name: str, threads: str, cache_gb: str = "") -> None:
    """Load the model, then answer requests."""
    torch.set_num_threads(int(threads))
    model = run_by(PLAN if name == PLAN_EXACT else name)(Model.open(folder, "cpu"))
    side = Ours(Pipeline(without_approximations(model) if name == PLAN_EXACT else model))
    if cache_gb:
        side.pipeline.conditions.cache_bytes = int(float(cache_gb) * 1e9)
    names = ("llm", "flow", "vocoder", "utterance", "first_audio", "chunk", "stream", "write_mel")
    serve({"memory_mb": memory_mb} | {each: getattr(side, each) for each in names})


if __name__ == "__main__":
    main(*sys.argv[1:])
