"""`CosyvoiceRealTimeTTS`: the class of a CosyVoice 2 backend that many have copied, on our scheduler.

Its programs find every method and attribute that they use. What went wrong there silently is told here: a
failure is an error, not None. A text without a word stays None.
"""

from __future__ import annotations

import gc
import logging
import re
import time
import weakref
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cosyrt.arguments import check_kind
from cosyrt.audio import Audio
from cosyrt.compat.cosyvoice import AutoModel
from cosyrt.compat.recording import ARRAY_HZ, load_wav
from cosyrt.engine.request import Request
from cosyrt.engine.scheduler import Scheduler, SchedulerConfig
from cosyrt.engine.ticket import Ticket
from cosyrt.errors import AudioError, Busy, UsageError
from cosyrt.files import replace_file
from cosyrt.voice.voice import Voice

SHORT_CHARACTERS = 100  # below, speaking pieces side by side costs more than it brings
CLEAN_ABOVE = 0.8  # of the device's memory; cleaning after every piece makes the next one wait
SAMPLE_TEXT = (
    "这是一段测试语音，喂喂喂，你们听得到吗？让我看看啊别急"  # the transcript that the backend comes with
)

log = logging.getLogger(__name__)


class CosyvoiceRealTimeTTS:
    """One reference voice, whole audio out; the pieces of a long text may be spoken side by side.

    At most `max_queue` pieces of one text are under way at once. On a GPU the model runs in float16.
    `ref_wav` and `sample_text` may be assigned: the next call speaks with them.

    Raises:
        ModelError: the folder cannot be used. AudioError: the recording cannot be read.
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
        self.ref_wav = self._read = _reference(reference_audio_path)
        self._reference = reference_audio_path
        self.sample_text = SAMPLE_TEXT

    @cached_property
    def scheduler(self) -> Scheduler:
        """What speaks the pieces of all callers; its thread begins with the first text."""
        most = SchedulerConfig(max_active=self.max_queue, max_queue=self.max_queue)
        scheduler = Scheduler(self.cosyvoice.tts, most)
        weakref.finalize(self, scheduler.close)
        return scheduler

    def close(self) -> None:
        """Stop what is being spoken, and the thread that speaks it."""
        if "scheduler" in vars(self):
            self.scheduler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def generate_audio(
        self, text: str, use_clone: bool = True, max_workers: int | None = None
    ) -> tuple[NDArray[np.float32], int] | None:  # [N] with a peak of 1, samples a second
        """Speak the text in the reference voice, or without `use_clone` in the model's own, if it has one.

        None stands for a text without a word.

        Raises:
            SpeechError: the models failed. VoiceError: there is neither a reference nor a voice of the model.
        """
        return self._generated(text, self._voice(use_clone, text), max_workers)

    def generate_audio_with_speaker(
        self, text: str, spk_id: str, max_workers: int | None = None
    ) -> tuple[NDArray[np.float32], int] | None:  # [N] with a peak of 1, samples a second
        """Speak the text in a kept voice: one of the folder, or that `add_zero_shot_spk` added.

        Raises:
            VoiceNotFound: there is none of that name. SpeechError: the models failed.
        """
        return self._generated(text, self.cosyvoice.frontend.spk2info.voice(spk_id), max_workers)

    def text_to_speech(self, text: str, use_clone: bool = True, output_file: str | None = None) -> bool:
        """Speak the text into a WAV file, `audio/tts_output_….wav` without a name; False: it has no word.

        Raises:
            AudioError: the file cannot be written. Else as `generate_audio`.
        """
        made = self.generate_audio(text, use_clone)
        if made is None:
            return False
        self.audio_to_wav_file(*made, output_file or f"audio/tts_output_{datetime.now():%Y%m%d_%H%M%S}.wav")
        return True

    def audio_to_wav_bytes(
        self,
        audio_data: NDArray[Any],  # [N], or with channels first or last
        sample_rate: int,
    ) -> bytes:
        """A WAV file of 16 bits, in memory, with a peak of 1."""
        return Audio(_normalised(_mixed(audio_data)), sample_rate).to_bytes("wav")

    def audio_to_wav_file(
        self,
        audio_data: NDArray[Any],  # [N], or with channels first or last
        sample_rate: int,
        output_file: str,
    ) -> None:
        """Write a WAV file of 16 bits with a peak of 1, and the folders that it lies in.

        Raises:
            AudioError: it cannot be written.
        """
        path = Path(output_file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, self.audio_to_wav_bytes(audio_data, sample_rate))
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror or error}") from error

    def split_text_by_punctuation(self, text: str) -> list[str]:
        """Sentences with their marks; those without a word are left out."""
        found = (piece.strip() for piece in self._sentence_pattern.findall(text))
        return [piece for piece in found if self._word_pattern.search(piece)]

    def _voice(self, use_clone: bool, text: str) -> Voice:
        """The reference voice, or the model's own where that is asked for or there is no reference."""
        tts = self.cosyvoice.tts
        if use_clone and self.ref_wav is None:
            log.warning("there is no reference audio: the model's own voice speaks")
        if self.ref_wav is None or (tts.voices and not use_clone):
            return tts.voice(tts.default_voice(text))
        # A transcript of other words than the recording's would garble the speech; without one it is clear.
        transcript = self.sample_text if self.sample_text != SAMPLE_TEXT else ""
        # The file has the frequencies that samples at 16 kHz have not.
        as_read = self._reference if self.ref_wav is self._read else None
        return self.cosyvoice.frontend.voice_of(as_read or self.ref_wav, transcript)

    def _generated(
        self, text: str, voice: Voice, max_workers: int | None
    ) -> tuple[NDArray[np.float32], int] | None:
        check_kind(text, str, "the text", "give a str")
        pieces = self.split_text_by_punctuation(text)
        if not pieces:
            return None
        audio = Audio.join(self._spoken(pieces, voice, self._workers(text, max_workers)))
        self._clean()
        return _normalised(audio.samples), audio.rate

    def _clean(self) -> None:
        """Give memory back to the device when little of it is free."""
        if _memory_share(self.cosyvoice.tts.model.device) > CLEAN_ABOVE:
            gc.collect()
            torch.cuda.empty_cache()

    def _workers(self, text: str, asked: int | None) -> int:
        """How many pieces are spoken side by side: on a CPU one has all cores already."""
        if len(text) < SHORT_CHARACTERS:
            return 1
        return min(self.max_queue, asked or (1 if self.cosyvoice.tts.device == "cpu" else 2))

    def _spoken(self, pieces: list[str], voice: Voice, workers: int) -> Iterator[Audio]:
        """Audio of the pieces in their order, whichever is ready first."""
        under_way: deque[Ticket] = deque()
        try:
            for piece in pieces:
                if len(under_way) >= workers:
                    yield from under_way.popleft()
                under_way.append(self._submitted(Request(text=piece, voice=voice)))
            while under_way:
                yield from under_way.popleft()
        finally:
            for ticket in under_way:
                ticket.cancel()

    def _submitted(self, request: Request) -> Ticket:
        """Put a request to the scheduler, waiting while it has as many as it takes."""
        while True:
            try:
                return self.scheduler.submit(request)
            except Busy as busy:
                if self.scheduler.load().draining:
                    raise
                time.sleep(busy.retry_after_s)


def _reference(path: str | Path | None) -> Tensor | None:  # [1, N] at 16 kHz
    """The samples of the reference recording; None, with a warning, where there is no such file."""
    if path is None or not Path(path).is_file():
        if path is not None:
            log.warning("there is no reference audio at %s; the model's own voice will speak", path)
        return None
    return load_wav(path, ARRAY_HZ)


def _memory_share(device: torch.device) -> float:
    """How much of a GPU's memory torch holds; a CPU's is given back by itself."""
    if device.type != "cuda":
        return 0.0
    total = torch.cuda.get_device_properties(device).total_memory
    return torch.cuda.memory_reserved(device) / total


def _mixed(
    samples: NDArray[Any],  # [N], or with channels first or last
) -> NDArray[Any]:  # [N]
    samples = np.atleast_1d(np.asarray(samples, np.float32).squeeze())
    return samples if samples.ndim == 1 else samples.mean(int(np.argmin(samples.shape)))


def _normalised(
    samples: NDArray[np.float32],  # [N]
) -> NDArray[np.float32]:  # [N]
    """Scale samples to a peak of 1; silence stays."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / peak if peak else samples
