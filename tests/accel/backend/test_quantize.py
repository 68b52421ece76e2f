"""int8: weights to the nearest step, a language model that expects nearly the same."""

from __future__ import annotations

import torch

from cosyrt.accel.backend.quantize import Int8Linear, rows_to_int8, with_int8
from cosyrt.accel.registry import BACKENDS
from cosyrt.lab.parity import verify
from cosyrt.lab.workload import Length, Workload
from tests import tiny


def test_rows_are_within_half_a_step() -> None:
    """Each weight is off by at most half a step of its row; a row of zeros stays zero."""
    weight = torch.randn(7, 64, generator=torch.Generator().manual_seed(0)) * torch.arange(7)[:, None]
    number, scale = rows_to_int8(weight)

    assert number.dtype == torch.int8
    assert ((number * scale[:, None] - weight).abs() <= scale[:, None] / 2 * 1.001).all()
    assert not number[0].any()


def test_a_layer_is_near_the_plain_one() -> None:
    """With weights and activations of 8 bits the output is within 2 % of its norm, for any leading sizes."""
    torch.manual_seed(0)
    plain = torch.nn.Linear(96, 40)
    x = torch.randn(2, 5, 96)
    with torch.inference_mode():
        want, got = plain(x), Int8Linear(plain)(x)

    assert got.shape == want.shape
    assert 0 < (got - want).norm() / want.norm() < 0.02


def test_only_linear_layers_change() -> None:
    """Embeddings and the head are the original's own; every other linear layer is int8."""
    model = tiny.language_model()
    narrow = with_int8(model, keep=("llm_decoder",))

    assert narrow.speech_embedding.weight is model.speech_embedding.weight
    assert narrow.llm_decoder.weight is model.llm_decoder.weight
    assert isinstance(narrow.backbone.layers[0].mlp.up_proj, Int8Linear)
    assert isinstance(model.backbone.layers[0].mlp.up_proj, torch.nn.Linear)


def test_the_language_model_expects_nearly_the_same(workload: Workload) -> None:
    """Token by token on given speech, within the limits of the quantised class."""
    stages = BACKENDS["int8"].build("llm", workload.model)
    parity = verify(workload.model, "llm", "quantised", stages, [workload.utterance(Length(40, 20, False))])

    assert parity.passed, parity.why
    assert parity.distances.expectation > 0


def test_there_is_none_on_a_gpu() -> None:
    """Off the CPU the reason says where the kernels are."""
    assert "CPU only" in BACKENDS["int8"].availability(torch.device("meta")).reason
