"""Run a TorchScript archive at lengths never seen, as upstream loads it and as we do, and say what it costs.

A guide promised 10 to 30 %, and its reader measured 14 to 17 times slower. The encoder's share of the work
says what can be gained; the calls say what is lost, and the log of TorchScript's executor says why: a plan
that it makes at a length never seen is a re-specialisation. Where torch has no fuser (its CPU builds) nothing
is compiled; `force_fuser` switches the interpreted one on, which makes the same plans.

Shapes: S speech tokens · M mel frames · D width · L lengths.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cosyrt.accel.backend.torchscript import optimised
from cosyrt.accel.torchscript.archive import Archive, named, read
from cosyrt.accel.torchscript.cosyvoice2 import flow_of, scripted
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.engine.stages import Networks, eager
from cosyrt.errors import SpeechError, UsageError
from cosyrt.lab.child import Child, ChildFailure
from cosyrt.lab.timing import Speedup, timed, total_speedup
from cosyrt.lab.workload import settle
from cosyrt.models.conformer import ConformerConfig, UpsampleConformer
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.layers import at_mel_rate, attention_mask
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.velocity import FlowInputs
from cosyrt.models.vocoder import Vocoder, VocoderConfig

TOKENS = 125  # 5 s of speech
SAMPLED_LAYERS = 2  # of the language model, where there is no model: a step through two, times twelve
# No length twice; the first is for warming up. Short ones too: a stream's chunks are.
UNSEEN_LENGTHS = (33, 10, 52, 21, 87, 64, 41, 119, 28, 73, 104, 15, 95)
SHARE_RUNS = 3  # the shortest counts: what the work takes when nothing else is in the way
ARCHIVE_NAME = "flow.encoder.fp32.zip"
EXECUTOR_SOURCE = "profiling_graph_executor_impl"  # the file of torch that logs the plans
PLAN_LINE = b"Optimized Graph:"
PROFILED_CALLS = 2  # the executor records in the first call and compiles in the second, whatever the length
START_S = 300.0  # for a process to start and load, on a machine that is busy

# (embeddings [1, S, D]) → encoding [1, M, D]
RunEncoder = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkShare:
    """Seconds of work for 5 s of speech, the vocoder left out."""

    encoder_s: float
    velocity_s: float
    language_model_s: float

    @property
    def percent(self) -> float:
        """Share of the encoder, in percent."""
        return 100 * self.encoder_s / (self.encoder_s + self.velocity_s + self.language_model_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Encoders to run in turn at each length, in an order that rotates."""

    archive: str
    config: dict[str, Any]  # of the encoder
    variants: tuple[str, ...]  # of eager, eager again, cosyrt and upstream
    lengths: tuple[int, ...]  # in tokens
    device: str = "cpu"
    force_fuser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCall:
    """One call of one encoder."""

    variant: str
    tokens: int
    seconds: float = 0.0
    plans: int = 0  # that the executor made during the call
    finished: bool = False  # False: it was ended at the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorReport:
    """What was measured at lengths never seen; an unfinished call counts as long as it was allowed to run."""

    share: WorkShare
    aa: Speedup  # of eager over itself: smaller differences are noise
    upstream: Speedup
    cosyrt: Speedup
    upstream_plans: int  # made by the executor at lengths never seen, its first two calls left out
    cosyrt_plans: int
    slowest_s: float  # of upstream's calls
    limit_s: float
    finished: bool  # all of upstream's calls, within the limit

    @property
    def verdict(self) -> str:
        """The result in words, with the cause and what to do."""
        head = f"The encoder is {self.share.percent:.1f} % of the work: no way to run it can save more. "
        if not self.finished or self.upstream.high < self.aa.low:
            return head + self._slower()
        if self.upstream_plans:
            return head + "Upstream's way compiles again for lengths never seen, and here that costs little."
        return (
            head
            + "Upstream's way loses nothing here: this torch has no fuser at work that would compile again."
        )

    def _slower(self) -> str:
        how = "did not end" if not self.finished else f"takes {1 / self.upstream.median:.1f} times as long"
        if not self.upstream_plans:
            return (
                f"Upstream's way {how}, and the executor made no plan for it: "
                "look at the memory (`cosyrt device`)."
            )
        return (
            f"Upstream's way {how}: torch.jit.load leaves the executor at its defaults, and it compiled "
            f"{self.upstream_plans} plans for lengths never seen. Load the archive with cosyrt "
            '(accelerate=archives("fp32")), or leave it out.'
        )


