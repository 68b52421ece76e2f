"""Graphics cards: what NVML tells of them, how busy one is, and its memory as torch tells it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from cosyrt.machine import gpu
from cosyrt.machine.facts import Gpu
from cosyrt.machine.gpu import BLOCK_MB, CudaCard, GpuLoad, find_gpus
from cosyrt.units import MIB

CARD = Gpu(
    name="NVIDIA GeForce RTX 2050",
    memory_mb=4096,
    used_mb=379,
    capability="8.6",
    driver="552.22",
    cuda="12.4",
    utilisation_percent=19,
)
ANSWERS: dict[str, Callable[..., Any]] = {
    "nvmlInit": lambda: None,
    "nvmlShutdown": lambda: None,
    "nvmlSystemGetCudaDriverVersion": lambda: 12_040,
    "nvmlSystemGetDriverVersion": lambda: "552.22",
    "nvmlDeviceGetCount": lambda: 1,
    "nvmlDeviceGetHandleByIndex": lambda number: number,
    "nvmlDeviceGetHandleByUUID": lambda uuid: {"GPU-1234": 1}[uuid],
    "nvmlDeviceGetName": lambda card: "NVIDIA GeForce RTX 2050",
    "nvmlDeviceGetMemoryInfo": lambda card: SimpleNamespace(total=4096 * MIB, used=379 * MIB),
    "nvmlDeviceGetCudaComputeCapability": lambda card: (8, 6),
    "nvmlDeviceGetUtilizationRates": lambda card: SimpleNamespace(gpu=19),
}


def refuse(error: int) -> Callable[..., Any]:
    """An answer of NVML that is an error."""

    def answer(*_: object) -> Any:
        raise pynvml.NVMLError(error)

    return answer


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes NVML answer as on a machine with one card, but for what is given."""

    def install(**others: Callable[..., Any]) -> None:
        for name, answer in (ANSWERS | others).items():
            assert hasattr(pynvml, name)
            monkeypatch.setattr(pynvml, name, answer)

    return install


def test_nvml_is_asked(answers: Callable[..., None]) -> None:
    """NVML tells everything about a card, in mebibytes, and the newest CUDA that its driver supports."""
    answers()

    assert find_gpus() == ((CARD,), "")


def test_what_a_card_does_not_tell_is_unknown(answers: Callable[..., None]) -> None:
    """Cards of laptops and virtual ones do not support every question."""
    no = refuse(pynvml.NVML_ERROR_NOT_SUPPORTED)
    answers(nvmlDeviceGetUtilizationRates=no, nvmlSystemGetCudaDriverVersion=no, nvmlDeviceGetMemoryInfo=no)
    ((card,), wrong) = find_gpus()

    assert (card.utilisation_percent, card.cuda, card.memory_mb, wrong) == (None, None, 0, "")
    assert (card.name, card.capability) == (CARD.name, CARD.capability)


def test_a_broken_driver_is_told(answers: Callable[..., None]) -> None:
    """A driver that does not answer is a note, not an exception, and no card."""
    answers(nvmlInit=refuse(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH))
    found, wrong = find_gpus()

    assert found == () and "does not match; reboot" in wrong


def test_without_nvml_torch_is_asked(answers: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the driver's library is absent, torch knows name, memory and capability."""
    answers(nvmlInit=refuse(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    facts = SimpleNamespace(name="a card", major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: facts)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (100 * MIB, 300 * MIB))

    assert find_gpus() == ((Gpu(name="a card", memory_mb=300, used_mb=200, capability="9.0"),), "")


def percent(load: GpuLoad, name: str) -> float:
    """The first figure that is seen for a name."""
    while (seen := load.percent(name)) is None:
        time.sleep(0.01)
    return seen


def test_what_is_seen_belongs_to_what_runs(
    answers: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each name gets the figures of its own time, of the card that torch runs on."""
    cards = ["abcd", "1234"]
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda card: SimpleNamespace(uuid=cards[card.index])
    )
    monkeypatch.setattr(gpu, "EVERY_S", 0.001)
    busy = SimpleNamespace(gpu=80)
    answers(nvmlDeviceGetUtilizationRates=lambda card: busy if card == 1 else None)
    load = GpuLoad(torch.device("cuda", 1))
    with load.watched():
        with load.of("one"):
            assert percent(load, "one") == 80
        busy.gpu = 20
        with load.of("two"):
            assert percent(load, "two") == 20

    assert load.percent("one") == 80 and load.percent("three") is None


@pytest.mark.parametrize("device", ["cuda:1", "cpu"])
def test_nothing_is_seen_where_there_is_none(answers: Callable[..., None], device: str) -> None:
    """Without NVML, or for a model on the CPU, there is no figure."""
    answers(nvmlInit=refuse(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    load = GpuLoad(torch.device(device))
    with load.watched(), load.of("one"):
        pass
    assert load.percent("one") is None


class Block:
    """Memory that remembers how much of it there is."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def numel(self) -> int:
        return BLOCK_MB << 20

    def __getitem__(self, part: slice) -> Block:
        return self

    def copy_(self, other: Block) -> None:
        self.log.append("copied")


def test_blocks_are_taken_until_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates of those that were there, and everything is given back."""
    log: list[str] = []

    def empty(*_size: int, **_kind: object) -> Block:
        if log.count("taken") == 2:
            raise torch.cuda.OutOfMemoryError("full")
        log.append("taken")
        return Block(log)

    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: log.append("given back"))
    rates = CudaCard(torch.device("cuda")).copy_rates(8)

    assert len(rates) == 2 and all(rate > 0 for rate in rates)
    assert log.count("copied") == 6
    assert (log[0], log[-1]) == ("given back", "given back")


@pytest.mark.gpu
def test_a_real_card_has_memory_and_copies_within_it() -> None:
    """What is free is at most what there is, and copies run at gigabytes a second."""
    card = CudaCard(torch.device("cuda", 0))

    assert 0 < card.free_mb <= card.total_mb
    assert min(card.copy_rates(2)) > 1


@pytest.mark.gpu
def test_nvml_and_torch_know_the_same_card() -> None:
    """Name, capability and memory of a real card agree, and it is busy while it works."""
    device = torch.device("cuda", torch.cuda.current_device())
    facts, (found, wrong) = torch.cuda.get_device_properties(device), find_gpus()
    same = [card for card in found if card.name == facts.name]

    assert wrong == "" and same and same[0].reaches(facts.major, facts.minor)
    assert same[0].memory_mb == pytest.approx(facts.total_memory / MIB, rel=0.05)
    load, x = GpuLoad(device), torch.randn(4096, 4096, device=device)
    with load.watched(), load.of("work"):
        while load.percent("work") is None:
            x = (x @ x).clamp(-1, 1)
