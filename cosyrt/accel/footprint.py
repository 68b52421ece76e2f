"""How much memory a published model takes in each precision, and how soon its weights can be read.

Weights are counted; what else is needed is estimated, and the constants say how. MB are mebibytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cosyrt.units import MIB

# `autocast` is what upstream calls fp16: float32 weights, and 16-bit copies of them while it runs.
WeightPrecision = Literal["float32", "autocast", "half", "int8"]
WEIGHT_PRECISIONS: tuple[WeightPrecision, ...] = ("float32", "autocast", "half", "int8")
Fit = Literal["fits", "tight", "too large", "unknown"]
TIGHT = 0.9  # a card fuller than this spills or fails when something else wants a window
POSITIONS = 1_500  # of the language model: a long sentence after a long prompt
CONTEXT_MB = 350  # of CUDA: 300 to 500
ACTIVATIONS_MB = 300
PROCESS_MB = 450  # Python, torch and ONNX Runtime on a CPU


def fit(needed_mb: float, free_mb: float | None) -> Fit:
    """Tell whether what is needed fits in what is free, with a tenth to spare or without."""
    if free_mb is None:
        return "unknown"
    if needed_mb > free_mb:
        return "too large"
    return "tight" if needed_mb > TIGHT * free_mb else "fits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Numbers of weights of a model, and the size of its caches."""

    name: str
    words: int  # embeddings of text: looked up, never multiplied
    language_model: int  # what is read for every speech token
    flow: int
    vocoder: int
    values_per_position: int  # keys and values of the language model
    tokens_per_second: float = 25.0

    def weights_mb(self, precision: WeightPrecision) -> float:
        """Size of all weights; the vocoder stays in float32, since its phases need the digits."""
        vocoder = 4 * self.vocoder
        if precision == "float32":
            return (4 * (self.words + self.language_model + self.flow) + vocoder) / MIB
        if precision == "autocast":
            return self.weights_mb("float32") + 2 * (self.language_model + self.flow) / MIB
        if precision == "half":
            return (2 * (self.words + self.language_model + self.flow) + vocoder) / MIB
        return (4 * (self.words + self.flow) + self.language_model + vocoder) / MIB

    def working_mb(self, precision: WeightPrecision) -> float:
        """Memory beside the weights: keys and values, and what is passed from layer to layer."""
        wide = 2 if precision in ("half", "autocast") else 4
        return wide * self.values_per_position * POSITIONS / MIB + ACTIVATIONS_MB

    def gpu_mb(self, precision: WeightPrecision) -> float:
        """Memory on a graphics card, the context of CUDA included."""
        return self.weights_mb(precision) + self.working_mb(precision) + CONTEXT_MB

    def cpu_mb(self, precision: WeightPrecision) -> float:
        """Memory on a CPU, the process included."""
        return self.weights_mb(precision) + self.working_mb(precision) + PROCESS_MB

    def reading_rtf(self, precision: WeightPrecision, gb_s: float) -> float:
        """Real-time factor of the language model if it did nothing but read its weights."""
        wide = {"float32": 4, "autocast": 2, "half": 2, "int8": 1}[precision]
        return wide * self.language_model * self.tokens_per_second / (gb_s * 1e9)


COSYVOICE_2 = Footprint(
    name="CosyVoice2-0.5B",
    words=136_134_656,
    language_model=369_669_156,
    flow=112_549_360,
    vocoder=20_806_557,
    values_per_position=2 * 24 * 2 * 64,
)
COSYVOICE_3 = Footprint(
    name="Fun-CosyVoice3-0.5B",
    words=136_134_656,
    language_model=370_013_824,
    flow=332_257_088,
    vocoder=20_765_597,
    values_per_position=2 * 24 * 2 * 64,
)
PUBLISHED = (COSYVOICE_2, COSYVOICE_3)