def examine(
    folder: ModelFolder | None = None,  # None: a CosyVoice 2 of full size with random weights
    *,
    device: torch.device,
    force_fuser: bool = False,
    limit_s: float = 30.0,  # for one call
    on_step: Callable[[str], None] = lambda step: None,
) -> ExecutorReport:
    """Measure the encoder's share, then run its archive our way and upstream's beside the plain encoder.

    Raises:
        UsageError: the folder is not of CosyVoice 2. ModelError: it cannot be used.
        SpeechError: the archive cannot be run, or was not called once.
    """
    if folder is not None and folder.family != "cosyvoice2":
        raise UsageError(f"the case is of CosyVoice 2, {folder.path} is {folder.family}; give another folder")
    on_step("measuring the encoder's share")
    networks, times = _full_size() if folder is None else (build(folder)[1], 1.0)
    networks = networks.to(device)
    share = share_of_work(networks, times, device)
    with tempfile.TemporaryDirectory() as work:
        experiment = Experiment(
            archive=str(_archive(folder, networks, Path(work))),
            config=asdict(flow_of(networks).encoder.config),
            variants=("eager", "eager again", "cosyrt"),
            lengths=UNSEEN_LENGTHS,
            device=str(device),
            force_fuser=force_fuser,
        )
        on_step("running the archive our way")
        ours = encoder_calls(experiment, limit_s=limit_s)
        on_step("running the archive upstream's way")
        upstreams = encoder_calls(replace(experiment, variants=("eager", "upstream")), limit_s=limit_s)
    return report_of(share, ours, upstreams, limit_s)


def report_of(
    share: WorkShare, ours: list[EncoderCall], upstreams: list[EncoderCall], limit_s: float
) -> ExecutorReport:
    """Conclude from the calls.

    Raises:
        SpeechError: a variant was not called once.
    """
    _check_called(ours, ("eager again", "cosyrt"), limit_s)
    _check_called(upstreams, ("upstream",), limit_s)
    upstream = [call for call in upstreams if call.variant == "upstream"]
    return ExecutorReport(
        share=share,
        aa=speedup_of(ours, "eager again"),
        upstream=speedup_of(upstreams, "upstream"),
        cosyrt=speedup_of(ours, "cosyrt"),
        upstream_plans=sum(call.plans for call in upstream[PROFILED_CALLS:]),
        cosyrt_plans=sum(call.plans for call in ours if call.variant == "cosyrt"),
        slowest_s=max(call.seconds for call in upstream),
        limit_s=limit_s,
        finished=all(call.finished for call in upstream),
    )


def _check_called(calls: list[EncoderCall], variants: Sequence[str], limit_s: float) -> None:
    called = [call.variant for call in calls]
    if missing := [variant for variant in variants if variant not in called]:
        before = f"{called[-1]} took more than {limit_s:g} s" if called else "their process ended"
        raise SpeechError(
            f"nothing is known of {' and '.join(missing)}: {before} before; "
            "give a larger --limit, or look at the memory (`cosyrt device`)"
        )


def speedup_of(calls: list[EncoderCall], variant: str) -> Speedup:
    """Compare a variant with eager over the lengths that both had, the first left out, all together."""
    eager_s, other_s = (
        {call.tokens: call.seconds for call in calls if call.variant == name} for name in ("eager", variant)
    )
    lengths = [n for n in other_s if n in eager_s and n != calls[0].tokens] or list(other_s)[:1]
    before, after = (np.array([[seconds[n]] for n in lengths]) for seconds in (eager_s, other_s))
    return total_speedup(before, after)


def share_of_work(networks: Networks, layers_times: float, device: torch.device) -> WorkShare:
    """Time the encoder once, the velocity at every Euler step, the language model at every token."""
    stages, flow = eager(networks), flow_of(networks)
    tokens = torch.zeros(1, TOKENS, dtype=torch.long, device=device)
    valid = torch.ones_like(tokens).bool()
    mask = attention_mask(valid, None)
    mu = stages.encode(tokens, valid, mask, None, None)
    both = torch.cat([mu, mu])
    wide = at_mel_rate(mask, flow.config.encoder.up).expand(2, -1, -1)
    inputs = FlowInputs(both, both[:, :1], wide, both, both[:, 0, 0], both[:, :, 0], both)
    cache, one = stages.new_cache(1, TOKENS), tokens[0, :1]
    attended = torch.ones(1, 1, 1, TOKENS, dtype=torch.bool, device=device)
    least = partial(_least_s, device)
    return WorkShare(
        encoder_s=least(lambda: stages.encode(tokens, valid, mask, None, None)),
        velocity_s=flow.config.steps * least(lambda: stages.velocity(inputs, None)),
        language_model_s=TOKENS * layers_times * least(lambda: stages.step(one, one, attended, cache)),
    )


def _least_s(device: torch.device, run: Callable[[], object]) -> float:
    """Seconds of the shortest of a few runs."""
    seconds = timed(lambda _: run(), settle=partial(settle, device))
    return min(seconds(number) for number in range(SHARE_RUNS))


