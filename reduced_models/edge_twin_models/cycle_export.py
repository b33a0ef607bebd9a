"""The network of the cycle operator as ONNX and LiteRT, the same bytes from the same weights.

Standardised inputs [n, i] in, coefficients of the curves [n, k] out; basis, interpolation and guards stay in numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.cycle_weights import Weights
from edge_twin_models.litert_graph import LitertGraph

Singles = NDArray[np.float32]


def onnx_bytes(weights: Weights, name: str) -> bytes:
    """``scaled`` [n, i] to ``coefficients`` [n, k]; needs the package onnx."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - only a distillation needs it

    from edge_twin_models.graph_parts import model_bytes, node  # noqa: PLC0415 - imports onnx

    nodes, values = [], "scaled"
    for number in range(len(weights.hidden)):
        nodes += [
            node("Gemm", f"{values} weight_{number} bias_{number}", f"z{number}"),
            node("Sigmoid", f"z{number}", f"s{number}"),
            node("Mul", f"z{number} s{number}", f"h{number}"),
        ]
        values = f"h{number}"
    nodes += [node("Gemm", "scaled skip last_bias", "linear"), node("Gemm", f"{values} last linear", "coefficients")]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("scaled", TensorProto.FLOAT, ("n", weights.mean.size))],
        [helper.make_tensor_value_info("coefficients", TensorProto.FLOAT, ("n", weights.size))],
        initializer=[numpy_helper.from_array(value, key) for key, value in _constants(weights).items()],
    )
    return model_bytes(graph)


def litert_bytes(weights: Weights) -> bytes:
    """The same network; needs ai-edge-litert and flatbuffers."""
    graph = LitertGraph()
    first = values = graph.tensor("scaled", (1, weights.mean.size), None)
    for number, (weight, bias) in enumerate(weights.hidden):
        values = graph.connected(values, weight.T, bias, f"z{number}")
        values = graph.silu(values, bias.size, number)
    learned = graph.connected(values, weights.last[0].T, weights.last[1], "learned")
    linear = graph.connected(first, weights.skip.T, None, "linear")
    return graph.file(first, graph.added(learned, linear, weights.size, "coefficients"))


def _constants(weights: Weights) -> dict[str, Singles]:
    layers = enumerate(weights.hidden)
    named = {f"{kind}_{n}": array for n, pair in layers for kind, array in zip(("weight", "bias"), pair, strict=True)}
    return named | {"last": weights.last[0], "last_bias": weights.last[1], "skip": weights.skip}
