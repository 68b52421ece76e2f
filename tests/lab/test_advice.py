"""Advice: the card of the seeds, other cards, CPUs; reasons for each option; measuring outdoes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cosyrt.accel.contract import Advice
from cosyrt.accel.footprint import COSYVOICE_2, COSYVOICE_3
from cosyrt.accel.plan import Plan, Planned, surroundings
from cosyrt.accel.registry import BACKENDS
from cosyrt.lab.advice import OptionAdvice, advise, measured_here, memory_needs, options
from cosyrt.machine.facts import Cpu, Gpu, Machine

RTX_2050 = Machine.read(Path(__file__).parents[1] / "machine" / "machines" / "rtx2050.json")
LARGE = Machine(
    system="Linux x86_64",
    gpus=(Gpu(name="L20", memory_mb=46_068, capability="8.9"),),
    runtimes={"triton": "3.9.0", "tensorrt": "11.4.0.106", "onnxruntime-gpu": "1.31.1"},
)
PLAIN = Machine(
    system="Linux x86_64", cpu=Cpu(name="old", cores=2, instruction_sets=("avx2",)), ram_free_mb=3_000
)
MODERN = replace(PLAIN, cpu=Cpu(cores=2, instruction_sets=("avx512_bf16", "avx512_vnni")))
EVERY = {"RTX 2050": RTX_2050, "large": LARGE, "plain": PLAIN, "modern": MODERN, "unknown": Machine()}


def of(machine: Machine, option: str) -> OptionAdvice:
    (found,) = (each for each in advise(machine) if each.option.startswith(option))
    return found


@pytest.mark.parametrize("machine", EVERY.values(), ids=EVERY.keys())
def test_every_option_has_a_verdict_and_a_reason(machine: Machine) -> None:
    """Nothing is left out, whatever is known of the machine, and nothing claims to be measured."""
    advice = advise(machine)

    assert [each.option for each in advice] == list(options())
    assert all(len(each.reason) > 20 and each.basis == "estimated" for each in advice)


def test_the_seeds_card_gets_other_advice_than_the_seeds_gave() -> None:
    """Not JIT, which can gain 1 %; not upstream's fp16, which does not fit; half weights and CUDA graphs."""
    assert of(RTX_2050, "TorchScript").verdict == "leave"
    assert "1 % is the most it can gain" in of(RTX_2050, "TorchScript").reason
    assert of(RTX_2050, "fp16 as upstream").verdict == "leave"
    assert "does not fit the 3717 MB that are free" in of(RTX_2050, "fp16 as upstream").reason
    assert "without a word" in of(RTX_2050, "fp16 as upstream").reason
    assert of(RTX_2050, "half weights").verdict == "use"
    assert of(RTX_2050, "CUDA graphs").verdict == "use"
    assert "4096 MB" in of(RTX_2050, "TensorRT").reason
    assert of(RTX_2050, "vLLM").verdict == "impossible"


def test_memory_of_the_seeds_card() -> None:
    """CosyVoice 2 fits in float32 and half; CosyVoice 3 only in half; RTF bounds come from its bandwidth."""
    two, three = (
        {need.precision: need.room for need in memory_needs(RTX_2050, model)}
        for model in (COSYVOICE_2, COSYVOICE_3)
    )
    (half,) = (need for need in memory_needs(RTX_2050, COSYVOICE_2) if need.precision == "half")

    assert two == {"float32": "fits", "autocast": "too large", "half": "fits"}
    assert three == {"float32": "too large", "autocast": "too large", "half": "fits"}
    assert half.reading_rtf == pytest.approx(0.165, abs=0.002)


def test_on_a_small_cpu_memory_decides() -> None:
    """3 GB hold CosyVoice 2 with an int8 language model and not in float32; CUDA is impossible."""
    rooms = {need.precision: need.room for need in memory_needs(PLAIN, COSYVOICE_2)}

    assert rooms == {"float32": "too large", "half": "fits", "int8": "fits"}
    assert of(PLAIN, "CUDA graphs").verdict == "impossible"
    assert of(PLAIN, "half weights").verdict == "leave"
    assert of(MODERN, "half weights").verdict == "use"
    assert of(MODERN, "int8 language").verdict == "use"


def test_a_nearly_full_card_is_tight() -> None:
    """What leaves less than a tenth is no fit."""
    needed = COSYVOICE_2.gpu_mb("half")
    card = Machine(gpus=(Gpu(name="x", memory_mb=needed * 1.05),))
    rooms = {need.precision: need.room for need in memory_needs(card, COSYVOICE_2)}

    assert rooms["half"] == "tight"
    assert of(card, "TensorRT").verdict == "leave"


