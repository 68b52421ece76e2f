"""cosyrt bench: how fast a model speaks here, and what accelerations gain, with intervals."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cosyrt.cli.options import SpeakerOptions, speaker_options, verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import progress_bar, table
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.lab.bench_report import BenchReport, TextResult, WayResult
    from cosyrt.lab.timing import Speedup


@click.command()
@click.argument("model", required=False)
@click.option(
    "--compare",
    metavar="WAYS",
    default="eager",
    show_default=True,
    help="Ways to run it, the first is the measure: eager, plan, torchscript, bf16, int8 …",
)
@click.option(
    "--texts",
    metavar="LENGTHS",
    default="short,medium,long",
    show_default=True,
    help="Which texts are spoken.",
)
@click.option(
    "--passes", type=click.IntRange(1), default=5, show_default=True, help="How often, warm-up aside."
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="No new pass after that.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Streams at once, up to N.",
)
@click.option(
    "--streams", metavar="NUMBERS", help="Instead: so many listeners at once, such as 1,2,4,8,16,32."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=30,
    show_default=True,
    help="With --streams: how long listeners come.",
)
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps …  [default: the best there is]")
@speaker_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.option(
    "--plot",
    metavar="FILE",
    type=UserPath(),
    help="Draw a picture (.png, .svg): needs cosyrt[plot].",
)
@verbose_option
def bench(
    model: str | None,
    compare: str,
    texts: str,
    passes: int,
    budget: float,
    concurrency: int,
    streams: str | None,
    seconds: float,
    device: str | None,
    speaker: SpeakerOptions,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Measure how fast MODEL speaks short, medium and long texts in English and Chinese.

    Every text is spoken whole and streamed. All ways take turns text by text; where ways are compared the
    first one runs twice, and what differs between its two runs is the noise below which no gain is claimed.
    Without MODEL it is the built-in voice.

    \b
    cosyrt bench
    cosyrt bench CosyVoice2-0.5B --compare eager,plan --texts short,medium --passes 3
    cosyrt bench --concurrency 4 --json --plot speed.png
    cosyrt bench --streams 1,2,4,8,16 --seconds 60
    """
    if plot is not None:
        from cosyrt.lab.bench_plot import require_matplotlib

        require_matplotlib(plot)
    _refuse_idle_options(streams)
    if streams is not None:
        import cosyrt
        from cosyrt.cli.bench_streams import bench_streams, numbers_of
        from cosyrt.lab.streams import StreamsConfig

        numbers = numbers_of(streams)
        pipeline = cosyrt.load(model, device=device)
        listening = StreamsConfig(streams=numbers, seconds=seconds, voice=speaker.of(pipeline))
        bench_streams(pipeline, listening, as_json=as_json, plot=plot)
        return
    from cosyrt.engine.model import Model
    from cosyrt.lab.bench import Bench, BenchConfig
    from cosyrt.lab.bench_plot import draw_report

    config = BenchConfig(
        ways=_listed(compare), lengths=_listed(texts), passes=passes, budget_s=budget, speakers=concurrency
    )
    bench = Bench(Model.open(model, device), config)
    with progress_bar(hidden=as_json) as show, _warnings_once():
        show("warming up", None)
        report = bench.run(speaker.of(bench.plain), show)
    click.echo(json.dumps(_as_data(report), ensure_ascii=False) if as_json else _as_text(report))
    if plot is not None:
        draw_report(report, plot)


def _refuse_idle_options(streams: str | None) -> None:
    """Refuse what says nothing about the kind of measurement that was asked for.

    Raises:
        UsageError: there is such an option.
    """
    context = click.get_current_context()
    idle = ("compare", "texts", "passes", "budget", "concurrency") if streams is not None else ("seconds",)
    for name in idle:
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            why = (
                "needs --streams; give both, or leave it out"
                if streams is None
                else "means nothing beside --streams; leave it out"
            )
            raise UsageError(f"--{name} {why}")


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


@contextmanager
def _warnings_once() -> Iterator[None]:
    """Print each warning of the library once, although every text is spoken again and again."""
    printed: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        is_known = message in printed
        printed.add(message)
        return not is_known

    handlers = logging.getLogger().handlers
    for handler in handlers:
        handler.addFilter(is_new)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_new)


def _as_data(report: BenchReport) -> dict[str, Any]:
    from cosyrt.machine.probe import this_machine

    data = asdict(report)
    data["said"], data["crowds"] = data.pop("texts"), data.pop("concurrency")
    for each in data["said"]:
        each["text"] = {
            "language": each["text"][0],
            "length": each["text"][1],
            "characters": len(each["text"][2]),
        }
    return {"machine": this_machine().as_data()} | data


def _as_text(report: BenchReport) -> str:
    parts = [_heading(report), _texts(report), _ways(report)]
    if report.concurrency:
        parts.append(_concurrency(report))
    parts += [f"{name}: {why}" for name, why in report.absent.items()]
    return "\n\n".join(parts)


def _heading(report: BenchReport) -> str:
    noise = (
        ""
        if report.floor is None
        else f"; {report.ways[0].name} differs from itself by up to {report.floor - 1:.1%}"
    )
    return (
        f"{report.family} on {report.device}, {report.threads} threads, {report.passes} passes{noise}. "
        "RTF: seconds of work for a second of audio, smaller is faster."
    )


def _texts(report: BenchReport) -> str:
    head = (
        "text",
        "way",
        "audio s",
        "RTF mean",
        "median",
        "sd",
        "p95",
        "p99",
        "first chunk ms",
        "p95",
        "longest silence ms",
        "gain",
    )
    return table(head, [_text_row(each) for each in report.texts])


def _text_row(each: TextResult) -> tuple[object, ...]:
    rtf, first = each.rtf, each.first_chunk_s
    spread = (rtf.mean, rtf.median, rtf.deviation, rtf.p95, rtf.p99)
    latency = (1000 * first.median, 1000 * first.p95, 1000 * each.longest_silence_s)
    return (f"{each.text}", each.way, each.audio_s, *spread, *latency, _gain(each.gain))


def _ways(report: BenchReport) -> str:
    head = (
        "way",
        "RTF",
        "verdict",
        "gain",
        "first chunk gain",
        "load s",
        "first call s",
        "peak MB",
        "GPU peak MB",
        "GPU %",
    )
    return table(head, [_way_row(each) for each in report.ways])


def _way_row(each: WayResult) -> tuple[object, ...]:
    alone = each.alone
    apart = (
        (each.failure or "", None, None, None)
        if alone is None
        else (alone.load_s, alone.first_call_s, each.peak_mb, alone.gpu_peak_mb)
    )
    gains = each.verdict, _gain(each.gain), _gain(each.first_chunk_gain)
    return (each.name, each.rtf, *gains, *apart, each.gpu_percent)


def _gain(gain: Speedup | None) -> str | None:
    return None if gain is None else f"{gain}, time {-gain.saved_percent:+.0f} %"


def _concurrency(report: BenchReport) -> str:
    head = ("way", "speakers", "audio s per s", "RTF of each", "first chunk ms", "p95", "longest silence ms")
    rows = [
        (
            each.way,
            each.speakers,
            each.audio_s_per_s,
            each.rtf,
            1000 * each.first_chunk_s.median,
            1000 * each.first_chunk_s.p95,
            1000 * each.longest_silence_s,
        )
        for each in report.concurrency
    ]
    return table(head, rows)
