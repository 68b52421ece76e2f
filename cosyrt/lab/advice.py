"""Which accelerations are worth trying on a machine, and why: by the book, until `cosyrt tune` has measured.

The book is the memory a model takes against what is there, the share of the work that an option touches
(Amdahl), and figures that others have published; docs/bench.md lists them with their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from cosyrt.lab.footprint import COSYVOICE_2, PRECISIONS, Footprint, Precision
from cosyrt.machine.facts import Gpu, Machine

Verdict = Literal["use", "try", "leave", "impossible"]
Room = Literal["fits", "tight", "too large", "unknown"]

TIGHT = 0.9  # a card fuller than this spills or fails when something else wants a window
TENSORRT_BUILD_MB = 1_500  # its peak beside the model, with a workspace of 1 GB
TENSORRT_UPSTREAM_MB = 4_096  # the workspace that upstream asks for
VLLM_OVERHEAD_MB = 1_500
TUNE = "cosyrt tune tells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """About one option."""

    option: str
    verdict: Verdict
    reason: str
    basis: Literal["measured", "estimated"] = "estimated"


class Held(NamedTuple):
    """What a precision takes against what is there, in MB."""

    precision: Precision
    where: Literal["gpu", "cpu"]
    needed_mb: float
    free_mb: float | None
    room: Room
    reading_rtf: float | None  # of the language model on that card, if it only read its weights


def memory(machine: Machine, model: Footprint) -> list[Held]:
    """Each precision on the first graphics card, or on the CPU where there is none."""
    gpu = machine.gpu
    if gpu is None:
        precisions: list[Precision] = [name for name in PRECISIONS if name != "autocast"]
        return [_held(name, "cpu", model.cpu_mb(name), machine.ram_free_mb, None) for name in precisions]
    gb_s = gpu.memory_gb_s
    return [
        _held(name, "gpu", model.gpu_mb(name), gpu.free_mb, gb_s and model.reading_rtf(name, gb_s))
        for name in PRECISIONS
        if name != "int8"  # runs on CPUs only
    ]


def _held(
    name: Precision,
    where: Literal["gpu", "cpu"],
    needed: float,
    free: float | None,
    rtf: float | None,
) -> Held:
    return Held(name, where, needed, free, _room(needed, free), rtf)


def _room(needed_mb: float, free_mb: float | None) -> Room:
    if free_mb is None:
        return "unknown"
    if needed_mb > free_mb:
        return "too large"
    return "tight" if needed_mb > TIGHT * free_mb else "fits"


def advise(
    machine: Machine,
    model: Footprint = COSYVOICE_2,
    measured: Mapping[str, tuple[Verdict, str]] | None = None,
) -> list[Advice]:
    """Every option with its verdict; what was measured here, by option, outdoes the book."""
    book = (Advice(option=name, **judge(machine, model)._asdict()) for name, judge in OPTIONS.items())
    known = measured or {}
    return [
        replace(each, verdict=known[each.option][0], reason=known[each.option][1], basis="measured")
        if each.option in known
        else each
        for each in book
    ]


class Judgement(NamedTuple):
    """Of one option on one machine."""

    verdict: Verdict
    reason: str


NO_GPU = Judgement("impossible", "there is no NVIDIA graphics card")


def half_weights(machine: Machine, model: Footprint) -> Judgement:
    """fp16 or bf16 weights, not autocast."""
    gpu = machine.gpu
    if gpu is None:
        if machine.has("amx_bf16", "avx512_bf16", "amx_fp16", "avx512_fp16", "bf16"):
            return Judgement(
                "use", f"this CPU multiplies 16-bit matrices itself: the flow gains most; {TUNE}"
            )
        return Judgement("leave", "this CPU has no 16-bit arithmetic: every value would be converted twice")
    saved = f"{model.gpu_mb('half'):.0f} MB instead of {model.gpu_mb('float32'):.0f}"
    if gpu.reaches(7, 0) is False:
        return Judgement(
            "leave", f"compute capability {gpu.capability} has no tensor cores: {saved}, no speed"
        )
    kind = "bf16 or fp16" if gpu.reaches(8, 0) else "fp16"
    return Judgement("use", f"weights in {kind}: {saved}, and half as much to read for every token")


def autocast(machine: Machine, model: Footprint) -> Judgement:
    """What upstream calls fp16=True."""
    if machine.gpu is None:
        return Judgement("impossible", "upstream switches it off without CUDA; half weights are ours")
    needed = model.gpu_mb("autocast")
    reason = (
        f"it keeps float32 weights and adds 16-bit copies: {needed:.0f} MB, and casts at every call; "
        "slower than float32 wherever it was measured"
    )
    if _room(needed, machine.gpu.free_mb) == "too large":
        reason += f". It does not fit {_free(machine.gpu)}" + _spill(machine)
    return Judgement("leave", reason)


def _free(gpu: Gpu) -> str:
    return f"the {gpu.free_mb:.0f} MB that are free"


def _spill(machine: Machine) -> str:
    if machine.is_windows:
        return ": since 536.40 the Windows driver then moves memory over the bus without a word, far slower"
    return " and fails"


def torchscript(machine: Machine, model: Footprint) -> Judgement:
    """Upstream's load_jit=True."""
    reason = "only flow.encoder is exported, 1 % of the work, so that 1 % is the most it can gain; "
    if machine.gpu is None:
        reason += "torch's builds for CPUs have had no fuser since 2.1, so nothing is gained or lost"
    else:
        reason += (
            "loaded without our switches it is compiled anew for lengths it has not seen: "
            "`cosyrt doctor --torchscript` shows it"
        )
    if machine.runtimes.get("python", "").startswith("3.14"):
        reason += "; torch does not support it in Python 3.14"
    return Judgement("leave", reason)


