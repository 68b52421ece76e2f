"""Upstream's classes, asked by `against_upstream.py`: python -m benchmarks.upstream_side CHECKOUT FOLDER.

Runs in an environment with upstream's own requirements. What they need and speech does not (torchaudio, the
loggers of Matcha-TTS) is replaced by empty modules where it is not installed.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.side import FRAMES_PER_TOKEN, Given, Watch, hops, memory_mb, serve

UNUSED = ("torchaudio", "torchaudio.compliance", "torchaudio.compliance.kaldi", "torchaudio.transforms")
HOP, LONGEST_HOP = 25, 100
HELD_BACK_FRAMES = 8  # by the vocoder of CosyVoice 3, of each chunk


def stand_in(name: str, **names: Any) -> None:
    """Put an empty module in the place of a missing one."""
    module = ModuleType(name)
    vars(module).update(names, __path__=[])
    sys.modules[name] = module


def load(checkout: Path, folder: Path) -> Any:
    """Upstream's CosyVoice2Model or CosyVoice3Model with the weights of a folder."""
    import transformers

    sys.path[:0] = [str(checkout), str(checkout / "third_party" / "Matcha-TTS")]
    if find_spec("torchaudio") is None:
        for name in UNUSED:
            stand_in(name, Spectrogram=None)
    if find_spec("lightning") is None:
        stand_in("matcha.utils")
        stand_in("matcha.utils.pylogger", get_pylogger=logging.getLogger)

    def from_config(path: str, **_: Any) -> Any:  # llm.pt brings the weights, there are no others
        config = transformers.Qwen2Config.from_pretrained(folder / "CosyVoice-BlankEN")
        return transformers.Qwen2ForCausalLM(config)

    transformers.Qwen2ForCausalLM.from_pretrained = from_config
    from cosyvoice.cli import model as models
    from hyperpyyaml import load_hyperpyyaml

    (description,) = folder.glob("cosyvoice[23].yaml")
    with description.open(encoding="utf-8") as file:
        parts = load_hyperpyyaml(file)
    kind = models.CosyVoice3Model if description.stem.endswith("3") else models.CosyVoice2Model
    model = kind(parts["llm"], parts["flow"], parts["hift"])
    model.load(*(str(folder / f"{name}.pt") for name in ("llm", "flow", "hift")))
    return model


