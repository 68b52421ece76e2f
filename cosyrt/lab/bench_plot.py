"""A picture of a benchmark: a bar for each text and way, the real-time factor with its spread."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cosyrt.errors import MissingDependency, UsageError
from cosyrt.files import check_target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cosyrt.lab.bench_report import BenchReport

NEAR_REAL_TIME = 0.5  # the line where speech is made as fast as it is heard would be far off
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def require_matplotlib(path: Path) -> None:
    """Check, before anything is measured, that the picture can be drawn there.

    Raises:
        MissingDependency: matplotlib is not installed.
        UsageError: a file that is no picture, or cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise MissingDependency("--plot needs matplotlib, which is not installed: pip install 'cosyrt[plot]'")
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise UsageError(f"{path} is no picture; give a file that ends in {', '.join(PICTURE_SUFFIXES)}")
    try:
        check_target(path)
    except OSError as error:
        raise _not_written(path, error) from error


def draw_report(report: BenchReport, path: Path) -> None:
    """Write the picture; whiskers reach from the median to p95.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    texts = list(dict.fromkeys(str(each.text) for each in report.texts))
    figure = Figure(figsize=(1.5 + 1.4 * len(texts), 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(report.ways)
    for number, way in enumerate(report.ways):
        spoken = [each for each in report.texts if each.way == way.name]
        at = [index + width * (number - (len(report.ways) - 1) / 2) for index in range(len(texts))]
        above = [each.rtf.p95 - each.rtf.median for each in spoken]
        label = way.name if way.gain is None else f"{way.name}: {way.gain.median:.2f}×"
        axes.bar(
            at, [each.rtf.median for each in spoken], width, yerr=[[0] * len(spoken), above], label=label
        )
    if max(each.rtf.p95 for each in report.texts) > NEAR_REAL_TIME:
        axes.axhline(1, color="grey", linewidth=1, linestyle="--")
    axes.set_xticks(range(len(texts)), texts)
    axes.set_ylabel("real-time factor (smaller is faster)")
    axes.set_title(f"{report.family} on {report.device}, {report.threads} threads")
    axes.legend()
    save_picture(figure, path)


def save_picture(figure: Figure, path: Path) -> None:
    """Write a picture.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        figure.savefig(path)
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the picture {path} cannot be written: {error.strerror or error}; give another file with --plot"
    )
