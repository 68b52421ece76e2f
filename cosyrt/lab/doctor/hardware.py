"""Causes that lie between the work and what it runs on: memory, threads, and work that is too small."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cosyrt.lab.doctor.setup import SEEN_LENGTHS, Finding, Setup
from cosyrt.lab.timing import TimingConfig, interleaved
from cosyrt.lab.trial import amdahl, too_small
from cosyrt.machine.gpu import BLOCK_MB

SPEAKING_MB = 512  # taken beyond the weights: activations and the caches of a stream
SPILLED = 0.25  # of the fastest copy: memory over the bus is ten times slower than a card's own
PASSES = TimingConfig(early_passes=1, passes=3)


def memory_spill(setup: Setup) -> Finding:
    """Look for memory that the driver moves over the bus without an error, as under Windows since 536.40."""
    cause = "memory spill"
    card = setup.card
    if card is None:
        seen = f"the model runs on {setup.model.device}, not on a card"
        return Finding(cause=cause, status="not applicable", seen=seen)
    seen = (
        f"{card.free_mb:.0f} of {card.total_mb:.0f} MB are free, torch has reserved {card.reserved_mb:.0f}; "
        f"{setup.machine.system}"
    )
    rates = card.copy_rates(SPEAKING_MB // BLOCK_MB)
    fastest = max(rates, default=0.0)
    slow = [number for number, rate in enumerate(rates) if rate < SPILLED * fastest]
    if slow:
        return Finding(
            cause=cause,
            status="confirmed",
            seen=seen,
            experiment=f"copies run at {fastest:.0f} GB/s until {slow[0] * BLOCK_MB} MB more are taken, then "
            f"at {rates[slow[0]]:.1f} GB/s",
            fix="take less: 16-bit weights (--way bf16 or fp16), or close what else uses the card; and set "
            "'CUDA - Sysmem Fallback Policy' to 'Prefer No Sysmem Fallback'",
        )
    taken = len(rates) * BLOCK_MB
    refused = "" if taken >= SPEAKING_MB else "; more is refused, not spilled"
    return Finding(
        cause=cause, status="ruled out", seen=f"{seen}; {taken} MB more are as fast as the rest{refused}"
    )


def threads(setup: Setup) -> Finding:
    """Look for more threads than cores: they wait for each other at the end of every operation."""
    cause = "thread over-subscription"
    now, fewer = torch.get_num_threads(), setup.cores
    seen = f"threads of torch: {now}, cores that it may use: {fewer}"
    if now <= fewer:
        return Finding(cause=cause, status="ruled out", seen=seen)
    part = max(setup.shares, key=lambda part: setup.shares[part])

    def run(count: int) -> Callable[[int], float]:
        def seconds(tokens: int) -> float:
            torch.set_num_threads(count)
            return setup.seconds(part, tokens)

        return seconds

    candidates = {"now": run(now), "again": run(now), "fewer": run(fewer)}
    try:
        timings = interleaved(candidates, SEEN_LENGTHS, PASSES)
    finally:
        torch.set_num_threads(now)
    gain, floor = timings.speedup("fewer", over="now"), timings.speedup("again", over="now").floor
    experiment = f"{part} with {fewer}, in pairs: {gain} as fast; against itself within {floor:.2f}×"
    if gain.verdict(floor) == "slower":
        return Finding(cause=cause, status="ruled out", seen=seen, experiment=experiment)
    return Finding(
        cause=cause,
        status="confirmed" if gain.verdict(floor) == "faster" else "suspected",
        seen=seen,
        experiment=experiment,
        fix=f"OMP_NUM_THREADS={fewer} before the start, or torch.set_num_threads({fewer})",
    )


def tiny_share(setup: Setup) -> Finding:
    """Look for an accelerated part that is hardly any of the work: it can save no more (Amdahl's law)."""
    cause = "tiny share of the work"
    changed = setup.changed
    tiny = [part for part in changed if too_small(setup.share(part))]
    if not tiny:
        seen = f"parts that run another way: {', '.join(changed) or 'none'}"
        return Finding(cause=cause, status="ruled out", seen=seen)
    part = min(tiny, key=setup.share)
    share, seconds, whole = setup.share(part), setup.shares[part], sum(setup.shares.values())
    return Finding(
        cause=cause,
        status="confirmed",
        seen=f"{part} runs another way and is {share:.1%} of the work",
        experiment=f"measured: {1000 * seconds:.3g} of {1000 * whole:.3g} ms; for nothing, an utterance "
        f"would be {amdahl(share, 1e9):.3f} times as fast",
        fix=f"leave {part} as it is; {max(setup.shares, key=setup.share)} is where the time goes",
    )
