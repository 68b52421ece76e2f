"""What machines ask for: life, readiness and figures; and the dashboard that shows the figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cosyrt
from cosyrt.engine.pipeline import Pipeline
from tests.service.served import Served, serving

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"


def figures(served: Served) -> dict[str, float]:
    """The figures by name and labels."""
    lines = served.ask("GET", "/metrics").body.decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def test_life_and_readiness(served: Served) -> None:
    """A warm service is ready and says with what."""
    assert served.ask("GET", "/health").json == {"status": "ok", "version": cosyrt.__version__}
    ready = served.ask("GET", "/ready")

    assert (ready.status, ready.json["ready"], ready.json["device"]) == (200, True, "cpu")


def test_figures_follow_the_work(tiny: Pipeline) -> None:
    """A request is counted with its first audio, its audio and its end; a refusal as what it was."""
    with serving(tiny) as served:
        before = figures(served)
        body = served.speak("Hi.", response_format="pcm").body
        served.speak("")
        after = figures(served)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown("cosyrt_audio_seconds_total") == len(body) / 48_000
    assert grown("cosyrt_first_audio_seconds_count") == grown("cosyrt_rtf_count") == 1
    assert grown('cosyrt_speech_total{end="done"}') == 1
    assert grown('cosyrt_requests_total{route="/v1/audio/speech",status="200"}') == 1
    assert grown('cosyrt_requests_total{route="/v1/audio/speech",status="400"}') == 1
    assert (after["cosyrt_active"], after["cosyrt_queued"], after["cosyrt_ready"]) == (0, 0, 1)
    assert after["cosyrt_memory_bytes"] > 50_000_000


def test_a_path_is_no_label(served: Served) -> None:
    """Addresses that are none do not become labels, of which there would be no end."""
    for number in range(3):
        served.ask("GET", f"/nothing/{number}")

    assert not [name for name in figures(served) if "nothing" in name]


def test_the_dashboard_asks_for_figures_that_there_are(served: Served) -> None:
    """Every name in docs/grafana.json is one of /metrics."""
    served.speak("Hi.")
    known = {re.split(r"[{ ]", name)[0] for name in figures(served)}
    known |= set(re.findall(r"^# TYPE (\S+)", served.ask("GET", "/metrics").body.decode(), re.MULTILINE))
    panels = json.loads(DASHBOARD.read_bytes())["panels"]
    asked = {
        name
        for panel in panels
        for target in panel.get("targets", [])
        for name in re.findall(r"cosyrt_\w+", target["expr"])
    }

    assert len(asked) >= 12
    assert asked <= known
