"""The integrator of ``edge_twin.engines.numpy_jost`` as an ONNX Scan graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_twin.concentration import QUADRATURE_WEIGHTS
from edge_twin.engines.numpy_jost import (
    CIRCULATING_FLOOR,
    LOSS_ORDER,
    STEP_COLUMNS,
    STEP_TABLE,
    TRANSIT_ORDER,
    TRANSIT_TABLE,
)
from edge_twin_models.graph_parts import index_tensors, model_bytes, node

ELEMENT = TensorProto.DOUBLE  # as in the numpy engine; see ``onnxruntime_engine`` on single precision

Floats = NDArray[np.float64]


def build_graph(name: str, kwbc_per_day: float) -> bytes:
    """Serialised model, deterministic bytes.

    Inputs: ``log_parameters`` [n, 4], ``steps`` [k, 4] (k >= 1). Output: ``counts`` [k + 1, n] in 10*9/L.

    Args:
        name: of the graph.
        kwbc_per_day: loss rate of circulating leukocytes, 1/d.
    """
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [*_parameter_nodes(), *_step_nodes(), _scan_node(), *_output_nodes()],
        name,
        [info("log_parameters", ELEMENT, ["n", 4]), info("steps", ELEMENT, ["k", STEP_COLUMNS])],
        [info("counts", ELEMENT, ["nodes", "n"])],
        initializer=_constants(kwbc_per_day),
    )
    return model_bytes(graph)


def _constants(kwbc_per_day: float) -> list[Any]:
    """Named initialisers."""
    values: dict[str, Floats] = {
        "kwbc": np.array([kwbc_per_day]),
        "loss_powers": np.arange(float(LOSS_ORDER)).reshape(1, -1),
        "transit_powers": np.arange(float(TRANSIT_ORDER)).reshape(-1, 1),
        "step_table": STEP_TABLE,
        "transit_table": TRANSIT_TABLE.reshape(-1, 4),
        "weights": QUADRATURE_WEIGHTS.reshape(1, -1),
        "unity": np.array([1.0]),
        "nought": np.array([0.0]),
        "half": np.array([0.5]),
        "floor": np.array([CIRCULATING_FLOOR]),
    }
    shapes = {
        "powers_shape": [TRANSIT_ORDER, 1, -1],
        "terms_shape": [TRANSIT_ORDER, 2, -1],
        "points_shape": [-1, 1],
        "first_axis": [0],
        "last_axis": [1],
        "zero": [0],
        "one": [1],
        "two": [2],
        "all_columns": [STEP_COLUMNS],
    }
    tensors = [numpy_helper.from_array(np.asarray(v, np.float64), k) for k, v in values.items()]
    return tensors + index_tensors(shapes)


def _parameter_nodes() -> list[Any]:
    """Rows [1, n] of the parameters, powers of ktr [order, n] and the initial state."""
    return [
        node("Transpose", "log_parameters", "log_rows"),
        node("Exp", "log_rows", "rows"),
        node("Split", "rows", "wbc0 ktr slope gamma", axis=0, num_outputs=4),
        node("Neg", "gamma", "minus_gamma"),
        node("Sub", "ktr ktr", "nothing"),
        node("Exp", "nothing", "baseline"),
    ]


def _step_nodes() -> list[Any]:
    """Durations [k, 1], ln(1 + C) [k, 3] and the scalar responses of each step [k, 7]."""
    return [
        node("Slice", "steps zero one last_axis", "durations"),
        node("Slice", "steps one all_columns last_axis", "drug"),
        node("Mul", "durations kwbc", "losses"),
        node("Pow", "losses loss_powers", "loss_rows"),
        node("MatMul", "loss_rows step_table", "responses"),
    ]


def _feedback_nodes() -> list[Any]:
    """c**(-gamma) half a step ahead."""
    return [
        node("Split", "response", "keep_half first second keep start middle end", axis=0, num_outputs=7),
        node("Mul", "ktr duration", "passed"),
        node("Sub", "pool transit", "inflow"),
        node("Mul", "passed second", "bend"),
        node("Add", "bend first", "bent"),
        node("Mul", "bent passed", "reach"),
        node("Mul", "reach inflow", "gained"),
        node("Sub", "circulating transit", "excess"),
        node("Mul", "excess keep_half", "kept"),
        node("Add", "gained kept", "moved"),
        node("Add", "moved transit", "ahead"),
        node("Max", "ahead floor", "ahead_floored"),
        node("Log", "ahead_floored", "log_ahead"),
        node("Mul", "log_ahead minus_gamma", "log_feedback"),
        node("Exp", "log_feedback", "feedback"),
    ]


def _growth_nodes() -> list[Any]:
    """P in the middle and at the end of the step."""
    return [
        node("Reshape", "drug_points points_shape", "drug_column"),
        node("Mul", "drug_column slope", "effects"),
        node("MatMul", "weights effects", "mean_effect"),
        node("Sub", "unity effects", "room_signed"),
        node("Max", "room_signed nought", "room"),
        node("MatMul", "weights room", "mean_room"),
        node("Sub", "feedback unity", "surplus"),
        node("Mul", "surplus mean_room", "driven_surplus"),
        node("Sub", "driven_surplus mean_effect", "rate"),
        node("Mul", "rate passed", "growth"),
        node("Mul", "growth half", "half_growth"),
        node("Add", "log_pool half_growth", "log_middle"),
        node("Add", "log_middle half_growth", "log_pool_next"),
        node("Exp", "log_middle", "pool_middle"),
        node("Exp", "log_pool_next", "pool_next"),
    ]


def _maturing_nodes() -> list[Any]:
    """T in the middle and at the end, then c."""
    return [
        node("Concat", "transit pool pool_middle pool_next", "driven", axis=0),
        node("MatMul", "transit_table driven", "terms_flat"),
        node("Reshape", "terms_flat terms_shape", "terms"),
        node("Pow", "passed transit_powers", "passed_powers_flat"),
        node("Reshape", "passed_powers_flat powers_shape", "passed_powers"),
        node("Mul", "terms passed_powers", "weighted"),
        node("ReduceSum", "weighted first_axis", "transits", keepdims=0),
        node("Slice", "transits zero one first_axis", "transit_middle"),
        node("Slice", "transits one two first_axis", "transit_next"),
        node("Mul", "circulating keep", "stayed"),
        node("Mul", "transit start", "from_start"),
        node("Mul", "transit_middle middle", "from_middle"),
        node("Mul", "transit_next end", "from_end"),
        node("Sum", "stayed from_start from_middle from_end", "circulating_next"),
        node("Identity", "circulating_next", "share"),
    ]


def _scan_node() -> Any:  # noqa: ANN401 - onnx has no types
    """One step; parameters and constants come from the outer graph."""

    def row(name: str) -> Any:  # noqa: ANN401 - onnx has no types
        return helper.make_tensor_value_info(name, ELEMENT, [1, "n"])

    def vector(name: str, length: int) -> Any:  # noqa: ANN401 - onnx has no types
        return helper.make_tensor_value_info(name, ELEMENT, [length])

    states = ("log_pool", "pool", "transit", "circulating")
    inputs = [*map(row, states), vector("duration", 1), vector("drug_points", STEP_COLUMNS - 1), vector("response", 7)]
    outputs = [*(row(f"{state}_next") for state in states), row("share")]
    body = helper.make_graph([*_feedback_nodes(), *_growth_nodes(), *_maturing_nodes()], "step", inputs, outputs)
    return helper.make_node(
        "Scan",
        ["nothing", "baseline", "baseline", "baseline", "durations", "drug", "responses"],
        ["log_pool_end", "pool_end", "transit_end", "circulating_end", "shares"],
        name="scan",
        body=body,
        num_scan_inputs=3,
    )


def _output_nodes() -> list[Any]:
    """Shares [k, 1, n] to counts [k + 1, n], baseline first."""
    return [
        node("Squeeze", "shares last_axis", "share_rows"),
        node("Concat", "baseline share_rows", "all_shares", axis=0),
        node("Mul", "all_shares wbc0", "counts"),
    ]
