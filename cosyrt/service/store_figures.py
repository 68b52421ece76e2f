"""Figures of the database and of what waits to be written, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cosyrt.service.journal import Journal


class StoreFigures(Collector):
    """What is true of the database at the moment it is asked for; asking does not touch it."""

    def __init__(self, journal: Journal, trouble: Callable[[], str]) -> None:
        self._journal, self._trouble = journal, trouble

    def collect(self) -> Iterator[Metric]:
        """Give whether anything can be kept, and how many records wait or were lost."""
        up = "1 when the database took a write within the last minute."
        yield GaugeMetricFamily("cosyrt_database_up", up, float(not self._trouble()))
        waiting = "Records of requests and labels that are not written yet."
        yield GaugeMetricFamily("cosyrt_records_waiting", waiting, float(self._journal.waiting))
        dropped = "Records that were never written, for the database was gone or too slow."
        yield CounterMetricFamily("cosyrt_records_dropped", dropped, float(self._journal.dropped))
