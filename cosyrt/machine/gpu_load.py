"""How busy the GPU is while something runs: nvidia-smi, asked five times a second."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean

import torch

EVERY_MS = 200


class GpuLoad:
    """Collects how busy a card is, in percent, while something runs. Without nvidia-smi there is nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.program = shutil.which("nvidia-smi") if device.type == "cuda" else None
        self._running: str | None = None
        self._seen: dict[str, list[float]] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """nvidia-smi runs as long as this does."""
        if self.program is None:
            yield
            return
        # Not by its number: CUDA and nvidia-smi count the cards each in their own order.
        card = f"--id=GPU-{torch.cuda.get_device_properties(self.device).uuid}"
        query = (self.program, card, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")
        command = [*query, f"-lms={EVERY_MS}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            reader = threading.Thread(target=self._read, args=(process,), daemon=True)
            reader.start()
            try:
                yield
            finally:
                process.kill()
                reader.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            running = self._running
            if running is not None and line.strip().isdecimal():
                self._seen.setdefault(running, []).append(float(line))

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """What is seen meanwhile is of `name`."""
        self._running = name
        try:
            yield
        finally:
            self._running = None

    def percent(self, name: str) -> float | None:
        """The mean; None where nothing was seen."""
        seen = self._seen.get(name)
        return fmean(seen) if seen else None
