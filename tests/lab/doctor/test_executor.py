"""TorchScript's executor: upstream's way compiles again for lengths never seen, ours never does."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import SpeechError, UsageError
from cosyrt.lab.child import Child
from cosyrt.lab.doctor import executor
from cosyrt.lab.doctor.executor import (
    PLAN_LINE,
    EncoderCall,
    Experiment,
    WorkShare,
    _received,
    encoder_calls,
    examine,
    report_of,
)
from cosyrt.lab.export import Exported
from tests.tiny import FLOW

SHARE = WorkShare(encoder_s=1, velocity_s=39, language_model_s=60)
LENGTHS = (5, 8, 11, 14, 17)


def calls(
    seconds: dict[str, float], plans: dict[str, int] | None = None, last: bool = True
) -> list[EncoderCall]:
    """Make one call of each variant at each length; the last call may be unfinished."""
    made = [
        EncoderCall(variant=name, tokens=n, seconds=each, plans=(plans or {}).get(name, 0), finished=True)
        for n in LENGTHS
        for name, each in seconds.items()
    ]
    if not last:
        made[-1] = EncoderCall(
            variant=made[-1].variant, tokens=LENGTHS[-1], seconds=30, plans=4, finished=False
        )
    return made


OURS = calls({"eager": 1, "eager again": 1.01, "cosyrt": 1.02})


def test_the_share_is_told_first() -> None:
    """A hundredth of the work: nothing more can be gained."""
    result = report_of(SHARE, OURS, calls({"eager": 1, "upstream": 1}), 30)

    assert result.verdict.startswith("The encoder is 1.0 % of the work: no way to run it can save more.")
    assert "no fuser" in result.verdict
    assert result.cosyrt.median == pytest.approx(1 / 1.02)


def test_plans_for_new_lengths_are_named_as_the_cause() -> None:
    """Fourteen times slower, and the executor's log has it."""
    result = report_of(SHARE, OURS, calls({"eager": 1, "upstream": 14}, {"upstream": 9}), 30)

    assert result.upstream.median == pytest.approx(1 / 14)
    assert result.upstream_plans == 3 * 9
    assert "takes 14.0 times as long: torch.jit.load leaves the executor at its defaults" in result.verdict
    assert "compiled 27 plans" in result.verdict


def test_a_call_over_the_limit_is_an_answer_too() -> None:
    """A call that was stopped still tells how many plans it had compiled."""
    result = report_of(SHARE, OURS, calls({"eager": 1, "upstream": 1}, {"upstream": 9}, last=False), 30)

    assert not result.finished
    assert result.slowest_s == 30
    assert "did not end" in result.verdict


@pytest.mark.parametrize("made", [[], OURS[:1], OURS[:2]])
def test_ways_that_were_not_called_are_told(made: list[EncoderCall]) -> None:
    """A process that ends before its first call, or a first way that takes all of the limit, says nothing."""
    with pytest.raises(SpeechError, match=r"nothing is known of .* before; give a larger --limit"):
        report_of(SHARE, made, calls({"eager": 1, "upstream": 1}), 30)
    with pytest.raises(SpeechError, match="nothing is known of upstream"):
        report_of(SHARE, OURS, made, 30)


