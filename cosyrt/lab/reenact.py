"""An archive run over lengths it has not seen, upstream's way and ours, in a process that may be killed.

Counted, not only timed: the executor logs every plan it makes, and a plan made at a length never seen before
is a re-specialisation. Where torch has no fuser (its CPU builds) nothing happens; `force_fuser` switches the
interpreted one on, which shows the same plans.

    python -m cosyrt.lab.reenact JSON     → on standard error: the executor's log, a line around each call
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

import torch
from torch import Tensor

from cosyrt.accel.torchscript.archive import Archive, named, read
from cosyrt.errors import CosyrtError, SpeechError, kind_and_reason
from cosyrt.lab.child import LONGEST_REASON
from cosyrt.models.conformer import ConformerConfig, UpsampleConformer
from cosyrt.models.layers import at_mel_rate

EXECUTOR_LOG = {"PYTORCH_JIT_LOG_LEVEL": "profiling_graph_executor_impl"}
PLAN = "Optimized Graph:"
BEGIN, END, FAILED = "cosyrt begins ", "cosyrt ends ", "cosyrt failed "
START_S = 300.0  # for a process to start and load, on a machine that is busy

# (embeddings [1, S, D]) → encoding [1, M, D]
Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is run: each way in turn for every length, in an order that rotates."""

    archive: str
    config: dict[str, Any]  # of the encoder
    ways: tuple[str, ...]  # of WAYS; one may be there twice
    lengths: tuple[int, ...]  # in tokens
    device: str = "cpu"
    force_fuser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that was made."""

    way: str
    tokens: int
    seconds: float = 0.0
    plans: int = 0  # that the executor made during the call
    finished: bool = False  # False: it was killed at the limit


def watch(scene: Scene, *, limit_s: float) -> list[Call]:
    """The calls of a scene, in order; the first one over the limit is the last."""
    command = [sys.executable, "-m", "cosyrt.lab.reenact", json.dumps(asdict(scene))]
    paths = os.pathsep.join(filter(None, sys.path))
    env = os.environ | EXECUTOR_LOG | {"PYTHONPATH": paths}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        lines: Queue[str | None] = Queue()
        reader = threading.Thread(target=_pass_on, args=(process.stderr, lines))
        reader.start()
        try:
            return list(calls_of(lines, limit_s))
        finally:
            process.kill()
            reader.join()


def _pass_on(errors: IO[str], lines: Queue[str | None]) -> None:
    """The lines that tell something, as they come; None at the end."""
    for line in errors:
        if PLAN in line or line.startswith((BEGIN, END, FAILED)):
            lines.put(line.strip())
    lines.put(None)


def calls_of(lines: Queue[str | None], limit_s: float) -> Iterator[Call]:
    """The calls that the lines tell of."""
    began, patience, done = time.perf_counter(), START_S, False
    call: Call | None = None
    while not done:
        line = _next(lines, began + patience)
        done = line is None
        if line is None:
            if call is not None:
                yield replace(call, seconds=time.perf_counter() - began)
        elif line.startswith(FAILED):
            raise SpeechError(
                f"the archive could not be run: {line.removeprefix(FAILED)}; make it again with cosyrt export"
            )
        elif line.startswith(BEGIN):
            way, tokens = line.removeprefix(BEGIN).rsplit(" ", 1)
            call, began, patience = Call(way=way, tokens=int(tokens)), time.perf_counter(), limit_s
        elif line.startswith(END) and call is not None:
            yield replace(call, seconds=float(line.removeprefix(END)), finished=True)
            call, began, patience = None, time.perf_counter(), START_S
        elif call is not None:
            call = replace(call, plans=call.plans + 1)


def _next(lines: Queue[str | None], deadline: float) -> str | None:
    """The next line, or None at the deadline, however many lines came before it."""
    try:
        return lines.get(timeout=max(0.0, deadline - time.perf_counter()))
    except Empty:
        return None


def play(scene: Scene) -> None:
    """What the process does."""
    device = torch.device(scene.device)
    if scene.force_fuser:
        torch._C._jit_override_can_fuse_on_cpu(True)
        torch._C._jit_set_te_must_use_llvm_cpu(False)
    runs = [(way, _run(way, scene, device)) for way in scene.ways]
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for number, tokens in enumerate(scene.lengths):
            x = torch.randn(1, tokens, scene.config["width"], generator=draw).to(device)
            turn = number % len(runs)
            for way, run in runs[turn:] + runs[:turn]:
                sys.stderr.write(f"\n{BEGIN}{way} {tokens}\n")
                sys.stderr.flush()
                seconds = _timed(run, x)
                sys.stderr.write(f"\n{END}{seconds}\n")
                sys.stderr.flush()


def _timed(run: Run, x: Tensor) -> float:
    begin = time.perf_counter()
    run(x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return time.perf_counter() - begin


def _run(way: str, scene: Scene, device: torch.device) -> Run:
    """One way to run the encoder; the plain one has weights of its own, since only its time counts."""
    if way.startswith("eager"):
        torch.manual_seed(0)
        encoder = UpsampleConformer(ConformerConfig(**scene.config)).eval().to(device)
        return lambda x: _plain(encoder, x)
    path = Path(scene.archive)
    component, precision = named(path)
    module = read(path, device)
    archive = Archive(path=path, component=component, precision=precision, module=module, manifest=None)
    none = torch.zeros(0, 0, 0)
    if way == "cosyrt":
        return lambda x: archive.call("forward", _as(archive, x), _length(x), none, 0, -1, False)[0]
    assert way == "upstream"  # a bare load, called as upstream's flow calls it
    return lambda x: module(_as(archive, x), _length(x), streaming=False)[0]


def _plain(encoder: UpsampleConformer, x: Tensor) -> Tensor:
    mask = torch.ones(1, x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
    y: Tensor = encoder(x, mask, at_mel_rate(mask, encoder.config.up))
    return y


def _as(archive: Archive, x: Tensor) -> Tensor:
    return x.to(archive.dtype)


def _length(x: Tensor) -> Tensor:
    return torch.tensor([x.shape[1]], device=x.device)


if __name__ == "__main__":
    try:
        play(Scene(**json.loads(sys.argv[1])))
    except CosyrtError as error:
        sys.stderr.write(f"\n{FAILED}{error}\n")
    except Exception as error:  # whatever it is, the parent is told
        sys.stderr.write(f"\n{FAILED}{kind_and_reason(error, LONGEST_REASON)}\n")