def test_what_cannot_run_is_told() -> None:
    """Inductor without triton or compiler, TensorRT 11 by upstream, TorchScript in Python 3.14."""
    assert of(RTX_2050, "torch.compile").verdict == "impossible"
    assert of(PLAIN, "torch.compile").verdict == "impossible"
    assert of(LARGE, "torch.compile").verdict == "try"
    assert "cannot use TensorRT 11.4.0.106" in of(LARGE, "TensorRT").reason
    new = replace(PLAIN, runtimes={"python": "3.14.1"})
    assert "Python 3.14" in of(new, "TorchScript").reason


def test_an_old_card_saves_memory_only() -> None:
    """Without tensor cores half weights bring no speed."""
    old = Machine(gpus=(Gpu(name="GTX 1080", memory_mb=8192, capability="6.1"),))

    assert of(old, "half weights").verdict == "leave"
    assert "no speed" in of(old, "half weights").reason


def test_what_was_measured_outdoes_the_book() -> None:
    """An option with a measured verdict says so and carries the measured reason."""
    measured = {"OpenVINO": Advice("leave", "0.97× as fast here")}
    found = {each.option: each for each in advise(MODERN, measured=measured)}

    assert found["OpenVINO"] == OptionAdvice(
        option="OpenVINO", verdict="leave", reason="0.97× as fast here", basis="measured"
    )
    assert found["half weights (bf16, fp16)"].basis == "estimated"


def test_every_backend_is_of_an_option() -> None:
    """What our backends say of themselves is among the options, and so is what is none of them."""
    ours = {backend.option for backend in BACKENDS.values()}

    assert ours < set(options())
    assert set(options()) - ours == {
        "fp16 as upstream has it (autocast)",
        "int8 flow and vocoder",
    }


def test_vllm_is_no_promise_of_ours() -> None:
    """On a large Linux card vLLM is told as what nobody has measured; without a card it is not impossible."""
    large, plain, windows = of(LARGE, "vLLM"), of(PLAIN, "vLLM"), of(RTX_2050, "vLLM")

    assert (large.verdict, plain.verdict, windows.verdict) == ("leave", "leave", "impossible")
    assert "never measured on a card" in large.reason and "batcher" not in large.reason
    assert "builds for CPUs run" in plain.reason


def test_what_runs_on_the_cpu_is_not_promised_for_a_card() -> None:
    """ONNX Runtime with CUDA is installed beside the card, and yet cosyrt runs it on the CPU."""
    found = of(LARGE, "ONNX Runtime")

    assert found.verdict == "leave"
    assert "cosyrt runs it on the CPU" in found.reason


@pytest.mark.parametrize("machine", [PLAIN, MODERN, Machine()])
def test_what_is_recommended_for_a_cpu_runs_on_one(machine: Machine) -> None:
    """An option to use or to try has a backend of ours that does not ask for another kind of device."""
    for each in advise(machine):
        if each.verdict in ("use", "try"):
            ours = [one for one in BACKENDS.values() if one.option == each.option]
            reasons = [one.availability(torch.device("cpu")).reason for one in ours]

            assert any("the model runs on" not in reason for reason in reasons), each.option


HERE = surroundings(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def write(path: Path, backend: str, **other: str) -> None:
    plan = Plan(
        made_for=HERE | {"model": "0123456789abcdef"} | other,
        parts={"velocity": Planned(backend=backend, speedup=1.754)},
    )
    plan.write(path)


def test_a_plan_of_this_machine_is_measured(tmp_path: Path) -> None:
    """The backend of a plan is to be used; the reason has its factor, its part and the model."""
    write(tmp_path / "a.json", "bf16")
    (tmp_path / "broken.json").write_text("{")

    assert measured_here(tmp_path) == {
        "half weights (bf16, fp16)": Advice("use", "bf16 made velocity of model 01234567 1.75 times as fast")
    }


def test_what_does_not_hold_here_says_nothing(tmp_path: Path) -> None:
    """A plan of another device or version, a backend that no advice is about, a folder that is not there."""
    write(tmp_path / "a.json", "bf16", device="some other processor")
    write(tmp_path / "b.json", "bf16", torch="1.0")
    write(tmp_path / "c.json", "something new")

    assert measured_here(tmp_path) == {}
    assert measured_here(tmp_path / "nowhere") == {}
