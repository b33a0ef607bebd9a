"""The integrator of ``edge_twin.engines.numpy_jost`` as an ONNX Scan graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.concentration import QUADRATURE_WEIGHTS
from edge_twin.engines.numpy_jost import (
    CIRCULATING_FLOOR,
    LOSS_ORDER,
    STEP_COLUMNS,
    STEP_TABLE,
    TRANSIT_ORDER,
    TRANSIT_TABLE,
)
from edge_twin_models import graph_parts
from edge_twin_models.graph_parts import Carried, PerStep, growth_nodes, index_tensors, node, number_tensors

Floats = NDArray[np.float64]


def build_graph(name: str, kwbc_per_day: float) -> bytes:
    """Serialised model, deterministic bytes.

    Inputs: ``log_parameters`` [n, 4], ``steps`` [k, 4] (k >= 1). Output: ``counts`` [k + 1, n] in 10*9/L.

    Args:
        name: of the graph.
        kwbc_per_day: loss rate of circulating leukocytes, 1/d.
    """
    nodes = [*_parameter_nodes(), *_step_nodes(), _steps_node(), *graph_parts.count_nodes("share", "wbc0")]
    return graph_parts.counts_model(name, nodes, _constants(kwbc_per_day), (4, STEP_COLUMNS))


def _constants(kwbc_per_day: float) -> list[Any]:
    """Named initialisers."""
    values: dict[str, float | Floats] = {
        "kwbc": kwbc_per_day,
        "loss_powers": np.arange(float(LOSS_ORDER)).reshape(1, -1),
        "transit_powers": np.arange(float(TRANSIT_ORDER)).reshape(-1, 1),
        "step_table": STEP_TABLE,
        "transit_table": TRANSIT_TABLE.reshape(-1, 4),
        "weights": QUADRATURE_WEIGHTS.reshape(1, -1),
        "unity": 1.0,
        "nought": 0.0,
        "half": 0.5,
        "floor": CIRCULATING_FLOOR,
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
    return number_tensors(values) + index_tensors(shapes)


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
        *growth_nodes("log_pool"),
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


def _steps_node() -> Any:  # noqa: ANN401 - onnx has no types
    """One step; parameters and constants come from the outer graph."""
    nodes = [*_feedback_nodes(), *_growth_nodes(), *_maturing_nodes()]
    states = {"log_pool": Carried("nothing")} | dict.fromkeys(("pool", "transit", "circulating"), Carried("baseline"))
    steps = {
        "duration": PerStep("durations"),
        "drug_points": PerStep("drug", [STEP_COLUMNS - 1]),
        "response": PerStep("responses", [7]),
    }
    return graph_parts.scan_node(nodes, states, steps)
