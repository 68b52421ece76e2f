"""Figures of the database, as Prometheus reads them."""

from __future__ import annotations

import pytest

from cosyrt.engine.pipeline import Pipeline
from tests.service.served import serving


def test_figures_tell_of_the_database(tiny: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has whether anything can be kept, and how many records wait or were dropped."""
    with serving(tiny) as served:
        page = served.ask("GET", "/metrics").body.decode()
        assert "\ncosyrt_database_up 1.0\n" in page and "\ncosyrt_records_dropped_total 0.0\n" in page
        served.service.database = "the disk is full"
        monkeypatch.setattr(served.service.journal, "dropped", 3)
        page = served.ask("GET", "/metrics").body.decode()
        assert "\ncosyrt_database_up 0.0\n" in page and "\ncosyrt_records_dropped_total 3.0\n" in page
        assert "\ncosyrt_records_waiting " in page
