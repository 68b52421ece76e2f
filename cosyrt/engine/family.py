"""What the engine must know of a model beside its weights, and what reading it is like in all families."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cosyrt.engine.chunks import ChunkPlan
from cosyrt.engine.decoding import SpeakingConfig
from cosyrt.engine.stages import Stages
from cosyrt.engine.vocoder_stream import AudioStream
from cosyrt.engine.window_stream import WindowPlan
from cosyrt.errors import ConfigError, one_line
from cosyrt.models.flow import DiTFlowConfig, FlowConfig
from cosyrt.models.llm import LanguageModelConfig
from cosyrt.models.regulated_flow import RegulatedFlowConfig
from cosyrt.models.transformer_lm import TransformerLMConfig
from cosyrt.models.vocoder import VocoderConfig
from cosyrt.units import Rates


class MelStreamLike(Protocol):
    """Turns the speech tokens of one utterance to mel, chunk by chunk."""

    def until(
        self,
        tokens: list[int],
        edge: int | None,
    ) -> Tensor:  # [1, 80, M] the frames that are new
        """The mel up to that chunk boundary, whose look-ahead is there; None: all."""


class VocoderStreamLike(Protocol):
    """Turns the mel of one utterance to samples, chunk by chunk."""

    def push(
        self,
        mel: Tensor,  # [1, 80, M]
        last: bool,
    ) -> Tensor:  # [N] samples that are final
        """Take in mel frames; `last` gives the rest."""


# (stages, vocoder, random numbers for the noise of the source or None for none) → a stream of one utterance
VocoderStreamMaker = Callable[[Stages, VocoderConfig, torch.Generator | None], VocoderStreamLike]
# (stages, flow, condition, chunked=whether in chunks) → the mel of one utterance
MelStreamMaker = Callable[..., MelStreamLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What a model description says, checked, and how its family is driven."""

    llm: LanguageModelConfig | TransformerLMConfig
    flow: FlowConfig | DiTFlowConfig | RegulatedFlowConfig
    vocoder: VocoderConfig
    speaking: SpeakingConfig
    rates: Rates
    chunking: ChunkPlan | WindowPlan
    pronunciation: str | None = None
    mel_stream: MelStreamMaker = field(compare=False)
    vocoder_stream: VocoderStreamMaker = field(default=AudioStream, compare=False)

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


@contextmanager
def settings_errors(family: str) -> Iterator[None]:
    """Whatever goes wrong while settings are read is a ConfigError that says so."""
    try:
        yield
    except KeyError as error:
        raise ConfigError(f"the model description lacks the setting {error}; is it of {family}?") from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = one_line(error, 200)
        raise ConfigError(f"the model description has a setting of the wrong kind: {reason}") from error


@contextmanager
def weightless() -> Iterator[None]:
    """Modules made here have no memory for weights, which are about to be assigned from a file."""
    with torch.device("meta"), _WithoutValues():
        yield


class _WithoutValues(TorchFunctionMode):
    """Modules made here skip the initialisation of their weights."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
