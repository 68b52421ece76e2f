"""Operations of a graph that OpenVINO computes slowly on a processor, written as ones that it computes fast.

Found by its profile of the published vocoder in bf16: 31 % of the time were sines, one by one in float32 with
a copy before and after, and 17 % transposed convolutions, for which it does not use the matrix unit. In the
language model three products of the same input wait for each other's threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosyrt.startup import runtime

TERMS = 5  # of the polynomial; 5e-7 off at most
LEAST_JOINED = 3  # products: two wide ones, as in a feed-forward, gain nothing (measured)
MATRIX, OVER_TIME = 2, 3  # dimensions of the weights of a linear map, and of a convolution over time


def rewrite(model: Any) -> None:
    """Replace what is slow, wherever it is found."""
    for op in model.get_ordered_ops():
        if op.get_type_name() == "Sin":
            _replace_square_of_sine(op)
        elif op.get_type_name() == "ConvolutionBackpropData":
            _replace_transposed_convolution(op)
    model.validate_nodes_and_infer_types()


def join_products(model: Any) -> None:
    """Let linear maps of one input, such as queries, keys and values, be one, whose output is split."""
    together: dict[tuple[str, int], list[Any]] = {}
    for op in model.get_ordered_ops():
        if op.get_type_name() == "MatMul" and _is_linear(op):
            source = op.input_value(0)
            together.setdefault((source.get_node().get_name(), source.get_index()), []).append(op)
    for products in together.values():
        if len(products) >= LEAST_JOINED:
            _join(products)
    model.validate_nodes_and_infer_types()


def square_of_sine() -> NDArray[np.float64]:
    """Coefficients of sin²(πd), d from -1/2 to 1/2, by powers of d²: the best fit at Chebyshev's points."""
    squares = (np.cos(np.linspace(0, np.pi, 4001)) + 1) / 8
    powers = np.stack([squares ** (term + 1) for term in range(TERMS)], axis=1)
    found: NDArray[np.float64] = np.linalg.lstsq(powers, np.sin(np.pi * np.sqrt(squares)) ** 2, rcond=None)[0]
    return found


def _replace_square_of_sine(sine: Any) -> None:
    """Replace the square of a sine, if this one is squared, by a polynomial over one period."""
    ops = runtime("openvino.opset13")

    users = _users(sine)
    if len(users) != 1 or not _is_square(users[0]):
        return
    turns = ops.multiply(sine.input_value(0), _number(1 / np.pi))
    place = ops.add(ops.floor_mod(ops.add(turns, _number(0.5)), _number(1)), _number(-0.5))
    square = ops.multiply(place, place)
    first, *rest = square_of_sine()[::-1]
    total = ops.multiply(square, _number(first))
    for coefficient in rest:
        total = ops.multiply(ops.add(total, _number(coefficient)), square)
    users[0].output(0).replace(total.output(0))


def _is_square(op: Any) -> bool:
    if op.get_type_name() != "Power":
        return False
    exponent = op.input_value(1).get_node()
    if exponent.get_type_name() in ("Convert", "ConvertLike"):
        exponent = exponent.input_value(0).get_node()
    return exponent.get_type_name() == "Constant" and bool(np.all(exponent.get_data() == 2))


def _replace_transposed_convolution(op: Any) -> None:
    """Replace a transposed convolution over time by a plain one that makes all samples between two inputs.

    Output n = stride · q + phase is a sum over the few inputs q - j, with every stride-th weight of the
    kernel from `phase` on. So the phases are channels of a convolution of few taps, laid side by side.
    """
    ops = runtime("openvino.opset13")

    weight = op.input_value(1).get_node()
    if weight.get_type_name() != "Constant" or len(weight.get_output_shape(0)) != OVER_TIME:
        return
    settings = op.get_attributes()
    (stride,), (left,), (right,) = (settings[name] for name in ("strides", "pads_begin", "pads_end"))
    if list(settings["dilations"]) != [1] or settings["auto_pad"] != "explicit" or op.get_input_size() > 2:
        return
    kernel, taps = _phases(np.array(weight.get_data(), dtype=np.float32), stride)
    outputs = len(kernel) // stride
    phases = ops.convolution(
        op.input_value(0), ops.constant(kernel), [1], [taps - 1], [taps - 1], [1]
    )  # [B, stride * C', Q]
    apart = ops.reshape(phases, ops.constant(np.array([0, stride, outputs, -1])), True)
    beside = ops.transpose(apart, ops.constant(np.array([0, 2, 3, 1])))
    every = ops.reshape(beside, ops.constant(np.array([0, 0, -1])), True)
    # All Q · stride samples but the padding, and but those that the last phases have beyond the kernel.
    beyond = taps * stride - weight.get_output_shape(0)[2] + right - settings["output_padding"][0]
    every = ops.slice(every, *(ops.constant(np.array([n])) for n in (left, -beyond or 2**31 - 1, 1, 2)))
    op.output(0).replace(every.output(0))


def _phases(
    weight: NDArray[np.float32],  # [C, C', K]
    stride: int,
) -> tuple[NDArray[np.float32], int]:  # [stride * C', C, taps], and the taps
    """Kernel of the convolution whose channels are the phases of a transposed one."""
    inputs, outputs, size = weight.shape
    taps = -(-size // stride)
    padded = np.pad(weight, ((0, 0), (0, 0), (0, taps * stride - size)))
    by_phase = padded.reshape(inputs, outputs, taps, stride)[:, :, ::-1]
    return np.ascontiguousarray(by_phase.transpose(3, 1, 0, 2)).reshape(-1, inputs, taps), taps


def _is_linear(product: Any) -> bool:
    """Whether a product is one with a constant matrix to which a constant vector is added."""
    settings, weight, users = product.get_attributes(), product.input_value(1).get_node(), _users(product)
    is_matrix = weight.get_type_name() == "Constant" and len(weight.get_output_shape(0)) == MATRIX
    is_biased = len(users) == 1 and users[0].get_type_name() == "Add" and _bias(users[0]) is not None
    return is_matrix and is_biased and settings["transpose_b"] and not settings["transpose_a"]


def _bias(addition: Any) -> NDArray[np.float32] | None:
    """Constant that is added, flat."""
    for value in addition.input_values():
        if value.get_node().get_type_name() == "Constant":
            return np.array(value.get_node().get_data(), dtype=np.float32).reshape(-1)
    return None


def _join(products: list[Any]) -> None:
    ops = runtime("openvino.opset13")

    additions = [_users(product)[0] for product in products]
    weights = [np.array(product.input_value(1).get_node().get_data()) for product in products]
    product = ops.matmul(products[0].input_value(0), ops.constant(np.concatenate(weights)), False, True)
    biases = np.concatenate([bias for each in additions if (bias := _bias(each)) is not None])
    sizes = ops.constant(np.array([len(weight) for weight in weights]))
    parts = ops.variadic_split(ops.add(product, ops.constant(biases)), ops.constant(np.int64(-1)), sizes)
    for number, addition in enumerate(additions):
        addition.output(0).replace(parts.output(number))


def _users(op: Any) -> list[Any]:
    return [port.get_node() for port in op.output(0).get_target_inputs()]


def _number(value: float) -> Any:
    return runtime("openvino.opset13").constant(np.float32(value))
