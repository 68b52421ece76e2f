"""The files of deploy/: what can be checked without the programs that they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosyrt.service.settings import PREFIX, Settings
from tests.deploy.balancer import configuration

DEPLOY = Path(__file__).parents[2] / "deploy"
NAMES = {PREFIX + name.upper() for name in Settings.__dataclass_fields__}


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def test_variables_are_settings_of_the_service() -> None:
    """Every variable in these files is a setting that there is."""
    for path in DEPLOY.iterdir():
        used = set(re.findall(rf"{PREFIX}[A-Z_]+", path.read_text()))
        assert used <= NAMES, f"{path.name}: {used - NAMES}"


def test_limits_fit_those_of_the_service() -> None:
    """The balancer takes the largest upload, and waits longer than the service lets anybody wait."""
    settings, text = Settings(), (DEPLOY / "nginx.conf").read_text()
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m", text)
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s", text)

    assert int(megabytes) * 1024**2 > settings.max_upload
    assert int(seconds) > settings.first_audio_s


def test_compose_stops_after_the_drain() -> None:
    """Two replicas share a database, and are given more time to stop than their streams."""
    (found,) = documents("compose.replicas.yaml")
    one, two = found["services"]["one"], found["services"]["two"]

    assert one == two and "postgresql://" in one["environment"][f"{PREFIX}DATABASE"]
    assert int(one["stop_grace_period"].removesuffix("s")) > Settings().drain_s


def test_kubernetes_probes_what_there_is() -> None:
    """Ready before traffic, alive by /health, a GPU each, and time to drain before the end."""
    deployment, service = documents("kubernetes.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + Settings().drain_s
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed (Debian: nginx-light)")
def test_nginx_reads_its_file(tmp_path: Path) -> None:
    """The real program finds no mistake in it."""
    path = configuration(tmp_path, 8080, 8001, 8002)
    done = subprocess.run(["nginx", "-t", "-c", path, "-p", tmp_path], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
