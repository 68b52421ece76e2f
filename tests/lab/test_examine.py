"""The examination: what the calls of a re-enactment come to, and one on a tiny model from end to end."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
import torch

from cosyrt.checkpoint.folder import ModelFolder
from cosyrt.errors import SpeechError, UsageError
from cosyrt.lab import examine as examining
from cosyrt.lab.examine import Share, examine, found
from cosyrt.lab.reenact import Call

SHARE = Share(encoder_s=1, velocity_s=39, language_model_s=60)
LENGTHS = (5, 8, 11, 14, 17)


def calls(seconds: dict[str, float], plans: dict[str, int] | None = None, last: bool = True) -> list[Call]:
    """Each way once a length; the last call may be unfinished."""
    made = [
        Call(way=way, tokens=n, seconds=each, plans=(plans or {}).get(way, 0), finished=True)
        for n in LENGTHS
        for way, each in seconds.items()
    ]
    if not last:
        made[-1] = Call(way=made[-1].way, tokens=LENGTHS[-1], seconds=30, plans=4, finished=False)
    return made


OURS = calls({"eager": 1, "eager again": 1.01, "cosyrt": 1.02})


def test_the_share_is_told_first() -> None:
    """A hundredth of the work: nothing more can be gained."""
    result = found(SHARE, OURS, calls({"eager": 1, "upstream": 1}), 30)

    assert result.verdict.startswith("The encoder is 1.0 % of the work: no way to run it can save more.")
    assert "no fuser" in result.verdict
    assert result.cosyrt.value == pytest.approx(1 / 1.02)


def test_plans_for_new_lengths_are_named_as_the_cause() -> None:
    """Fourteen times slower, and the executor's log has it."""
    result = found(SHARE, OURS, calls({"eager": 1, "upstream": 14}, {"upstream": 9}), 30)

    assert result.upstream.value == pytest.approx(1 / 14)
    assert result.upstream_plans == 3 * 9
    assert "takes 14.0 times as long: torch.jit.load leaves the executor at its defaults" in result.verdict
    assert "compiled 27 plans" in result.verdict


def test_a_call_over_the_limit_is_an_answer_too() -> None:
    """It was stopped; what it had compiled until then is known."""
    result = found(SHARE, OURS, calls({"eager": 1, "upstream": 1}, {"upstream": 9}, last=False), 30)

    assert not result.finished
    assert result.slowest_s == 30
    assert "did not end" in result.verdict


@pytest.mark.parametrize("made", [[], OURS[:1], OURS[:2]])
def test_ways_that_were_not_called_are_told(made: list[Call]) -> None:
    """A process that ends before its first call, or a first way that takes all of the limit, says nothing."""
    with pytest.raises(SpeechError, match=r"nothing is known of .* before; give a larger --limit"):
        found(SHARE, made, calls({"eager": 1, "upstream": 1}), 30)
    with pytest.raises(SpeechError, match="nothing is known of upstream"):
        found(SHARE, OURS, made, 30)


def test_an_archive_of_another_signature_is_told(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As older releases of upstream wrote it: torch's reason is passed on, not taken for a lack of memory."""

    class Old(torch.nn.Module):
        def forward(self, xs: torch.Tensor, xs_lens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return xs, xs_lens

    monkeypatch.setattr(examining, "LENGTHS", (5, 8))
    shutil.copytree(tiny_folder, tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(Old().eval()).save(str(tmp_path / "model" / examining.ARCHIVE))  # type: ignore[no-untyped-call]
    with pytest.raises(SpeechError, match=r"the archive could not be run: .*; make it again"):
        examine(ModelFolder.open(tmp_path / "model"), device=torch.device("cpu"), limit_s=60)


def test_slow_without_plans_is_another_cause() -> None:
    """Memory that spills over the bus looks the same and leaves no plans."""
    result = found(SHARE, OURS, calls({"eager": 1, "upstream": 14}), 30)

    assert "look at the memory" in result.verdict


def test_noise_is_no_finding() -> None:
    """Slower by less than eager is against itself."""
    ours = calls({"eager": 1, "eager again": 1.3, "cosyrt": 1})

    assert "loses nothing" in found(SHARE, ours, calls({"eager": 1, "upstream": 1.2}), 30).verdict


def test_from_end_to_end(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the fuser forced on, on a tiny model: the cause is found, and our way has none of it."""
    monkeypatch.setattr(examining, "LENGTHS", (5, 8, 11, 14))
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
    """It says which folder is wrong."""
    folder = ModelFolder(tmp_path, "cosyvoice3", {})

    with pytest.raises(UsageError, match="the case is of CosyVoice 2"):
        examine(folder, device=torch.device("cpu"))
