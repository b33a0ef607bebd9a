"""A three-layer perceptron with SiLU as an ONNX graph: ``features`` [n, f] in, ``outputs`` [n, k] out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


def network_graph(arrays: Mapping[str, Singles], name: str) -> bytes:
    """Serialised model, deterministic bytes.

    Args:
        arrays: w1 [f, h], b1 [h], w2 [h, h], b2 [h], w3 [h, k], b3 [k].
        name: of the graph.
    """
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - only a distillation needs it

    from edge_twin_models.graph_parts import model_bytes, node  # noqa: PLC0415 - imports onnx

    info = helper.make_tensor_value_info
    nodes = [
        node("Gemm", "features w1 b1", "z1"),
        node("Sigmoid", "z1", "s1"),
        node("Mul", "z1 s1", "h1"),
        node("Gemm", "h1 w2 b2", "z2"),
        node("Sigmoid", "z2", "s2"),
        node("Mul", "z2 s2", "h2"),
        node("Gemm", "h2 w3 b3", "outputs"),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [info("features", TensorProto.FLOAT, ["n", len(arrays["w1"])])],
        [info("outputs", TensorProto.FLOAT, ["n", arrays["b3"].size])],
        initializer=[numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in arrays.items()],
    )
    return model_bytes(graph)
