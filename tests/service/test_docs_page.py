"""GET /docs: every route is on it, nothing on it runs or comes from elsewhere."""

from __future__ import annotations

import re

from tests.service.served import Served


def test_every_route_is_on_the_page(served: Served) -> None:
    """HTTP routes with their fields, and sockets."""
    page = served.ask("GET", "/docs").body.decode()
    document = served.ask("GET", "/openapi.json").json

    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page
    assert "<code>WebSocket /v1/realtime</code>" in page
    for field in ("response_format", "ref_audio", "audio_sample"):
        assert f"<td>{field}</td>" in page
    assert "number 0.25 to 4.0, 1.0 unless given" in page


def test_nothing_runs_and_nothing_is_fetched(served: Served) -> None:
    """The page has no script, loads nothing, and forbids both."""
    answer = served.ask("GET", "/docs")
    page = answer.body.decode()

    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert not re.search(r"<script|<link|<img|src=|https?:|@import|url\(", page)