@pytest.mark.slow
def test_an_archive_of_another_signature_is_told(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As older releases of upstream wrote it: torch's reason is passed on, not taken for a lack of memory."""

    class Old(torch.nn.Module):
        def forward(self, xs: torch.Tensor, xs_lens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return xs, xs_lens

    monkeypatch.setattr(executor, "UNSEEN_LENGTHS", (5, 8))
    shutil.copytree(tiny_folder, tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(Old().eval()).save(str(tmp_path / "model" / executor.ARCHIVE_NAME))  # type: ignore[no-untyped-call]
    with pytest.raises(SpeechError, match=r"the archive could not be run: .*; make it again"):
        examine(ModelFolder.open(tmp_path / "model"), device=torch.device("cpu"), limit_s=60)


def test_slow_without_plans_is_another_cause() -> None:
    """Memory that spills over the bus looks the same and leaves no plans."""
    result = report_of(SHARE, OURS, calls({"eager": 1, "upstream": 14}), 30)

    assert "look at the memory" in result.verdict


def test_noise_is_no_finding() -> None:
    """Slower by less than eager is against itself."""
    ours = calls({"eager": 1, "eager again": 1.3, "cosyrt": 1})

    assert "loses nothing" in report_of(SHARE, ours, calls({"eager": 1, "upstream": 1.2}), 30).verdict


@pytest.mark.slow
def test_from_end_to_end(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the fuser forced on, on a tiny model: the cause is found, and our way has none of it."""
    monkeypatch.setattr(executor, "UNSEEN_LENGTHS", (5, 8, 11, 14))
    told: list[str] = []
    result = examine(
        ModelFolder.open(tiny_folder),
        device=torch.device("cpu"),
        force_fuser=True,
        limit_s=120,
        on_step=told.append,
    )

    assert len(told) == 3
    assert result.upstream_plans > 0
    assert result.cosyrt_plans == 0
    assert 0 < result.share.percent < 100


def test_other_families_have_no_such_case(tmp_path: Path) -> None:
    """The error says which folder is wrong."""
    folder = ModelFolder(tmp_path, "cosyvoice3", {})

    with pytest.raises(UsageError, match="the case is of CosyVoice 2"):
        examine(folder, device=torch.device("cpu"))


REPEATED = (5, 8, 11, 14, 17, 5, 8)  # the last two have been seen


def experiment(exported: dict[str, Exported], **change: object) -> Experiment:
    fields = {"variants": ("cosyrt", "upstream"), "lengths": REPEATED} | change
    archive = str(exported["fp32"].path)
    return Experiment(archive=archive, config=asdict(FLOW.encoder), **fields)  # type: ignore[arg-type]


def plans(calls: list[EncoderCall], variant: str) -> list[int]:
    assert all(call.finished for call in calls)
    return [call.plans for call in calls if call.variant == variant]


@pytest.fixture(scope="module")
def forced(exported: dict[str, Exported]) -> list[EncoderCall]:
    """Both variants in turn, in one process, with the fuser forced on."""
    return encoder_calls(experiment(exported, force_fuser=True), limit_s=120)


def test_upstreams_way_respecialises_over_lengths_never_seen(forced: list[EncoderCall]) -> None:
    """The first call is profiled, the second planned; after that plans are made for new lengths only."""
    made = plans(forced, "upstream")

    assert sum(made[2:5]) > 0
    assert made[5:] == [0, 0]


def test_ours_does_not(forced: list[EncoderCall]) -> None:
    """Not one plan is specialised, at the first call or later."""
    assert plans(forced, "cosyrt") == [0] * len(REPEATED)


@pytest.mark.slow
def test_ours_leaves_the_rest_of_the_process_as_it_was(
    exported: dict[str, Exported], forced: list[EncoderCall]
) -> None:
    """Upstream's way makes as many plans beside ours as it makes alone."""
    alone = encoder_calls(experiment(exported, variants=("upstream",), force_fuser=True), limit_s=120)

    assert plans(alone, "upstream") == plans(forced, "upstream")


@pytest.mark.slow
def test_a_call_over_the_limit_is_the_last(exported: dict[str, Exported]) -> None:
    """The call is reported as unfinished, and nothing comes after it."""
    calls = encoder_calls(experiment(exported, variants=("eager",), lengths=(60_000, 5)), limit_s=0.01)

    assert [(call.variant, call.tokens, call.finished) for call in calls] == [("eager", 60_000, False)]


def _logs_on(log: str) -> Iterator[tuple[EncoderCall, int]]:
    with Path(log).open("ab") as file:
        file.write(PLAN_LINE)  # before the call: it does not count
        file.flush()
        yield EncoderCall(variant="upstream", tokens=57), file.tell()
        while True:
            os.write(file.fileno(), PLAN_LINE + b"\n")
            time.sleep(0.01)


@pytest.mark.slow
def test_the_limit_holds_while_the_executor_keeps_logging(tmp_path: Path) -> None:
    """Plans that are made one after another do not put it off; those made until then are counted."""
    log = tmp_path / "executor.log"
    with Child(_logs_on, str(log)) as child:
        (call,) = _received(child, log, limit_s=0.5)

    assert not call.finished
    assert call.seconds < 30
    assert 0 < call.plans < 500
