"""The integrator of ``edge_twin.engines.numpy_jost`` as an ONNX Scan graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

from edge_twin.concentration import QUADRATURE_WEIGHTS
from edge_twin.engines.numpy_jost import (
    CIRCULATING_FLOOR,
    LOSS_ORDER,
    STEP_COLUMNS,
    STEP_TABLE,
    TRANSIT_ORDER,
    TRANSIT_TABLE,
)

OPSET = 20
IR_VERSION = 10
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
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="edge_twin_models"
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


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
    return tensors + [numpy_helper.from_array(np.array(v, dtype=np.int64), k) for k, v in shapes.items()]


def _node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:  # noqa: ANN401 - attributes of any kind
    outputs = output.split()
    return helper.make_node(operator, inputs.split(), outputs, name=outputs[0], **attributes)


def _parameter_nodes() -> list[Any]:
    """Rows [1, n] of the parameters, powers of ktr [order, n] and the initial state."""
    return [
        _node("Transpose", "log_parameters", "log_rows"),
        _node("Exp", "log_rows", "rows"),
        _node("Split", "rows", "wbc0 ktr slope gamma", axis=0, num_outputs=4),
        _node("Neg", "gamma", "minus_gamma"),
        _node("Sub", "ktr ktr", "nothing"),
        _node("Exp", "nothing", "baseline"),
    ]


def _step_nodes() -> list[Any]:
    """Durations [k, 1], ln(1 + C) [k, 3] and the scalar responses of each step [k, 7]."""
    return [
        _node("Slice", "steps zero one last_axis", "durations"),
        _node("Slice", "steps one all_columns last_axis", "drug"),
        _node("Mul", "durations kwbc", "losses"),
        _node("Pow", "losses loss_powers", "loss_rows"),
        _node("MatMul", "loss_rows step_table", "responses"),
    ]


def _feedback_nodes() -> list[Any]:
    """c**(-gamma) half a step ahead."""
    return [
        _node("Split", "response", "keep_half first second keep start middle end", axis=0, num_outputs=7),
        _node("Mul", "ktr duration", "passed"),
        _node("Sub", "pool transit", "inflow"),
        _node("Mul", "passed second", "bend"),
        _node("Add", "bend first", "bent"),
        _node("Mul", "bent passed", "reach"),
        _node("Mul", "reach inflow", "gained"),
        _node("Sub", "circulating transit", "excess"),
        _node("Mul", "excess keep_half", "kept"),
        _node("Add", "gained kept", "moved"),
        _node("Add", "moved transit", "ahead"),
        _node("Max", "ahead floor", "ahead_floored"),
        _node("Log", "ahead_floored", "log_ahead"),
        _node("Mul", "log_ahead minus_gamma", "log_feedback"),
        _node("Exp", "log_feedback", "feedback"),
    ]


def _growth_nodes() -> list[Any]:
    """P in the middle and at the end of the step."""
    return [
        _node("Reshape", "drug_points points_shape", "drug_column"),
        _node("Mul", "drug_column slope", "effects"),
        _node("MatMul", "weights effects", "mean_effect"),
        _node("Sub", "unity effects", "room_signed"),
        _node("Max", "room_signed nought", "room"),
        _node("MatMul", "weights room", "mean_room"),
        _node("Sub", "feedback unity", "surplus"),
        _node("Mul", "surplus mean_room", "driven_surplus"),
        _node("Sub", "driven_surplus mean_effect", "rate"),
        _node("Mul", "rate passed", "growth"),
        _node("Mul", "growth half", "half_growth"),
        _node("Add", "log_pool half_growth", "log_middle"),
        _node("Add", "log_middle half_growth", "log_pool_next"),
        _node("Exp", "log_middle", "pool_middle"),
        _node("Exp", "log_pool_next", "pool_next"),
    ]


def _maturing_nodes() -> list[Any]:
    """T in the middle and at the end, then c."""
    return [
        _node("Concat", "transit pool pool_middle pool_next", "driven", axis=0),
        _node("MatMul", "transit_table driven", "terms_flat"),
        _node("Reshape", "terms_flat terms_shape", "terms"),
        _node("Pow", "passed transit_powers", "passed_powers_flat"),
        _node("Reshape", "passed_powers_flat powers_shape", "passed_powers"),
        _node("Mul", "terms passed_powers", "weighted"),
        _node("ReduceSum", "weighted first_axis", "transits", keepdims=0),
        _node("Slice", "transits zero one first_axis", "transit_middle"),
        _node("Slice", "transits one two first_axis", "transit_next"),
        _node("Mul", "circulating keep", "stayed"),
        _node("Mul", "transit start", "from_start"),
        _node("Mul", "transit_middle middle", "from_middle"),
        _node("Mul", "transit_next end", "from_end"),
        _node("Sum", "stayed from_start from_middle from_end", "circulating_next"),
        _node("Identity", "circulating_next", "share"),
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
        _node("Squeeze", "shares last_axis", "share_rows"),
        _node("Concat", "baseline share_rows", "all_shares", axis=0),
        _node("Mul", "all_shares wbc0", "counts"),
    ]
