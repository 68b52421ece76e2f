"""The settings of a loaded model, and what reading them has in common in all families."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cosyrt.engine.chunks import Chunking, WindowChunking
from cosyrt.engine.decoding import DecodingConfig
from cosyrt.engine.stages import Stages
from cosyrt.engine.vocoder_stream import OverlappingVocoderStream, VocoderStream
from cosyrt.errors import ConfigError, one_line
from cosyrt.families import Family
from cosyrt.models.conformer import ConformerConfig
from cosyrt.models.flow import DiTFlowConfig, FlowConfig, LookAheadConfig
from cosyrt.models.llm import LanguageModelConfig
from cosyrt.models.regulated_flow import RegulatedFlowConfig
from cosyrt.models.solver import Solving
from cosyrt.models.transformer_lm import TransformerLMConfig
from cosyrt.models.vocoder import VocoderConfig
from cosyrt.ranges import RATE, RATIO
from cosyrt.units import Rates


class MelStreamLike(Protocol):
    """The mel of one utterance, made from its speech tokens chunk by chunk."""

    noise: Tensor  # [1, 80, NOISE_FRAMES] that it starts from

    def until(
        self,
        tokens: list[int],
        boundary: int | None,
    ) -> Tensor:  # [1, 80, M] the frames that are new
        """The mel up to that chunk boundary, whose look-ahead is there; None: all."""

    def solving(self, tokens: list[int], boundary: int | None) -> Solving:
        """Make that mel with states that somebody else solves, together with those of other streams."""


# (stages, vocoder, random numbers for the noise of the source or None for none) → a stream of one utterance
VocoderStreamMaker = Callable[[Stages, VocoderConfig, torch.Generator | None], VocoderStream]
# (stages, flow, condition, chunked=whether in chunks) → the mel of one utterance
MelStreamMaker = Callable[..., MelStreamLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """The settings of a model, from its description, and the streams that its family needs."""

    llm: LanguageModelConfig | TransformerLMConfig
    flow: FlowConfig | DiTFlowConfig | RegulatedFlowConfig
    vocoder: VocoderConfig
    decoding: DecodingConfig
    rates: Rates
    chunking: Chunking | WindowChunking
    pronunciation: str | None = None
    mel_stream: MelStreamMaker = field(compare=False)
    vocoder_stream: VocoderStreamMaker = field(default=OverlappingVocoderStream, compare=False)

    def __post_init__(self) -> None:
        for what, one, other in (
            ("samples a second", self.rates.sample_hz, self.vocoder.sample_hz),
            ("samples a mel frame", self.rates.samples_per_frame, self.vocoder.samples_per_frame),
            ("speech tokens", self.llm.speech_vocabulary, self.flow.speech_vocabulary),
        ):
            if one != other:
                raise ConfigError(
                    f"the model description has {one} {what} in one part and {other} in another; "
                    "do its files belong together?"
                )


def rates_of(description: Mapping[str, Any]) -> Rates:
    """Rates of a model whose token is a whole number of mel frames."""
    flow = description["flow"].args
    return Rates(
        sample_hz=RATE.of(description, "sample_rate"),
        token_hz=RATE.of(flow, "input_frame_rate"),
        frames_per_token=RATIO.of(flow, "token_mel_ratio", 2),
    )


def chunking_of(encoder: ConformerConfig | LookAheadConfig) -> Chunking:
    """Chunks of a stream as the flow was trained with them."""
    return Chunking(chunk_tokens=encoder.chunk_tokens, lookahead_tokens=encoder.lookahead_tokens)


@contextmanager
def settings_errors(family: Family) -> Iterator[None]:
    """Turn whatever goes wrong while settings are read into a ConfigError that says so."""
    try:
        yield
    except KeyError as error:
        raise ConfigError(
            f"the model description lacks the setting {error}; is it of {family.title}?"
        ) from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = one_line(error, 200)
        raise ConfigError(f"the model description has a setting of the wrong kind: {reason}") from error


@contextmanager
def weightless() -> Iterator[None]:
    """Make modules without memory for weights, which are about to be assigned from a file."""
    with torch.device("meta"), _WithoutValues():
        yield


class _WithoutValues(TorchFunctionMode):
    """Skip the initialisation of weights."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
