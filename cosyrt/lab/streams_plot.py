"""A picture of many streams at once: who heard no gap, and how soon the first audio came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cosyrt.lab.bench_plot import save_picture
from cosyrt.lab.streams import StreamsResult


def draw_streams(results: Sequence[StreamsResult], path: Path) -> None:
    """Draw two curves for each engine over the number of streams.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    gaps, first = figure.subplots(1, 2)
    for engine in dict.fromkeys(each.engine for each in results):
        mine = sorted((each for each in results if each.engine == engine), key=lambda each: each.streams)
        streams = [each.streams for each in mine]
        gaps.plot(streams, [100 * each.gapless for each in mine], marker="o", label=engine)
        served = [each for each in mine if each.first_audio_s is not None]
        late = [each.first_audio_s.p95 for each in served if each.first_audio_s is not None]
        first.plot([each.streams for each in served], late, marker="o", label=engine)
    gaps.set_ylabel("streams without a gap, %")
    first.set_ylabel("first audio, p95, s")
    first.set_yscale("log")
    for axes in (gaps, first):
        axes.set_xlabel("streams at once")
        axes.set_xscale("log", base=2)
        axes.legend()
    save_picture(figure, path)
