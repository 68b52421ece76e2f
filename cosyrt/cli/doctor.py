"""cosyrt doctor: why an acceleration does not accelerate, by experiment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosyrt.cli.options import verbose_option
from cosyrt.cli.table import table
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.accel.examine import Examination, Ratio


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("--torchscript", is_flag=True, help="Examine the TorchScript archive of flow.encoder.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: the best there is]")
@click.option("--force-fuser", is_flag=True, help="Switch on the fuser that CPU builds of torch keep off.")
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds that one call may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@verbose_option
def doctor(
    model: Path | None,
    torchscript: bool,
    device: str | None,
    force_fuser: bool,
    limit_s: float,
    as_json: bool,
) -> None:
    """The case of the slow archive on this machine: what there is to gain, what is lost, and why.

    Without MODEL it takes an encoder of CosyVoice 2's full size with random weights.

    \b
    cosyrt doctor --torchscript
    cosyrt doctor --torchscript --force-fuser
    """
    if not torchscript:
        raise UsageError("say what to examine: cosyrt doctor --torchscript")
    from cosyrt.accel.examine import examine
    from cosyrt.checkpoint import ModelFolder
    from cosyrt.engine.pipeline import device_of

    with _progress(as_json) as on_step:
        folder = None if model is None else ModelFolder.open(model)
        result = examine(
            folder, device=device_of(device), force_fuser=force_fuser, limit_s=limit_s, on_step=on_step
        )
    click.echo(_as_json(result) if as_json else _as_text(result))


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """What is being done, on the terminal's standard error."""
    if quiet or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _as_json(result: Examination) -> str:
    facts = {
        "upstream_speedup": result.upstream.value,
        "cosyrt_speedup": result.cosyrt.value,
        "aa_interval": [result.aa.low, result.aa.high],
        "share_percent": result.share.percent,
        "verdict": result.verdict,
    }
    return json.dumps({"torchscript": facts | {"found": asdict(result)}}, ensure_ascii=False)


def _as_text(result: Examination) -> str:
    share = result.share
    work = (
        f"5 s of speech: encoder {share.encoder_s:.2f} s, velocity {share.velocity_s:.2f} s, "
        f"language model {share.language_model_s:.2f} s; the encoder is {share.percent:.1f} %"
    )
    rows = [
        ("eager, against itself", *_ratio(result.aa), ""),
        ("archive, upstream's way", *_ratio(result.upstream), result.upstream_plans),
        ("archive, our way", *_ratio(result.cosyrt), result.cosyrt_plans),
    ]
    seen = table(("at lengths never seen", "times as fast", "95 % interval", "compiled again"), rows)
    cut = (
        ""
        if result.finished
        else f"\nUpstream's way was stopped: one call took more than {result.limit_s:.0f} s."
    )
    return f"{work}\n\n{seen}{cut}\n\n{result.verdict}"


def _ratio(ratio: Ratio) -> tuple[str, str]:
    return f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"
