"""The student's network as npz, ONNX and LiteRT, the same bytes from the same weights."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.student import ARRAYS, MEMBER_FEATURES
from edge_twin_models.litert_graph import LitertGraph

Singles = NDArray[np.float32]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz file without time stamps."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH), content.getvalue())
    return buffer.getvalue()


def onnx_bytes(arrays: Mapping[str, Singles], floor: float, name: str) -> bytes:
    """Log parameters, schedule and calendar basis in, counts [t, n] out; members along the last axis."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - only a distillation needs it

    from edge_twin_models.graph_parts import model_bytes, node  # noqa: PLC0415 - imports onnx

    def tensor(name: str, *shape: str | int) -> Any:  # noqa: ANN401 - onnx has no types
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        node("Transpose", "log_parameters", "log_rows"),
        node("Gemm", "schedule_weights schedule first_bias", "bias", transB=1),
        node("Gemm", "member_weights log_rows bias", "z1"),
        node("Sigmoid", "z1", "s1"),
        node("Mul", "z1 s1", "h1"),
        node("Gemm", "second_weights h1 second_bias", "z2"),
        node("Sigmoid", "z2", "s2"),
        node("Mul", "z2 s2", "h2"),
        node("Gemm", "third_weights h2 third_bias", "latent"),
        node("Gemm", "modes latent mean", "log_relative"),
        node("Exp", "log_relative", "raised"),
        node("Sub", "raised floor", "relative"),
        node("Max", "relative zero", "clipped"),
        node("MatMul", "baseline_row log_rows", "log_baseline"),
        node("Exp", "log_baseline", "baseline"),
        node("Mul", "clipped baseline", "counts"),
    ]
    constants = {key: numpy_helper.from_array(value, key) for key, value in _constants(arrays, floor).items()}
    graph = helper.make_graph(
        nodes,
        name,
        [
            tensor("log_parameters", "n", 4),
            tensor("schedule", 1, 2),
            tensor("modes", "t", arrays["b3"].size),
            tensor("mean", "t", 1),
        ],
        [tensor("counts", "t", "n")],
        initializer=list(constants.values()),
    )
    return model_bytes(graph)


def _constants(arrays: Mapping[str, Singles], floor: float) -> dict[str, Singles]:
    first = arrays["w1"]
    members = np.zeros((first.shape[1], 1 + MEMBER_FEATURES), np.float32)
    members[:, 1:] = first[:MEMBER_FEATURES].T
    return {
        "member_weights": members,
        "schedule_weights": np.ascontiguousarray(first[MEMBER_FEATURES:].T),
        "first_bias": arrays["b1"][:, None],
        "second_weights": np.ascontiguousarray(arrays["w2"].T),
        "second_bias": arrays["b2"][:, None],
        "third_weights": np.ascontiguousarray(arrays["w3"].T),
        "third_bias": arrays["b3"][:, None],
        "floor": np.array([floor], np.float32),
        "zero": np.array([0.0], np.float32),
        "baseline_row": np.array([[1.0, 0.0, 0.0, 0.0]], np.float32),
    }


def litert_bytes(arrays: Mapping[str, Singles]) -> bytes:
    """Features [n, 5] in, latent [n, k] out, written directly as a flatbuffer with a dynamic batch."""
    graph = LitertGraph()
    first = values = graph.tensor("features", (1, len(arrays["w1"])), None)
    for layer in (1, 2, 3):
        values = graph.connected(values, arrays[f"w{layer}"].T, arrays[f"b{layer}"], f"z{layer}")
        if layer < 3:  # noqa: PLR2004 - the last layer is linear
            values = graph.silu(values, arrays[f"b{layer}"].size, layer)
    return graph.file(first, values)


def single_arrays(layers: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]) -> dict[str, Singles]:
    """w1, b1, … as float32."""
    arrays = {}
    for number, (weight, bias) in enumerate(layers, start=1):
        arrays[f"w{number}"], arrays[f"b{number}"] = weight.astype(np.float32), bias.astype(np.float32)
    return {name: arrays[name] for name in ARRAYS if name in arrays}
