"""What `cosyrt bench --streams` prints: many listeners at once, by the scheduler and by threads."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosyrt.cli.terminal import progress_bar, table
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.engine.pipeline import Pipeline
    from cosyrt.lab.streams import StreamsConfig, StreamsResult
    from cosyrt.lab.timing import Summary

MOST_STREAMS = 512
HEAD = (
    "streams",
    "engine",
    "listeners",
    "refused",
    "without a gap",
    "longest gap ms",
    "first audio ms p50",
    "p95",
    "p99",
    "audio s per s",
    "refusal ms p95",
    "served on return",
    "wait told / true",
)


def numbers_of(streams: str) -> tuple[int, ...]:
    """The numbers of streams that were asked for.

    Raises:
        UsageError: something that is no such number.
    """
    try:
        asked = tuple(int(number) for number in streams.split(","))
    except ValueError:
        asked = ()
    if not asked or not all(1 <= number <= MOST_STREAMS for number in asked):
        raise UsageError(f"--streams {streams!r} names no numbers of streams; give them like 1,2,4,8")
    return tuple(sorted(set(asked)))  # an engine that breaks down is given no more


def bench_streams(
    pipeline: Pipeline, config: StreamsConfig, *, as_json: bool = False, plot: Path | None = None
) -> None:
    """Measure, print, and draw where that was asked for; an interrupt prints what was measured so far."""
    from cosyrt.lab.streams import streams_of

    results: list[StreamsResult] = []
    try:
        with progress_bar(hidden=as_json) as show:
            for each in streams_of(pipeline, config, show):
                results.append(each)
    finally:
        if results:
            _print(results, config, as_json)
    if plot is not None:
        from cosyrt.lab.streams_plot import draw_streams

        draw_streams(results, plot)


def _print(results: list[StreamsResult], config: StreamsConfig, as_json: bool) -> None:
    import torch

    from cosyrt.lab.streams import carried
    from cosyrt.machine.probe import this_machine

    most = {engine: carried(results, engine) for engine in config.engines}
    if as_json:
        facts = {"machine": this_machine().as_data(), "threads": torch.get_num_threads(), "carried": most}
        click.echo(json.dumps(facts | {"results": [asdict(each) for each in results]}, ensure_ascii=False))
    else:
        click.echo(table(HEAD, [_row(each) for each in results]))
        carry = ", ".join(f"{engine}: {count}" for engine, count in most.items())
        click.echo(f"\nMost streams at once without a gap and without a refusal: {carry}.")


def _row(each: StreamsResult) -> tuple[object, ...]:
    first = each.first_audio_s
    return (
        each.streams,
        each.engine,
        each.listeners,
        each.refused,
        f"{each.gapless:.0%}",
        1000 * each.longest_gap_s,
        *(_ms(first, name) for name in ("p50", "p95", "p99")),
        each.audio_s_per_s,
        _ms(each.refusal_s, "p95"),
        None if each.came_back is None else f"{each.came_back:.0%}",
        each.told_over_true,
    )


def _ms(times: Summary | None, name: str) -> float | None:
    return None if times is None else 1000 * float(getattr(times, name))
