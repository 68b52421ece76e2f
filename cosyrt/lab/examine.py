"""The case of the slow archive, on this machine: the encoder's share of the work, then its archive both ways.

A guide promised 10 to 30 %, and its reader met 14 to 17 times slower. The share says what can be gained;
the calls say what is lost, and the executor's log says why.

Shapes: S speech tokens · M mel frames.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cosyrt.accel.backend.torchscript import optimised
from cosyrt.accel.torchscript.cosyvoice2 import flow_of, scripted
from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.engine.model import build
from cosyrt.engine.stages import Networks, eager
from cosyrt.errors import SpeechError, UsageError
from cosyrt.lab.reenact import Call, Scene, watch
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.layers import at_mel_rate, attention_mask
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.velocity import FlowInputs
from cosyrt.models.vocoder import Vocoder, VocoderConfig

TOKENS, RATE_HZ = 125, 25  # 5 s of speech
SAMPLED_LAYERS = 2  # of the language model, where there is no model: a step through two, times twelve
# No length twice; the first is for warming up. Short ones too: a stream's chunks are.
LENGTHS = (33, 10, 52, 21, 87, 64, 41, 119, 28, 73, 104, 15, 95)
RESAMPLINGS = 2_000
ARCHIVE = "flow.encoder.fp32.zip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Seconds of work for 5 s of speech, the vocoder left out."""

    encoder_s: float
    velocity_s: float
    language_model_s: float

    @property
    def percent(self) -> float:
        """The encoder's part of all."""
        return 100 * self.encoder_s / (self.encoder_s + self.velocity_s + self.language_model_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times as fast as eager, over all lengths together, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found at lengths never seen before; an unfinished call counts as long as it was let."""

    share: Share
    aa: Ratio  # eager against itself: smaller differences are noise
    upstream: Ratio
    cosyrt: Ratio
    upstream_plans: int  # made by the executor at lengths never seen, its first two calls left out
    cosyrt_plans: int
    slowest_s: float  # of upstream's way
    limit_s: float
    finished: bool  # upstream's way, within the limit

    @property
    def verdict(self) -> str:
        """What it comes to, with the cause and the remedy."""
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
        how = "did not end" if not self.finished else f"takes {1 / self.upstream.value:.1f} times as long"
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
) -> Examination:
    """Measure the share, then run the archive both ways beside the plain encoder.

    Raises:
        UsageError: the folder is not of CosyVoice 2. ModelError: it cannot be used.
    """
    if folder is not None and folder.family != "cosyvoice2":
        raise UsageError(f"the case is of CosyVoice 2, {folder.path} is {folder.family}; give another folder")
    on_step("measuring the encoder's share")
    networks, times = _full_size() if folder is None else (build(folder)[1], 1.0)
    networks = networks.to(device)
    share = share_of_work(networks, times, device)
    with tempfile.TemporaryDirectory() as work:
        archive = _archive(folder, networks, Path(work))
        scene = Scene(
            archive=str(archive),
            config=asdict(flow_of(networks).encoder.config),
            ways=("eager", "eager again", "cosyrt"),
            lengths=LENGTHS,
            device=str(device),
            force_fuser=force_fuser,
        )
        on_step("running the archive our way")
        ours = watch(scene, limit_s=limit_s)
        on_step("running the archive upstream's way")
        theirs = watch(replace(scene, ways=("eager", "upstream")), limit_s=limit_s)
    return found(share, ours, theirs, limit_s)


def found(share: Share, ours: list[Call], theirs: list[Call], limit_s: float) -> Examination:
    """What the calls say.

    Raises:
        SpeechError: a way was not called once.
    """
    _check_called(ours, ("eager again", "cosyrt"), limit_s)
    _check_called(theirs, ("upstream",), limit_s)
    upstream = [call for call in theirs if call.way == "upstream"]
    return Examination(
        share=share,
        aa=ratio(ours, "eager again"),
        upstream=ratio(theirs, "upstream"),
        cosyrt=ratio(ours, "cosyrt"),
        upstream_plans=sum(call.plans for call in upstream[2:]),
        cosyrt_plans=sum(call.plans for call in ours if call.way == "cosyrt"),
        slowest_s=max(call.seconds for call in upstream),
        limit_s=limit_s,
        finished=all(call.finished for call in upstream),
    )


def _check_called(calls: list[Call], ways: Sequence[str], limit_s: float) -> None:
    called = [call.way for call in calls]
    if missing := [way for way in ways if way not in called]:
        before = f"{called[-1]} took more than {limit_s:g} s" if called else "their process ended"
        raise SpeechError(
            f"nothing is known of {' and '.join(missing)}: {before} before; "
            "give a larger --limit, or look at the memory (`cosyrt device`)"
        )


def ratio(calls: list[Call], way: str) -> Ratio:
    """Seconds of eager over seconds of the way, on the lengths both had, the first left out."""
    eager_s, way_s = ({call.tokens: call.seconds for call in calls if call.way == w} for w in ("eager", way))
    lengths = [n for n in way_s if n in eager_s and n != calls[0].tokens] or list(way_s)[:1]
    pairs = np.array([(eager_s[n], way_s[n]) for n in lengths])
    drawn = np.random.default_rng(0).integers(0, len(pairs), (RESAMPLINGS, len(pairs)))
    sums = pairs[drawn].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], (2.5, 97.5))
    return Ratio(value=float(pairs[:, 0].sum() / pairs[:, 1].sum()), low=float(low), high=float(high))


def share_of_work(networks: Networks, layers_times: float, device: torch.device) -> Share:
    """The encoder once, the velocity at every Euler step, the language model at every token."""
    stages, flow = eager(networks), flow_of(networks)
    tokens = torch.zeros(1, TOKENS, dtype=torch.long, device=device)
    valid = torch.ones_like(tokens).bool()
    mask = attention_mask(valid, None)
    mu = stages.encode(tokens, valid, mask, None, None)
    both = torch.cat([mu, mu])
    wide = at_mel_rate(mask, flow.config.encoder.up).expand(2, -1, -1)
    inputs = FlowInputs(both, both[:, :1], wide, both, both[:, 0, 0], both[:, :, 0], both)
    cache, one = stages.new_cache(1, TOKENS), tokens[0, :1]
    shown = torch.ones(1, 1, 1, TOKENS, dtype=torch.bool, device=device)
    return Share(
        encoder_s=_least(lambda: stages.encode(tokens, valid, mask, None, None), device),
        velocity_s=flow.config.steps * _least(lambda: stages.velocity(inputs, None), device),
        language_model_s=TOKENS * layers_times * _least(lambda: stages.step(one, one, shown, cache), device),
    )


def _least(run: Callable[[], Any], device: torch.device, times: int = 3) -> float:
    """The shortest of a few runs: what the work takes when nothing else is in the way."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def _full_size() -> tuple[Networks, float]:
    """Networks of the published sizes, the language model cut short, and how many times it must be taken."""
    config = LanguageModelConfig()
    short = replace(config, layers=SAMPLED_LAYERS, text_vocabulary=1)
    networks = Networks(
        llm=SpeechLanguageModel(short), flow=Flow(FlowConfig()), vocoder=Vocoder(VocoderConfig())
    )
    return networks, config.layers / SAMPLED_LAYERS


def _archive(folder: ModelFolder | None, networks: Networks, work: Path) -> Path:
    """The model's own archive, or one made of its encoder."""
    own = None if folder is None else folder.path / ARCHIVE
    if own is not None and own.is_file():
        return own
    optimised(scripted(networks), ("forward_chunk",)).save(str(work / ARCHIVE))
    return work / ARCHIVE
