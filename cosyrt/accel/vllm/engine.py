"""A vLLM engine in a process of its own: the language model reads there, all else runs here.

    submit → embeddings from our tables → worker.py → tokens → Generation

The process ends with this one. Should it die before, what it was speaking ends with an error, and all that
comes after is read by the plain stages.
"""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
import torch
from numpy.typing import NDArray

import cosyrt
from cosyrt.accel.vllm.wire import messages, send
from cosyrt.engine.decoding import PrefillInput
from cosyrt.engine.sampling import NOTHING
from cosyrt.engine.token_engine import Generation, TokenRequest
from cosyrt.errors import MissingDependency, SpeechError, reason_in
from cosyrt.models.llm import SpeechLanguageModel

STOPPING_S = 10.0
Embed = Callable[[PrefillInput], NDArray[np.float32]]  # → [P, D]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmConfig:
    """What the worker is told, and how long its start may take."""

    dtype: str = "float32"
    max_requests: int = 16
    max_positions: int = 4096  # of one utterance; a longer one is read by the plain stages
    cache_bytes: int = 1 << 30
    eager: bool = True  # without compilation, which takes minutes at the first start
    start_s: float = 600.0

    def options(self, folder: Path) -> str:
        """The arguments of the worker for the model in a folder."""
        given = {
            name: getattr(self, name)
            for name in ("dtype", "max_requests", "max_positions", "cache_bytes", "eager")
        }
        return json.dumps(given | {"folder": str(folder)})


def embedder(llm: SpeechLanguageModel) -> Embed:
    """Embeds a prompt with the tables of a language model."""

    @torch.inference_mode()
    def embed(given: PrefillInput) -> NDArray[np.float32]:
        device = llm.llm_decoder.weight.device
        text, speech = (
            torch.tensor([each], dtype=torch.long, device=device) for each in (given.text, given.speech)
        )
        embedded: NDArray[np.float32] = llm.prompt(text, speech)[0].float().cpu().numpy()
        return embedded

    return embed


class VllmGeneration:
    """Tokens of one request, as the worker sends them."""

    def __init__(self, engine: VllmEngine, name: str) -> None:
        self.engine, self.name = engine, name
        self.came: deque[int | SpeechError] = deque()
        self.log_probabilities: list[NDArray[np.float32]] = []  # [tokens, V], where they were asked for
        self.over = False

    def take(self) -> int | SpeechError | None:
        """The next token; why there will be none; None: nothing has come yet."""
        return self.came.popleft() if self.came else None

    def cancel(self) -> None:
        """Want no more tokens; nothing happens where all have come."""
        self.engine.cancel(self)