def _full_size() -> tuple[Networks, float]:
    """Networks of the published sizes, the language model cut short, and how many times it must be taken."""
    config = LanguageModelConfig()
    short = replace(config, layers=SAMPLED_LAYERS, text_vocabulary=1)
    networks = Networks(
        llm=SpeechLanguageModel(short), flow=Flow(FlowConfig()), vocoder=Vocoder(VocoderConfig())
    )
    return networks, config.layers / SAMPLED_LAYERS


def _archive(folder: ModelFolder | None, networks: Networks, work: Path) -> Path:
    """Find the model's own archive, or make one of its encoder."""
    own = None if folder is None else folder.path / ARCHIVE_NAME
    if own is not None and own.is_file():
        return own
    optimised(scripted(networks), ("forward_chunk",)).save(str(work / ARCHIVE_NAME))
    return work / ARCHIVE_NAME


def encoder_calls(experiment: Experiment, *, limit_s: float) -> list[EncoderCall]:
    """Run an experiment in a process of its own; the first call over the limit is the last.

    Raises:
        SpeechError: a variant cannot be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "executor.log"
        with Child(logged_calls, experiment, str(log)) as child:
            return list(_received(child, log, limit_s))


def _received(child: Child, log: Path, limit_s: float) -> Iterator[EncoderCall]:
    """Yield the calls that a child announces and finishes; one that it does not finish comes last."""
    while (begun := _next(child, START_S)) is not None:
        call, log_bytes = begun
        begin = time.perf_counter()
        ended = _next(child, limit_s)
        if ended is None:
            plans = _plans(log, log_bytes)
            yield replace(call, seconds=time.perf_counter() - begin, plans=plans)
            return
        yield ended[0]


def _next(child: Child, timeout_s: float) -> tuple[EncoderCall, int] | None:
    """Receive a call and the size of the log when it began; None at the limit or the end of the process."""
    try:
        received: tuple[EncoderCall, int] = child.receive(timeout_s).value
    except ChildFailure as failure:
        if failure.kind != "raised":
            return None
        raise SpeechError(
            f"the archive could not be run: {failure}; make it again with cosyrt export"
        ) from failure
    return received


def logged_calls(experiment: Experiment, log: str) -> Iterator[tuple[EncoderCall, int]]:
    """Yield each call when it begins and when it has ended, while the executor writes into `log`."""
    path, device = Path(log), torch.device(experiment.device)
    _log_executor(path)
    if experiment.force_fuser:
        torch._C._jit_override_can_fuse_on_cpu(True)
        torch._C._jit_set_te_must_use_llvm_cpu(False)
    runs = [(name, _encoder(name, experiment, device)) for name in experiment.variants]
    generator = torch.Generator().manual_seed(0)
    for number, tokens in enumerate(experiment.lengths):
        x = torch.randn(1, tokens, experiment.config["width"], generator=generator).to(device)
        first = number % len(runs)
        for name, run in runs[first:] + runs[:first]:
            call, log_bytes = EncoderCall(variant=name, tokens=tokens), path.stat().st_size
            yield call, log_bytes
            with torch.inference_mode():
                seconds = timed(run, settle=partial(settle, device))(x)
            yield replace(call, seconds=seconds, plans=_plans(path, log_bytes), finished=True), log_bytes


def _log_executor(path: Path) -> None:
    """Send the executor's log, which torch writes to standard error, to a file."""
    sys.stderr.flush()
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    torch._C._jit_set_logging_option(EXECUTOR_SOURCE)


def _plans(log: Path, begin_bytes: int) -> int:
    """Count the plans that were logged since."""
    with log.open("rb") as file:
        file.seek(begin_bytes)
        return file.read().count(PLAN_LINE)


def _encoder(variant: str, experiment: Experiment, device: torch.device) -> RunEncoder:
    """Make one variant of the encoder; the plain one has random weights, since only its time counts."""
    if variant.startswith("eager"):
        torch.manual_seed(0)
        encoder = UpsampleConformer(ConformerConfig(**experiment.config)).eval().to(device)
        return lambda x: _plain(encoder, x)
    path = Path(experiment.archive)
    component, precision = named(path)
    module = read(path, device)
    archive = Archive(path=path, component=component, precision=precision, module=module, manifest=None)
    none = torch.zeros(0, 0, 0)
    if variant == "cosyrt":
        return lambda x: archive.call("forward", x.to(archive.dtype), _length(x), none, 0, -1, False)[0]
    assert variant == "upstream"  # a bare load, called as upstream's flow calls it
    return lambda x: module(x.to(archive.dtype), _length(x), streaming=False)[0]


def _plain(
    encoder: UpsampleConformer,
    x: Tensor,  # [1, S, D]
) -> Tensor:  # [1, M, D]
    mask = torch.ones(1, x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
    y: Tensor = encoder(x, mask, at_mel_rate(mask, encoder.config.up))
    return y


def _length(
    x: Tensor,  # [1, S, D]
) -> Tensor:  # [1]
    return torch.tensor([x.shape[1]], device=x.device)
