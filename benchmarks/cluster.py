"""What a cluster costs and brings: first audio direct and through a gateway, then throughput by replicas.

    python -m benchmarks.cluster --requests 12 --texts 24

Everything runs on this machine: `cosyrt serve` and `cosyrt batch`, without a cluster, then on a private one
with one and with two replicas. It needs the extra: `pip install 'cosyrt[cluster]'`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

TEXT = "The quick brown fox jumps over the lazy dog, and nobody in the village says a word about it."
START_S = 180.0
BYTES_A_SECOND = 48_000  # of pcm
AT_ONCE = 8


def on_cluster(replicas: int, cpus: float) -> list[str]:
    """The options of a batch for so many replicas; none without."""
    if not replicas:
        return []
    return ["--cluster", "--replicas", str(replicas), "--replica-cpus", str(cpus)]


@contextmanager
def serving(replicas: int, cpus: float) -> Iterator[int]:
    """A service on a free port with so many replicas; 0: without a cluster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "cosyrt", "serve", "--port", str(port), "--device", "cpu"]
    with tempfile.TemporaryDirectory() as folder:
        chosen = {"DATABASE": f"{folder}/service.db", "STREAMS_PER_KEY": "0"}
        if replicas:
            command.append("--cluster")
            chosen |= {"REPLICAS": str(replicas), "REPLICA_CPUS": str(cpus)}
        environment = {**os.environ, **{f"COSYRT_SERVE_{name}": value for name, value in chosen.items()}}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_ready(port)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_ready(port: int) -> None:
    """Wait until the service is warm."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(0.2)
    raise TimeoutError("the service did not start")


def spoken(port: int, seed: int = 0) -> tuple[float, float]:
    """Ask for speech: seconds until its first byte, and seconds of audio."""
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    body = json.dumps({"input": TEXT, "response_format": "pcm", "seed": seed})
    began = time.monotonic()
    connection.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    first = response.read(1)
    first_s = time.monotonic() - began
    return first_s, len(first + response.read()) / BYTES_A_SECOND


def service_figures(replicas: int, cpus: float, requests: int) -> dict[str, Any]:
    """First audio of requests one after the other, and audio a second of many at once."""
    with serving(replicas, cpus) as port:
        alone = [spoken(port, seed)[0] for seed in range(requests)]
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            made = sum(
                seconds for _, seconds in pool.map(lambda seed: spoken(port, seed), range(2 * AT_ONCE))
            )
        return {
            "first_audio_ms": round(1000 * statistics.median(alone)),
            "audio_s_per_s": round(made / (time.monotonic() - began), 2),
        }


def batch_figures(replicas: int, cpus: float, texts: int) -> float:
    """Seconds of audio a second of a batch, from its first recording to its last."""
    with tempfile.TemporaryDirectory() as folder:
        listed, out = Path(folder) / "list.txt", Path(folder) / "out"
        listed.write_text("".join(f"{TEXT} Number {number}.\n" for number in range(texts)))
        command = [
            sys.executable,
            "-m",
            "cosyrt",
            "batch",
            str(listed),
            str(out),
            "--json",
            "--device",
            "cpu",
        ]
        command += ["--streams", "4", *on_cluster(replicas, cpus)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        entries = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
        written = sorted((out / entry["path"]).stat().st_mtime for entry in entries)
        # The first recording is left out of both: what comes before it is the start.
        return sum(entry["seconds"] for entry in entries[1:]) / (written[-1] - written[0])


def main() -> None:
    """Measure and print a JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=12, help="one after the other, for first audio")
    parser.add_argument("--texts", type=int, default=24, help="of the batch")
    parser.add_argument("--cpus", type=float, default=1.0, help="that each replica takes")
    arguments = parser.parse_args()
    found = {}
    for name, replicas in (("direct", 0), ("1 replica", 1), ("2 replicas", 2)):
        service = service_figures(replicas, arguments.cpus, arguments.requests)
        batched = batch_figures(replicas, arguments.cpus, arguments.texts)
        found[name] = {**service, "batch_audio_s_per_s": round(batched, 2)}
        print(name, found[name], file=sys.stderr, flush=True)
    machine = {"cores": os.cpu_count(), "processor": platform.processor(), "asked": vars(arguments)}
    print(json.dumps({"machine": machine, "found": found}))


if __name__ == "__main__":
    main()