class VllmEngine:
    """The worker process, and the requests that it has; any thread may call it."""

    def __init__(self, command: Sequence[str], embed: Embed, config: VllmConfig) -> None:
        """Start a worker and wait until it has loaded the model.

        Raises:
            MissingDependency: it cannot be started, or has another version of cosyrt.
        """
        self.config, self.embed = config, embed
        self._changed = threading.Condition()  # of all below
        self._generations: dict[str, VllmGeneration] = {}
        self._numbers = itertools.count()
        self._ready: dict[str, Any] = {}
        self._dead = ""  # why it is not running any more
        self._writing = threading.Lock()
        self._process, errors = _started(command)
        self.close = weakref.finalize(self, _stop, self._process)
        threading.Thread(target=_listen, args=[weakref.ref(self), self._process, errors], daemon=True).start()
        self._check_started()

    def _check_started(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._dead, self.config.start_s)
        why = self._dead or ("" if self._ready else f"it was not ready after {self.config.start_s:g} s")
        there = self._ready.get("version", "")
        if not why and there != cosyrt.__version__:
            why = (
                f"its environment has cosyrt {there}, this one {cosyrt.__version__}: install the same in both"
            )
        if "torchvision" in why:  # vLLM asks for it, and pip may bring one that was built for another torch
            why = f"{why}: uninstall torchvision, torchaudio and torchcodec there, which nothing here needs"
        if why:
            self.close()
            raise MissingDependency(f"vLLM did not start: {why}")

    def takes(self, positions: int) -> bool:
        """Whether it is running, and an utterance may be so long."""
        return not self._dead and positions < self.config.max_positions

    def submit(self, request: TokenRequest, *, log_probabilities: bool = False) -> VllmGeneration:
        """Begin a request; with the log-probabilities of each token before the choice, if they are wanted.

        Raises:
            SpeechError: the worker is not running any more.
        """
        embedded = self.embed(request.given)
        generation = VllmGeneration(self, str(next(self._numbers)))
        with self._changed:
            if self._dead:
                raise SpeechError(self._dead)
            self._generations[generation.name] = generation
        header = {
            "kind": "speak",
            "least": request.least,
            "most": request.most,
            "seed": request.seed,
            "width": embedded.shape[1],
            "log_probabilities": log_probabilities,
        }
        self._send(generation, header, embedded.tobytes())
        return generation

    def cancel(self, generation: VllmGeneration) -> None:
        """Forget a request, and let the worker forget it."""
        with self._changed:
            known = self._generations.pop(generation.name, None)
        if known is not None:
            self._send(generation, {"kind": "cancel"})

    def wait(self, generations: Sequence[Generation], timeout_s: float) -> None:
        """Wait until any of these has something to take, and no longer than that."""
        ours = [each for each in generations if isinstance(each, VllmGeneration)]
        with self._changed:
            self._changed.wait_for(lambda: any(each.came for each in ours), timeout_s)

    def _send(self, generation: VllmGeneration, header: dict[str, Any], data: bytes = b"") -> None:
        try:
            with self._writing:
                send(cast(BinaryIO, self._process.stdin), header | {"request": generation.name}, data)
        except (OSError, ValueError):  # closed: whoever listens finds out why, and tells all that wait
            log.debug("a message to vLLM was lost")

    def hear(self, header: dict[str, Any], data: bytes) -> None:
        """Take a message of the worker."""
        with self._changed:
            match header["kind"]:
                case "ready":
                    self._ready = header
                case "failed":
                    self._dead = header["reason"]
                case "error":
                    self._give(header["request"], [SpeechError(f"vLLM refused a text: {header['reason']}")])
                case "tokens":
                    self._take(header, data)
            self._changed.notify_all()

    def _take(self, header: dict[str, Any], data: bytes) -> None:
        tokens: list[int | SpeechError] = list(header["tokens"])
        if header["failed"]:
            tokens[-1:] = [NOTHING]  # as where a row here is not finite
        generation = self._generations.get(header["request"])
        if data and generation is not None:
            table = np.frombuffer(data, np.float32).reshape(len(tokens), -1)
            generation.log_probabilities.append(table)
        self._give(header["request"], tokens, over=header["over"])

    def _give(self, name: str, came: Sequence[int | SpeechError], *, over: bool = True) -> None:
        """Give a request what has come for it; one that is over, or unknown, is not known any more."""
        generation = self._generations.get(name)
        if generation is not None:
            generation.came.extend(came)
            generation.over = over
        if over:
            self._generations.pop(name, None)

    def lost(self, why: str) -> None:
        """End all requests with an error: nothing more comes from the worker."""
        with self._changed:
            self._dead = self._dead or why
            for name in list(self._generations):
                self._give(name, [SpeechError(self._dead)])
            self._changed.notify_all()


def _started(command: Sequence[str]) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A worker, and the file that its errors go to.

    Raises:
        MissingDependency: it cannot be started.
    """
    errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    except OSError as error:
        errors.close()
        reason = error.strerror or error
        raise MissingDependency(f"vLLM cannot be started by {command[0]}: {reason}") from error
    return process, errors


def _listen(engine: weakref.ref[VllmEngine], process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """Give every message of a worker to its engine, as long as there is one, and tell of its end."""
    assert process.stdout is not None
    with process.stdout as stream, errors:
        try:
            for message in messages(cast(BinaryIO, stream)):
                _tell(engine, VllmEngine.hear, *message)
        except ValueError:
            log.warning("vLLM sent what is no message; it is not used any more")
        _stop(process)
        errors.seek(0)
        reason = reason_in(errors.read().decode(errors="replace"))
        why = f"the process of vLLM ended with {process.returncode}: {reason}"
        _tell(engine, VllmEngine.lost, why)


def _tell(engine: weakref.ref[VllmEngine], method: Callable[..., None], *told: object) -> None:
    """Call a method of an engine that is still there; its listener must not keep it alive."""
    if (there := engine()) is not None:
        method(there, *told)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a worker: it does by itself when its input ends."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(STOPPING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
