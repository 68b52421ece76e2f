"""Settings of a model: what is read, what must agree, and errors in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cosyrt.engine.family import chunking_of, rates_of, settings_errors, weightless
from cosyrt.engine.pipeline import Pipeline
from cosyrt.errors import ConfigError
from cosyrt.families import COSYVOICE3
from cosyrt.units import Rates
from tests import tiny as model


def test_parts_that_do_not_belong_together(tiny: Pipeline) -> None:
    """A description whose parts differ in a rate or a vocabulary is refused with both numbers."""
    settings = tiny.model.settings
    other = replace(settings.flow, speech_vocabulary=settings.flow.speech_vocabulary + 1)

    with pytest.raises(ConfigError, match="4000 speech tokens in one part and 4001 in another"):
        replace(settings, flow=other)
    with pytest.raises(ConfigError, match="samples a second"):
        replace(settings, rates=Rates(sample_hz=48_000))


def test_rates_and_chunks_are_read(tiny: Pipeline) -> None:
    """Rates and chunks are those of the description."""
    assert rates_of(tiny.model.folder.description) == tiny.model.settings.rates == Rates()
    chunking = chunking_of(model.FLOW.encoder)
    assert (chunking.chunk_tokens, chunking.lookahead_tokens) == (25, 3)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("top_k"), "lacks the setting 'top_k'; is it of CosyVoice 3"),
        (TypeError("a list\nof lists"), "a setting of the wrong kind: a list of lists"),
        (ZeroDivisionError("division by zero"), "wrong kind: division by zero"),
    ],
)
def test_what_goes_wrong_is_one_line(error: Exception, words: str) -> None:
    """An error while settings are read names the setting and the family."""
    with pytest.raises(ConfigError, match=words) as caught, settings_errors(COSYVOICE3):
        raise error
    assert "\n" not in str(caught.value)


def test_networks_are_made_without_weights() -> None:
    """A large network is made at once and holds nothing until its weights are assigned."""
    with weightless():
        layer = torch.nn.Linear(1 << 20, 1 << 20)

    assert layer.weight.is_meta and layer.bias.is_meta
    assert not torch.nn.Linear(2, 2).weight.is_meta