def cuda_graphs(machine: Machine, model: Footprint) -> Judgement:
    """Recording the kernels of a step."""
    if machine.gpu is None:
        return NO_GPU
    return Judgement(
        "use",
        "a token is hundreds of small kernels, and launching them takes longer than running them: others saw "
        "2 to 8 times as many tokens a second; 50 to 200 MB",
    )


def inductor(machine: Machine, model: Footprint) -> Judgement:
    """torch.compile."""
    runtimes, gpu = machine.runtimes, machine.gpu
    if gpu is None and "C++ compiler" not in runtimes:
        return Judgement("impossible", "it needs a C++ compiler, and none is installed")
    if gpu is not None and not {"triton", "triton-windows"} & runtimes.keys():
        return Judgement("impossible", "it needs triton, which is not installed")
    return Judgement("try", f"it fuses the small operations of the flow; a minute to compile; {TUNE}")


def tensorrt(machine: Machine, model: Footprint) -> Judgement:
    """TensorRT for the velocity of the flow."""
    gpu, version = machine.gpu, machine.runtimes.get("tensorrt")
    if gpu is None:
        return NO_GPU
    warning = (
        f"upstream's builder asks for a workspace of {TENSORRT_UPSTREAM_MB} MB"
        if gpu.memory_mb <= 2 * TENSORRT_UPSTREAM_MB
        else "an engine is of one card, driver and version"
    )
    if version and int(version.partition(".")[0]) >= 11:
        warning += f", and cannot use TensorRT {version}: what it calls is gone since 11"
    needed = model.gpu_mb("half") + TENSORRT_BUILD_MB
    if needed > gpu.free_mb:
        return Judgement("leave", f"a build needs about {needed:.0f} MB, {_free(gpu)} are too few; {warning}")
    todo = "" if version else "install cosyrt[tensorrt]; "
    return Judgement("try", f"{todo}1.2 to 2.3 times as fast in the flow on larger cards; {warning}; {TUNE}")


def int8_language_model(machine: Machine, model: Footprint) -> Judgement:
    """Quantised weights of the language model."""
    if machine.gpu is not None:
        return Judgement(
            "leave", "for one speaker the card waits for launches, not for weights; memory is enough in half"
        )
    if machine.has("avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"):
        kernel = "this CPU multiplies int8 itself"
    else:
        kernel = "without VNNI the gain is smaller"
    float_mb, int_mb = (model.weights_mb(name) for name in ("float32", "int8"))
    return Judgement(
        "use", f"a token waits for its weights: {int_mb:.0f} MB instead of {float_mb:.0f}; {kernel}; {TUNE}"
    )


def int4_language_model(machine: Machine, model: Footprint) -> Judgement:
    """Four-bit weights."""
    if machine.gpu is not None:
        return Judgement("leave", "see int8; and at four bits others got hardly any speech in 9 of 13 runs")
    return Judgement(
        "try",
        "half of int8 again; others got hardly any speech from 4 bits, so only behind the parity check",
    )


def int8_flow(machine: Machine, model: Footprint) -> Judgement:
    """Quantised convolutions."""
    return Judgement(
        "leave", "int8 convolutions were 10 times slower on CPUs where it was reported, and harm the sound"
    )


def onnxruntime(machine: Machine, model: Footprint) -> Judgement:
    """ONNX Runtime for flow and vocoder."""
    if machine.gpu is None:
        return Judgement("try", f"float32 graphs of the flow and the vocoder; {TUNE}")
    if "onnxruntime-gpu" not in machine.runtimes:
        return Judgement(
            "leave", "the package installed here has no CUDA, and its CPU is slower than the card"
        )
    return Judgement(
        "try", f"it searches algorithms anew for every length (148 ms against 6 in one report); {TUNE}"
    )


def openvino(machine: Machine, model: Footprint) -> Judgement:
    """OpenVINO on CPUs."""
    if machine.gpu is not None:
        return Judgement("leave", "it runs on the CPU, which the card outdoes")
    if not machine.system.endswith(("x86_64", "AMD64", "unknown")):
        return Judgement("leave", "it is made for x86 CPUs")
    todo = "" if "openvino" in machine.runtimes else "install cosyrt[openvino]; "
    return Judgement("use", f"{todo}one compiled graph for all lengths, quantised weights, bf16; {TUNE}")


def vllm(machine: Machine, model: Footprint) -> Judgement:
    """vLLM for the language model."""
    gpu = machine.gpu
    if gpu is None:
        return NO_GPU
    if machine.is_windows:
        return Judgement("impossible", "vLLM does not run on Windows")
    needed = model.gpu_mb("half") + VLLM_OVERHEAD_MB
    if needed > gpu.free_mb:
        return Judgement("leave", f"it would need {needed:.0f} MB, {_free(gpu)} are too few")
    return Judgement("leave", "it serves many speakers at once; so does our batcher, with less memory")


OPTIONS: dict[str, Callable[[Machine, Footprint], Judgement]] = {
    "half weights (bf16, fp16)": half_weights,
    "int8 language model": int8_language_model,
    "CUDA graphs": cuda_graphs,
    "OpenVINO": openvino,
    "ONNX Runtime": onnxruntime,
    "torch.compile (Inductor)": inductor,
    "TensorRT": tensorrt,
    "int4 language model": int4_language_model,
    "TorchScript (JIT)": torchscript,
    "fp16 as upstream has it (autocast)": autocast,
    "int8 flow and vocoder": int8_flow,
    "vLLM": vllm,
}
