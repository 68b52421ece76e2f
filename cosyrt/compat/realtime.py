"""`CosyvoiceRealTimeTTS`: the class of a CosyVoice 2 backend that many have copied, on our engine."""

from __future__ import annotations

import gc
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from cosyrt.audio import Audio
from cosyrt.compat.cosyvoice import AutoModel
from cosyrt.errors import TextError, UsageError
from cosyrt.voice.voice import Voice

SHORT_CHARACTERS = 100  # below, threads cost more than they bring
CLEAN_ABOVE = 0.8  # of the device's memory; cleaning after every piece makes the next one wait


class CosyvoiceRealTimeTTS:
    """One reference voice, whole audio out; a long text may be spoken by several threads.

    At most `max_queue` pieces are under way at once. On a GPU the model runs in float16.

    Raises:
        ModelError: the folder cannot be used. AudioError: the recording cannot.
        ArchiveError: `load_jit` without archives that fit.
        UsageError: `max_queue` below 1.
    """

    _sentence_pattern = re.compile(r"[^。！？!?；;]*[。！？!?；;]?")
    _word_pattern = re.compile(r"\w")

    def __init__(
        self,
        model_path: str | Path,
        reference_audio_path: str | Path | None = None,
        max_queue: int = 10,
        load_jit: bool = False,
    ) -> None:
        if max_queue < 1:
            raise UsageError(
                f"max_queue is {max_queue}; at least one piece must be under way, give 1 or more"
            )
        self.max_queue = max_queue
        self.cosyvoice = AutoModel(
            model_dir=str(model_path), load_jit=load_jit, fp16=torch.cuda.is_available()
        )
        self.sample_rate = self.cosyvoice.sample_rate
        self.reference: Voice | None = None
        if reference_audio_path is not None:
            self.reference = self.cosyvoice.tts.voice_from(reference_audio_path, "")

    def generate_audio(
        self, text: str, use_clone: bool = True, max_workers: int | None = None
    ) -> tuple[np.ndarray, int]:  # float32 [N], samples a second
        """Speak the text in the reference voice, or without `use_clone` in the model's own.

        Raises:
            TextError: nothing to speak. SpeechError: the models failed.
            UsageError: `use_clone` without a reference.
        """
        if use_clone and self.reference is None:
            raise UsageError("use_clone needs reference_audio_path; give it, or use_clone=False")
        voice = self.reference if use_clone else None
        pieces = self.split_text_by_punctuation(text)
        if not pieces:
            raise TextError(f"nothing in {text.strip()[:40]!r} can be spoken; give some words to say")
        audio = Audio.join(self._spoken(pieces, voice, self._workers(text, max_workers)))
        self._clean()
        return audio.samples, audio.rate

    def split_text_by_punctuation(self, text: str) -> list[str]:
        """Sentences with their marks; those without a word are left out."""
        found = (piece.strip() for piece in self._sentence_pattern.findall(text))
        return [piece for piece in found if self._word_pattern.search(piece)]

    def _workers(self, text: str, asked: int | None) -> int:
        """On a CPU one piece has all cores already; a GPU is filled by two."""
        if len(text) < SHORT_CHARACTERS:
            return 1
        return asked or (1 if self.cosyvoice.tts.device == "cpu" else 2)

    def _spoken(self, pieces: list[str], voice: Voice | None, workers: int) -> Iterator[Audio]:
        """Audio of the pieces in their order, whichever is ready first."""
        tts = self.cosyvoice.tts
        if workers == 1:
            yield from (tts.say(piece, voice=voice) for piece in pieces)
            return
        with ThreadPoolExecutor(workers, "cosyrt-piece") as pool:
            under_way: deque[Future[Audio]] = deque()
            try:
                for piece in pieces:
                    under_way.append(pool.submit(tts.say, piece, voice=voice))
                    if len(under_way) >= self.max_queue:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for future in under_way:
                    future.cancel()

    def _clean(self) -> None:
        """Give memory back to the device when little of it is free."""
        if _memory_share(self.cosyvoice.tts.model.device) > CLEAN_ABOVE:
            gc.collect()
            torch.cuda.empty_cache()


def _memory_share(device: torch.device) -> float:
    """How much of a GPU's memory torch holds; a CPU's is given back by itself."""
    if device.type != "cuda":
        return 0.0
    total = torch.cuda.get_device_properties(device).total_memory
    return torch.cuda.memory_reserved(device) / total
