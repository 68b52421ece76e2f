"""Figures for Prometheus: what clients wait for, what the machine does, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import torch
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import cosyrt
from cosyrt.accel import guard
from cosyrt.accel.plan import Plan
from cosyrt.engine.scheduler import Load
from cosyrt.machine.gpu import find_gpus
from cosyrt.service.figures import Figures

WAIT_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60)
GAP_S = (0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
RTF = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 4, 8)


class Metrics:
    """The figures of one service, in a registry of its own."""

    def __init__(
        self, load: Callable[[], Load], ready: Callable[[], bool], device: torch.device, plan: Plan | None
    ) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Machine(load, ready, device, plan))
        self._requests = Counter(
            "cosyrt_requests", "Requests that were answered.", ["route", "status"], registry=self.registry
        )
        self._first_audio = self._histogram(
            "first_audio_seconds", "From a request to its first audio.", WAIT_S
        )
        self._rtf = self._histogram("rtf", "Seconds a request took, for each second of its audio.", RTF)
        self._gap = self._histogram(
            "gap_seconds", "Longest silence of a player that began with the first audio.", GAP_S
        )
        self._audio = Counter("cosyrt_audio_seconds", "Audio that was sent.", registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"cosyrt_{name}", about, buckets=buckets, registry=self.registry)

    def answered(self, route: str, status: int) -> None:
        """Count a request and how it was answered."""
        self._requests.labels(route, str(status)).inc()

    def spoken(self, figures: Figures) -> None:
        """Note how one request for speech went, whole or not."""
        if figures.first_audio_s is None:
            return
        self._first_audio.observe(figures.first_audio_s)
        self._gap.observe(figures.longest_gap_s)
        self._rtf.observe(figures.took_s / figures.audio_s)
        self._audio.inc(figures.audio_s)

    def page(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self.registry)


class _Machine(Collector):
    """What is true at the moment it is asked for."""

    def __init__(
        self, load: Callable[[], Load], ready: Callable[[], bool], device: torch.device, plan: Plan | None
    ) -> None:
        self.load, self.ready, self.device, self.plan = load, ready, device, plan

    def collect(self) -> Iterator[Metric]:
        """Give the scheduler's load, the plan and its fallbacks, and the memory of the process."""
        load = self.load()
        for name, about, value in (
            ("active", "Requests that are being spoken.", load.active),
            ("parked", "Requests whose reader has more audio than it reads.", load.parked),
            ("queued", "Requests that wait for their turn.", load.queued),
            ("max_active", "Requests that may be spoken at once.", load.max_active),
            ("max_queue", "Requests that may wait.", load.max_queue),
            ("wait_seconds", "Until what waits now is being spoken.", load.wait_s),
            ("unread_audio_seconds", "Audio that was made and not read yet.", load.unread_s),
            ("ready", "1 when requests are answered at full speed.", float(self.ready())),
            ("memory_bytes", "Resident memory of the process.", psutil.Process().memory_info().rss),
        ):
            yield GaugeMetricFamily(f"cosyrt_{name}", about, float(value))
        yield self._ended(load)
        yield CounterMetricFamily("cosyrt_busy_seconds", "Time in which speech was made.", load.busy_s)
        yield CounterMetricFamily("cosyrt_made_audio_seconds", "Audio that was made.", load.audio_s)
        yield from self._plan()
        yield from self._card()

    @staticmethod
    def _ended(load: Load) -> Metric:
        ended = CounterMetricFamily(
            "cosyrt_speech", "Requests for speech, by how they ended.", labels=["end"]
        )
        for name in ("done", "failed", "cancelled", "refused"):
            ended.add_metric([name], getattr(load, name))
        return ended

    def _plan(self) -> Iterator[Metric]:
        fallbacks = CounterMetricFamily(
            "cosyrt_fallbacks",
            "Parts of the plan that became plain again.",
            labels=["part", "backend", "kind"],
        )
        for event, count in guard.events.items():
            fallbacks.add_metric([event.part, event.backend, event.kind], count)
        yield fallbacks
        used = GaugeMetricFamily("cosyrt_plan", "1 where a backend runs a part.", labels=["part", "backend"])
        if self.plan is not None:
            for part, planned in self.plan.parts.items():
                is_used = not guard.disabled(self.plan.made_for["model"], part)
                used.add_metric([part, planned.backend], float(is_used))
        yield used
        build = GaugeMetricFamily("cosyrt_build", "The version.", labels=["version"])
        build.add_metric([cosyrt.__version__], 1)
        yield build

    def _card(self) -> Iterator[Metric]:
        """The graphics card that the model is on; nothing of it where it is on none."""
        memory = GaugeMetricFamily("cosyrt_device_memory_bytes", "Memory of the graphics card in use.")
        busy = GaugeMetricFamily("cosyrt_device_utilisation", "Share of time that the card was busy.")
        if self.device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            memory.add_metric([], total - free)
            gpus, _ = find_gpus()
            index = self.device.index or 0
            if index < len(gpus) and (percent := gpus[index].utilisation_percent) is not None:
                busy.add_metric([], percent / 100)
        yield memory
        yield busy
