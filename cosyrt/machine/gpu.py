"""Graphics cards: what is known of them, how busy one is, how fast its memory is.

NVIDIA's management library (NVML) is asked through the package nvidia-ml-py; it comes with the driver. Where
it is absent, torch says what it knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from cosyrt.machine.facts import Gpu
from cosyrt.units import MIB

BLOCK_MB = 64
COPIES = 3  # of each block; the fastest counts
EVERY_S = 0.2  # between two looks at how busy a card is

T = TypeVar("T")


def find_gpus() -> tuple[tuple[Gpu, ...], str]:
    """The graphics cards of this machine with CUDA, and what is wrong with their driver if something is."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return tuple(_gpus_of_torch()), ""
    except pynvml.NVMLError as error:
        return (), f"the NVIDIA driver cannot be asked ({error}): it is not loaded or does not match; reboot"
    try:
        return tuple(_gpus_of_nvml(pynvml)), ""
    finally:
        pynvml.nvmlShutdown()


def _gpus_of_nvml(nvml: Any) -> Iterator[Gpu]:
    version = _known(nvml, nvml.nvmlSystemGetCudaDriverVersion)  # 12040 is 12.4
    for number in range(nvml.nvmlDeviceGetCount()):
        card = nvml.nvmlDeviceGetHandleByIndex(number)
        memory = _known(nvml, nvml.nvmlDeviceGetMemoryInfo, card)
        capability = _known(nvml, nvml.nvmlDeviceGetCudaComputeCapability, card)
        rates = _known(nvml, nvml.nvmlDeviceGetUtilizationRates, card)
        yield Gpu(
            name=nvml.nvmlDeviceGetName(card),
            memory_mb=memory.total // MIB if memory else 0,
            used_mb=memory.used // MIB if memory else 0,
            capability="{}.{}".format(*capability) if capability else None,
            driver=_known(nvml, nvml.nvmlSystemGetDriverVersion),
            cuda=f"{version // 1000}.{version % 1000 // 10}" if version else None,
            utilisation_percent=rates.gpu if rates else None,
        )


def _known(nvml: Any, ask: Callable[..., T], *args: object) -> T | None:
    """Ask NVML; None where a card does not support the question, as in a laptop or a virtual machine."""
    try:
        return ask(*args)
    except nvml.NVMLError:
        return None


def _gpus_of_torch() -> Iterator[Gpu]:
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        yield Gpu(
            name=facts.name,
            memory_mb=total // MIB,
            used_mb=(total - free) // MIB,
            capability=f"{facts.major}.{facts.minor}",
        )


class GpuLoad:
    """Collects how busy a card is, in percent, while something runs; nothing where NVML is absent."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._running: str | None = None
        self._seen: dict[str, list[float]] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at the card five times a second until the block ends."""
        percent = _utilisation(self.device)
        if percent is None:
            yield
            return
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(percent, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count what is seen during the block for `name`."""
        self._running = name
        try:
            yield
        finally:
            self._running = None

    def percent(self, name: str) -> float | None:
        """The mean of what was seen for a name; None where nothing was."""
        seen = self._seen.get(name)
        return fmean(seen) if seen else None

    def _watch(self, percent: Callable[[], float | None], done: threading.Event) -> None:
        while not done.wait(EVERY_S):
            name, seen = self._running, percent()
            if name is not None and seen is not None:
                self._seen.setdefault(name, []).append(seen)


def _utilisation(device: torch.device) -> Callable[[], float | None] | None:
    """A function that says how busy a card is, in percent; None where NVML does not know the card."""
    import pynvml

    if device.type != "cuda":
        return None
    try:
        pynvml.nvmlInit()  # until the process ends
        # By its identity: CUDA and NVML count the cards each in their own order.
        uuid = torch.cuda.get_device_properties(device).uuid
        card = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return None

    def percent() -> float | None:
        rates = _known(pynvml, pynvml.nvmlDeviceGetUtilizationRates, card)
        return None if rates is None else float(rates.gpu)

    return percent


class Card(Protocol):
    """A card's memory, as the doctor examines it."""

    @property
    def total_mb(self) -> float:
        """The memory of the card."""

    @property
    def free_mb(self) -> float:
        """Memory that no process has taken."""

    @property
    def reserved_mb(self) -> float:
        """Memory that torch has taken in this process."""

    def copy_rates(self, blocks: int) -> list[float]:
        """Take blocks of 64 MiB one after another and copy within each: GB/s; shorter if one is refused."""


class CudaCard:
    """The memory of a card by torch.cuda."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def total_mb(self) -> float:
        """The memory of the card."""
        return float(torch.cuda.mem_get_info(self.device)[1] / MIB)

    @property
    def free_mb(self) -> float:
        """Memory that no process has taken."""
        return float(torch.cuda.mem_get_info(self.device)[0] / MIB)

    @property
    def reserved_mb(self) -> float:
        """Memory that torch has taken in this process."""
        return torch.cuda.memory_reserved(self.device) / MIB

    def copy_rates(self, blocks: int) -> list[float]:
        """Take blocks of 64 MiB one after another and copy within each: GB/s; shorter if one is refused."""
        torch.cuda.empty_cache()  # so that each block is taken from the card
        taken: list[Tensor] = []
        rates: list[float] = []
        try:
            for _ in range(blocks):
                taken.append(torch.empty(BLOCK_MB * MIB, dtype=torch.uint8, device=self.device))
                rates.append(max(self._copied(taken[-1]) for _ in range(COPIES)))
        except torch.cuda.OutOfMemoryError:
            return rates
        finally:
            taken.clear()
            torch.cuda.empty_cache()
        return rates

    def _copied(self, block: Tensor) -> float:
        """GB/s of one copy within a block."""
        half = block.numel() // 2
        torch.cuda.synchronize(self.device)
        begin = time.perf_counter()
        block[:half].copy_(block[half:])
        torch.cuda.synchronize(self.device)
        return half / (time.perf_counter() - begin) / 1e9
