"""A model folder → the networks of CosyVoice 2 with their weights, and how to drive them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from cosyrt.checkpoint import ModelFolder, load_into
from cosyrt.engine.speaking import SpeakingConfig
from cosyrt.engine.stages import Models
from cosyrt.errors import ConfigError
from cosyrt.models.flow import Flow, FlowConfig
from cosyrt.models.llm import LanguageModelConfig, SpeechLanguageModel
from cosyrt.models.vocoder import Vocoder, VocoderConfig
from cosyrt.units import Rates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

BACKBONE = "llm.model.model."
UNUSED_HEAD = "llm.model.lm_head.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A model description, understood."""

    llm: LanguageModelConfig
    flow: FlowConfig
    vocoder: VocoderConfig
    speaking: SpeakingConfig
    rates: Rates
    pronunciation: str | None

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

    @classmethod
    def of(cls, settings: Mapping[str, Any], backbone: Mapping[str, Any]) -> Description:
        """From the description of a CosyVoice 2 folder and the `config.json` of its language model.

        Raises:
            ConfigError: a setting is missing or cannot be used.
        """
        with _settings_errors():
            llm, flow, hift = (settings[part].args for part in ("llm", "flow", "hift"))
            return cls(
                llm=LanguageModelConfig.from_description(llm, backbone),
                flow=FlowConfig.from_description(flow),
                vocoder=VocoderConfig.from_description(hift),
                speaking=SpeakingConfig.from_description(llm),
                rates=Rates(
                    sample_hz=settings["sample_rate"],
                    token_hz=flow["input_frame_rate"],
                    frames_per_token=flow["token_mel_ratio"],
                ),
                pronunciation=settings.get("pronunciation"),
            )


@contextmanager
def _settings_errors() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise ConfigError(
            f"the model description lacks the setting {error}; is it of CosyVoice 2?"
        ) from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"the model description has a setting of the wrong kind: {reason}") from error


def build(folder: ModelFolder) -> tuple[Description, Models]:
    """The description and the networks of a folder, weights loaded.

    Raises:
        ModelError: the folder is of another family, or its description or weights cannot be used.
    """
    if folder.family != "cosyvoice2":
        raise ConfigError(f"{folder.path} is a {folder.family} model; this version runs cosyvoice2")
    description = Description.of(folder.description, folder.language_model())
    models = empty(description)
    load_into(models.llm, untied(folder.tensors("llm")), file=folder.path / "llm", rename=language_model_name)
    load_into(models.flow, folder.tensors("flow"), file=folder.path / "flow")
    load_into(models.vocoder, folder.tensors("hift"), file=folder.path / "hift")
    return description, models


class WithoutValues(TorchFunctionMode):
    """Modules made here skip the initialisation of their weights, which are about to be assigned."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def empty(description: Description) -> Models:
    """The networks without memory for weights: those are assigned from the file.

    Raises:
        ConfigError: no network can be made of these sizes.
    """
    with _settings_errors(), torch.device("meta"), WithoutValues():
        return Models(
            llm=SpeechLanguageModel(description.llm),
            flow=Flow(description.flow),
            vocoder=Vocoder(description.vocoder),
        )


def untied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Upstream ties the text head to the embedding and loads it last: where the two differ, it counts."""
    if UNUSED_HEAD not in tensors:
        return tensors
    return tensors | {f"{BACKBONE}embed_tokens.weight": tensors[UNUSED_HEAD]}


def language_model_name(key: str) -> str | None:
    """Our name for a key of `llm.pt`; None for the text head, which speech does without."""
    if key == UNUSED_HEAD:
        return None
    return key.replace(BACKBONE, "backbone.", 1) if key.startswith(BACKBONE) else key
