"""cosyrt doctor: why speech is slow, or an acceleration does not accelerate, by experiment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cosyrt.cli.options import verbose_option
from cosyrt.cli.paths import UserPath
from cosyrt.cli.terminal import progress_bar, table
from cosyrt.errors import UsageError

if TYPE_CHECKING:
    from cosyrt.lab.doctor.diagnosis import Diagnosis
    from cosyrt.lab.doctor.executor import ExecutorReport
    from cosyrt.lab.doctor.setup import Finding
    from cosyrt.lab.timing import Speedup

PART_TITLES = {
    "llm": "language model (llm)",
    "encode": "flow encoder (encode)",
    "velocity": "flow velocity (velocity)",
    "vocode": "vocoder (vocode)",
}
LIMIT_S = 30.0


@click.command()
@click.argument("model", required=False, type=UserPath())
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: the best there is]")
@click.option(
    "--way",
    metavar="NAME",
    default="plan",
    show_default=True,
    help="How the model is run: plan (as cosyrt.load runs it), eager, or the name of a backend.",
)
@click.option(
    "--archives",
    metavar="DIR",
    type=UserPath(exists=True, file_okay=False),
    help="Where the TorchScript archives are, if not in the model folder.",
)
@click.option("--torchscript", is_flag=True, help="Examine the case of the slow TorchScript archive.")
@click.option(
    "--force-fuser",
    is_flag=True,
    help="With --torchscript: switch on the fuser that CPU builds of torch keep off.",
)
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(min=1),
    metavar="S",
    help="With --torchscript: seconds that one call may take.  [default: 30]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@verbose_option
def doctor(
    model: Path | None,
    device: str | None,
    way: str,
    archives: Path | None,
    torchscript: bool,
    force_fuser: bool,
    limit_s: float | None,
    as_json: bool,
) -> None:
    """Why is it slow? Where the time goes, then every cause that was found, with its experiment and its fix.

    MODEL is a model folder; without it, the built-in voice. It ends with 0 whether or not causes are found;
    programs look at `causes` of --json.

    With --torchscript it examines the case of the slow archive: what there is to gain, what is lost, and
    why. Without MODEL that takes an encoder of CosyVoice 2's full size with random weights.

    \b
    cosyrt doctor
    cosyrt doctor CosyVoice2-0.5B --way inductor
    cosyrt doctor --torchscript --force-fuser
    """
    if torchscript:
        _examine(model, device, force_fuser, limit_s or LIMIT_S, as_json)
        return
    for option, given in (("--force-fuser", force_fuser), ("--limit", limit_s)):
        if given:
            raise UsageError(f"{option} is for cosyrt doctor --torchscript; give both, or neither")
    from cosyrt.engine.model import Model
    from cosyrt.lab.doctor.diagnosis import diagnose
    from cosyrt.lab.doctor.setup import Setup

    with progress_bar(hidden=as_json) as show:
        show("measuring where the time goes", None)
        setup = Setup.open(Model.open(model, device), backend=way, archives=archives)
        found = diagnose(setup, lambda step: show(step, None))
    click.echo(_diagnosis_json(found, setup.changed) if as_json else _diagnosis(found))


def _examine(
    model: Path | None, device: str | None, force_fuser: bool, limit_s: float, as_json: bool
) -> None:
    """Examine the case of the slow archive, and print the report."""
    from cosyrt.checkpoint.folder import ModelFolder
    from cosyrt.engine.model import device_of
    from cosyrt.lab.doctor.executor import examine

    with progress_bar(hidden=as_json) as show:
        folder = None if model is None else ModelFolder.open(model)
        result = examine(
            folder,
            device=device_of(device),
            force_fuser=force_fuser,
            limit_s=limit_s,
            on_step=lambda step: show(step, None),
        )
    click.echo(_as_json(result) if as_json else _as_text(result))


def _diagnosis_json(found: Diagnosis, changed: Sequence[str]) -> str:
    whole = sum(found.shares.values())
    shares = {
        part: {"seconds": seconds, "share": seconds / whole, "way": "other" if part in changed else "plain"}
        for part, seconds in found.shares.items()
    }
    findings = [asdict(each) for each in found.findings]
    causes = [each.cause for each in found.named]
    return json.dumps({"shares": shares, "causes": causes, "findings": findings}, ensure_ascii=False)


def _diagnosis(found: Diagnosis) -> str:
    whole = sum(found.shares.values())
    rows = [
        (
            PART_TITLES[part],
            f"{1000 * seconds:.1f}",
            f"{seconds / whole:.1%}",
            f"{1 / (1 - seconds / whole):.2f}",
        )
        for part, seconds in found.shares.items()
    ]
    head = ("one short utterance, the plain way", "ms", "share", "times as fast, if it cost nothing")
    causes = [_cause(number, each) for number, each in enumerate(found.named, 1)]
    others = [_others(found, status) for status in ("ruled out", "not applicable")]
    return "\n\n".join([table(head, rows), *(causes or ["No cause of slowness was found."]), *others])


def _cause(number: int, each: Finding) -> str:
    facts = [("seen", each.seen), ("experiment", each.experiment), ("fix", each.fix)]
    return f"{number}. {each.cause}: {each.status}\n" + table(("", ""), facts, wrapped=True)


def _others(found: Diagnosis, status: str) -> str:
    rows = [
        (each.cause, "; ".join(filter(None, (each.seen, each.experiment))))
        for each in found.findings
        if each.status == status
    ]
    return table((status, ""), rows, wrapped=True) if rows else f"{status}: none"


def _as_json(result: ExecutorReport) -> str:
    speedups = {"aa": result.aa, "upstream": result.upstream, "cosyrt": result.cosyrt}
    found = asdict(result) | {
        name: {"value": each.median, "low": each.low, "high": each.high} for name, each in speedups.items()
    }
    facts = {
        "upstream_speedup": result.upstream.median,
        "cosyrt_speedup": result.cosyrt.median,
        "aa_interval": [result.aa.low, result.aa.high],
        "share_percent": result.share.percent,
        "verdict": result.verdict,
    }
    return json.dumps({"torchscript": facts | {"found": found}}, ensure_ascii=False)


def _as_text(result: ExecutorReport) -> str:
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


def _ratio(found: Speedup) -> tuple[str, str]:
    return f"{found.median:.2f}", f"{found.low:.2f} to {found.high:.2f}"