class Upstream:
    """Upstream's model, and the requests it answers; times are in seconds."""

    def __init__(self, model: Any) -> None:
        self.is_3 = type(model).__name__ == "CosyVoice3Model"
        self.model, given = model, Given(marked=self.is_3)
        self.given = given
        self.prompt_text, self.text = (
            torch.tensor(each)[None].int() for each in (given.prompt_text, given.text)
        )
        self.prompt = torch.tensor(given.prompt_speech)[None].int()
        self.prompt_mel = torch.tensor(given.prompt_mel)[None]
        self.speaker = torch.tensor(given.speaker)[None]
        self.plain_inference = model.llm.inference
        if self.is_3:
            self.never_stop(model.llm)

    @staticmethod
    def never_stop(llm: Any) -> None:
        """Keep a language model from its stop tokens, of which the random one of CosyVoice 3 has many."""
        plain = llm.sampling_ids

        def spoken(scores: torch.Tensor, *rest: Any, **named: Any) -> Any:
            scores[llm.speech_token_size :] = -float("inf")
            return plain(scores, *rest, **named)

        llm.sampling_ids = spoken

    def speak_exactly(self, count: int) -> None:
        """Make the language model speak exactly that many tokens of the text."""
        ratio = count / self.text.shape[1]
        self.model.llm.inference = partial(
            self.plain_inference, min_token_text_ratio=ratio, max_token_text_ratio=ratio
        )

    def llm(self, count: int) -> float:
        """Time that many speech tokens."""
        self.speak_exactly(count)
        watch = Watch()
        made = list(
            self.model.llm.inference(
                text=self.text,
                text_len=length(self.text),
                prompt_text=self.prompt_text,
                prompt_text_len=length(self.prompt_text),
                prompt_speech_token=self.prompt,
                prompt_speech_token_len=length(self.prompt),
                embedding=self.speaker,
            )
        )
        assert len(made) == count, len(made)
        return watch.s

    def mel(self, count: int) -> torch.Tensor:  # [1, 80, M]
        """Compute the mel of that many tokens in one piece."""
        token = torch.tensor(self.given.speech(count))[None].int()
        mel, _ = self.model.flow.inference(
            token=token,
            token_len=length(token),
            prompt_token=self.prompt,
            prompt_token_len=length(self.prompt),
            prompt_feat=self.prompt_mel,
            prompt_feat_len=length(self.prompt_mel),
            embedding=self.speaker,
            streaming=False,
            finalize=True,
        )
        return mel

    def flow(self, count: int) -> float:
        """Time tokens to mel in one piece, prompt included."""
        watch = Watch()
        self.mel(count)
        return watch.s

    def write_mel(self, count: int, path: str) -> None:
        """Write a mel for comparison with the other side's."""
        np.save(path, self.mel(count)[0].numpy())

    def vocoder(self, frames: int) -> float:
        """Time mel to samples."""
        mel = torch.tensor(self.given.mel(frames))[None]
        rest = {"finalize": True} if self.is_3 else {"cache_source": torch.zeros(1, 1, 0)}
        watch = Watch()
        self.model.hift.inference(speech_feat=mel, **rest)
        return watch.s

    def speech(self, count: int, *, stream: bool) -> Iterator[dict[str, torch.Tensor]]:
        """Speak by upstream's own `tts`."""
        self.speak_exactly(count)
        self.model.token_hop_len = HOP  # it grows with every stream, and nobody sets it back
        return self.model.tts(
            text=self.text,
            flow_embedding=self.speaker,
            llm_embedding=self.speaker,
            prompt_text=self.prompt_text,
            llm_prompt_speech_token=self.prompt,
            flow_prompt_speech_token=self.prompt,
            prompt_speech_feat=self.prompt_mel,
            stream=stream,
        )

    def utterance(self, count: int) -> float:
        """Time text to samples, whole."""
        watch = Watch()
        samples = sum(part["tts_speech"].shape[1] for part in self.speech(count, stream=False))
        assert samples == 960 * count, samples
        return watch.s

    def first_audio(self, count: int) -> float:
        """Time until the first chunk of a stream is there; the language model's thread is joined after it."""
        watch = Watch()
        speech = self.speech(count, stream=True)
        next(speech)
        seconds = watch.s
        for thread in set(threading.enumerate()) - {threading.main_thread()}:
            thread.join()
        return seconds

    def chunk(self, at: int) -> tuple[float, float]:
        """(seconds, seconds of audio) of the chunk of a stream that has that token: flow and vocoder."""
        start, end = hops(_edges(), at)
        joint = _all_mel(start) if self.is_3 else _joint(self.model)
        self.model.hift_cache_dict["chunk"] = None if start == 0 else joint
        watch = Watch()
        self.sound(start, end + self.model.flow.pre_lookahead_len)
        return watch.s, (end - start) / HOP

    def stream(self, count: int) -> float:
        """Time flow and vocoder of a stream of that many tokens, with a known voice."""
        ahead, start = self.model.flow.pre_lookahead_len, 0
        self.model.hift_cache_dict["chunk"] = None
        watch = Watch()
        for end in takewhile(lambda boundary: boundary + ahead <= count, _edges()):
            self.sound(start, end + ahead)
            start = end
        self.sound(start, count, finalize=True)
        return watch.s

    def sound(self, start: int, given: int, *, finalize: bool = False) -> None:
        """Samples from a token on, when so many are there."""
        self.model.token2wav(
            token=torch.tensor(self.given.speech(given))[None],
            prompt_token=self.prompt,
            prompt_feat=self.prompt_mel,
            embedding=self.speaker,
            token_offset=start,
            uuid="chunk",
            stream=True,
            finalize=finalize,
        )


def length(tensor: torch.Tensor) -> torch.Tensor:
    """Length as upstream's tensors want it."""
    return torch.tensor([tensor.shape[1]], dtype=torch.int32)


def _edges() -> Iterator[int]:
    """Ends of upstream's chunks for a prompt of whole chunks: hops of 25, 50, 100, 100 …"""
    boundary, hop = 0, HOP
    while True:
        boundary += hop
        yield boundary
        hop = min(LONGEST_HOP, 2 * hop)


def _all_mel(start: int) -> dict[str, Any]:
    """What upstream's CosyVoice 3 keeps for its vocoder: all of the mel, which is decoded again each time."""
    frames = FRAMES_PER_TOKEN * start
    return {"mel": torch.full((1, 80, frames), -6.0), "speech_offset": 480 * (frames - HELD_BACK_FRAMES)}


def _joint(model: Any) -> dict[str, torch.Tensor]:
    """Overlap that upstream's vocoder keeps of the chunk before."""
    frames, samples = model.mel_cache_len, model.source_cache_len
    return {
        "mel": torch.full((1, 80, frames), -6.0),
        "source": torch.zeros(1, 1, samples),
        "speech": torch.zeros(1, samples),
    }


def main(checkout: str, folder: str, threads: str) -> None:
    """Load the model, then answer requests."""
    torch.set_num_threads(int(threads))
    side = Upstream(load(Path(checkout).resolve(), Path(folder)))
    names = ("llm", "flow", "vocoder", "utterance", "first_audio", "chunk", "stream", "write_mel")
    serve({"memory_mb": memory_mb} | {name: getattr(side, name) for name in names})


if __name__ == "__main__":
    with torch.inference_mode():
        main(*sys.argv[1:])
