"""Why is it slow? Every known cause is looked for in turn, each with the experiment that decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cosyrt.accel.contract import Part
from cosyrt.lab.doctor.hardware import memory_spill, threads, tiny_share
from cosyrt.lab.doctor.lengths import executor_settings, respecialisation
from cosyrt.lab.doctor.packages import mislabelled, two_onnxruntimes, version_mismatch
from cosyrt.lab.doctor.setup import Finding, Setup

# In this order: the executor's settings must be looked at before anything else runs the stages.
CAUSES: tuple[Callable[[Setup], Finding], ...] = (
    tiny_share,
    version_mismatch,
    two_onnxruntimes,
    mislabelled,
    executor_settings,
    memory_spill,
    respecialisation,
    threads,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Where the time goes, and what was found of every cause."""

    shares: dict[Part, float]  # seconds of each part for a short utterance in eager
    findings: tuple[Finding, ...]

    @property
    def named(self) -> list[Finding]:
        """Causes that are there, the confirmed ones first."""
        return sorted((one for one in self.findings if one.named), key=lambda one: one.status)


def diagnose(setup: Setup, on_step: Callable[[str], object] = lambda step: None) -> Diagnosis:
    """Look for every cause; what a stage raises is passed on. `on_step` is told what is looked for."""
    findings = []
    for number, cause in enumerate(CAUSES, 1):
        on_step(f"{number} of {len(CAUSES)}: {cause.__name__.replace('_', ' ')}")
        findings.append(cause(setup))
    return Diagnosis(shares=dict(setup.shares), findings=tuple(findings))
