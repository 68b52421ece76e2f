"""Our engine, asked by `against_upstream.py`: python -m benchmarks.cosyrt_side FOLDER WAY THREADS"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks.side import Given, Watch, hops, memory_mb, serve
from cosyrt.accel.bench import way
from cosyrt.engine.mel_stream import MelStream
from cosyrt.engine.pipeline import Pipeline, load
from cosyrt.engine.session import Session
from cosyrt.engine.speaking import Saying, speech_tokens
from cosyrt.frontend.voice import Voice


class Ours:
    """What can be asked. Times are in seconds."""

    def __init__(self, pipeline: Pipeline, cache_bytes: int) -> None:
        self.pipeline, self.given = pipeline, Given()
        pipeline.conditions.cache_bytes = cache_bytes
        self.voice = Voice(
            name="given",
            speaker=self.given.speaker,
            speech_tokens=self.given.prompt_speech,
            mel=self.given.prompt_mel,
        )

    def tokens(self, count: int) -> Iterator[int]:
        """So many speech tokens of the text, as they are drawn."""
        p, given = self.pipeline, self.given
        ratio = count / len(given.text)
        exactly = replace(
            p.description.speaking, least_per_text=ratio, most_per_text=ratio, loop_tokens=1 << 30
        )
        saying = Saying(given.text.tolist(), given.prompt_text.tolist(), given.prompt_speech.tolist())
        draw = torch.Generator(p.where).manual_seed(0)
        return speech_tokens(p.stages, exactly, saying, draw, p.where)

    def session(self, *, stream: bool) -> Session:
        """A fresh one; what belongs to the voice is kept with it."""
        return Session(self.pipeline, self.voice, 1.0, 0, chunked=stream, edges=stream)

    def mels(self, *, stream: bool) -> MelStream:
        """Tokens to mel."""
        p = self.pipeline
        made = p.description.mels(p.stages, p.description.flow, p.conditions.of(self.voice), chunked=stream)
        assert isinstance(made, MelStream)
        return made

    def llm(self, count: int) -> float:
        """So many speech tokens."""
        watch = Watch()
        made = len(list(self.tokens(count)))
        assert made == count, made
        return watch.s

    def flow(self, count: int) -> float:
        """Tokens to mel in one piece, prompt included."""
        tokens = self.given.speech(count).tolist()
        watch = Watch()
        self.mels(stream=False).until(tokens, None)
        return watch.s

    def write_mel(self, count: int, path: str) -> None:
        """For comparison with the other side's."""
        mel = self.mels(stream=False).until(self.given.speech(count).tolist(), None)
        np.save(path, mel[0].float().cpu().numpy())

    def vocoder(self, frames: int) -> float:
        """Mel to samples."""
        p = self.pipeline
        mel = torch.tensor(self.given.mel(frames), device=p.where)[None]
        watch = Watch()
        p.description.sound(p.stages, p.description.vocoder, torch.Generator().manual_seed(0)).push(mel, True)
        return watch.s

    def utterance(self, count: int) -> float:
        """Text to samples, whole."""
        watch = Watch()
        samples = sum(map(len, self.session(stream=False).piece(self.tokens(count))))
        assert samples == 960 * count, samples
        return watch.s

    def first_audio(self, count: int) -> float:
        """Until the first chunk of a stream is there."""
        watch = Watch()
        next(self.session(stream=True).piece(self.tokens(count)))
        return watch.s

    def chunk(self, at: int) -> tuple[float, float]:
        """(seconds, seconds of audio) of the chunk of a stream that has that token: flow and vocoder."""
        p = self.pipeline
        plan, prompt = p.plan, len(self.voice.speech_tokens)
        start, end = hops(plan.edges(prompt), at)
        tokens = self.given.speech(end + plan.lookahead_tokens).tolist()
        mels = self._until(start, tokens)
        sound = p.description.sound(p.stages, p.description.vocoder, torch.Generator().manual_seed(0))
        sound.push(torch.full((1, 80, 50), -6.0, device=p.where), False)
        watch = Watch()
        sound.push(mels.until(tokens, end), False)
        return watch.s, (end - start) / 25

    def _until(self, start: int, tokens: list[int]) -> MelStream:
        """A stream that has come to that token, with its past as far as the budget goes."""
        mels = self.mels(stream=True)
        plan = self.pipeline.plan
        for edge in plan.edges(len(self.voice.speech_tokens)):
            if edge > start or mels.done_tokens == start:
                break
            mels.until(tokens[: edge + plan.lookahead_tokens], edge)
            if mels.past is not None and not self._will_fit(mels, start):
                mels.past = None
            if mels.past is None:
                mels.done_tokens = start  # what came before would be computed again anyway
        return mels

    def _will_fit(self, mels: MelStream, tokens: int) -> bool:
        """Whether the past of so many tokens stays within the budget."""
        assert mels.past is not None
        per_token = mels.past.bytes / mels.past.tokens
        return per_token * (len(self.voice.speech_tokens) + tokens) <= mels.condition.cache_bytes


def main(folder: str, name: str, threads: str, cache_gb: str) -> None:
    """Load, then answer."""
    torch.set_num_threads(int(threads))
    side = Ours(load(folder, device="cpu", accelerate=way(name)), int(float(cache_gb) * 1e9))
    names = ("llm", "flow", "vocoder", "utterance", "first_audio", "chunk", "write_mel")
    serve({"memory_mb": memory_mb} | {each: getattr(side, each) for each in names})


if __name__ == "__main__":
    main(*sys.argv[1:])
