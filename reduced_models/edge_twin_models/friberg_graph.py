"""The integrator of ``edge_twin.engines.numpy_friberg`` as an ONNX Scan graph.

The nested Taylor series of the linear chain is a polynomial in x = ktr·dt with fixed matrices, so one
small matrix product per step replaces its sixteen elementwise nodes: with w = (P start, P middle, P end,
T1, T2, T3, c),

    chain_new = Σ_m x**m · B_m · w,   m = 0..4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.engines.numpy_friberg import (
    CIRCULATING_FLOOR,
    FORCING_MOMENTS,
    HOURS_PER_DAY,
    TRANSIT_RATE_COUNT,
)
from edge_twin_models import graph_parts
from edge_twin_models.graph_parts import ELEMENT, Carried, PerStep, growth_nodes, index_tensors, node, number_tensors

_ORDERS = 4
_CHAIN = 4

Floats = NDArray[np.float64]


def chain_polynomials() -> Floats:
    """B_m for m = 0..4, shape [5, 4, 7].

    From y = y0 + x·D1(y0 + x/2·D2(y0 + x/3·D3(y0 + x/4·D4 y0))) with Dm y = L y + e1·moment_m,
    multiplied out: B_m = (1/m!)·(L**(m-1)·(L y0 + e1·moment_m)).
    """
    shift = np.eye(_CHAIN, k=-1) - np.eye(_CHAIN)
    into_first = np.zeros((_CHAIN, 1))
    into_first[0] = 1.0
    blocks = [np.hstack((np.zeros((_CHAIN, 3)), np.eye(_CHAIN)))]
    power, factorial = np.eye(_CHAIN), 1.0
    for order in range(1, _ORDERS + 1):
        factorial *= order
        blocks.append(np.hstack((power @ into_first @ FORCING_MOMENTS[order - 1 : order], power @ shift)) / factorial)
        power = power @ shift
    return np.stack(blocks)


def build_graph(name: str, *, element: int = ELEMENT) -> bytes:
    """Serialised model, deterministic bytes.

    Inputs: ``log_parameters`` [n, 4], ``steps`` [k, 2] (k >= 1). Output: ``counts`` [k + 1, n] in 10*9/L.

    Args:
        name: of the graph.
        element: ONNX element type of all tensors; see ``onnxruntime_engine`` on why it is double.
    """
    nodes = [*_parameter_nodes(), *_step_nodes(), _steps_node(element), *graph_parts.count_nodes("fraction", "circ0")]
    return graph_parts.counts_model(name, nodes, _constants(element), (4, 2), element)


def _constants(element: int) -> list[Any]:
    """Named initialisers of one element type."""
    values: dict[str, float | Floats] = {
        "transit_hours": TRANSIT_RATE_COUNT * HOURS_PER_DAY,
        "exponents_members": np.arange(_ORDERS + 1.0).reshape(-1, 1),
        "exponents_steps": np.arange(_ORDERS + 1.0).reshape(1, -1),
        "half": 0.5,
        "floor": CIRCULATING_FLOOR,
        "polynomials": chain_polynomials().reshape(-1, 3 + _CHAIN),
    }
    shapes = {
        "members_shape": [_ORDERS + 1, 1, -1],
        "steps_shape": [-1, _ORDERS + 1, 1, 1],
        "terms_shape": [_ORDERS + 1, _CHAIN, -1],
        "first_axis": [0],
        "last_axis": [1],
        "zero": [0],
        "one": [1],
        "two": [2],
        "three": [3],
        "four": [4],
    }
    return number_tensors(values, element) + index_tensors(shapes)


def _parameter_nodes() -> list[Any]:
    """Rows [1, n] of the parameters, powers of ktr [5, 1, n] and the initial state."""
    return [
        node("Transpose", "log_parameters", "log_rows"),
        node("Exp", "log_rows", "rows"),
        node("Split", "rows", "circ0 mtt slope gamma", axis=0, num_outputs=4),
        node("Div", "transit_hours mtt", "ktr"),
        node("Mul", "ktr slope", "kill"),
        node("Neg", "gamma", "minus_gamma"),
        node("Pow", "ktr exponents_members", "ktr_powers_flat"),
        node("Reshape", "ktr_powers_flat members_shape", "ktr_powers"),
        node("Sub", "ktr ktr", "nothing"),
        node("Exp", "nothing", "baseline"),
        node("Concat", " ".join(["baseline"] * _CHAIN), "chain_start", axis=0),
    ]


def _step_nodes() -> list[Any]:
    """Durations [k, 1], exposures [k, 1] and powers of the durations [k, 5, 1, 1]."""
    return [
        node("Slice", "steps zero one last_axis", "durations"),
        node("Slice", "steps one two last_axis", "exposures"),
        node("Pow", "durations exponents_steps", "duration_powers_flat"),
        node("Reshape", "duration_powers_flat steps_shape", "duration_powers"),
    ]


def _steps_node(element: int) -> Any:  # noqa: ANN401 - onnx has no types
    """One step; parameters and constants come from the outer graph."""
    nodes = [
        node("Mul", "ktr duration", "transits"),
        # Feedback half a step ahead.
        node("Slice", "chain three four first_axis", "circulating"),
        node("Slice", "chain two three first_axis", "last_transit"),
        node("Slice", "chain one two first_axis", "second_transit"),
        node("Sub", "last_transit circulating", "inflow"),
        node("Sub", "second_transit last_transit", "upstream_inflow"),
        node("Sub", "upstream_inflow inflow", "curvature"),
        node("Mul", "transits half", "half_transits"),
        node("Mul", "half_transits half", "quarter_transits"),
        node("Mul", "curvature quarter_transits", "bend"),
        node("Add", "inflow bend", "bent_inflow"),
        node("Mul", "bent_inflow half_transits", "half_change"),
        node("Add", "circulating half_change", "ahead"),
        node("Max", "ahead floor", "ahead_floored"),
        node("Log", "ahead_floored", "log_ahead"),
        node("Mul", "log_ahead minus_gamma", "log_feedback"),
        node("Exp", "log_feedback", "feedback"),
        # Proliferating pool in the middle and at the end.
        node("Mul", "kill exposure", "killed"),
        node("Sub", "transits killed", "net_transits"),
        node("Mul", "feedback net_transits", "gain"),
        node("Sub", "gain transits", "growth"),
        *growth_nodes("log_proliferating"),
        node("Exp", "log_proliferating", "proliferating"),
        node("Exp", "log_middle", "middle"),
        node("Exp", "log_proliferating_next", "proliferating_next"),
        # Chain.
        node("Concat", "proliferating middle proliferating_next chain", "driven", axis=0),
        node("MatMul", "polynomials driven", "terms_flat"),
        node("Reshape", "terms_flat terms_shape", "terms"),
        node("Mul", "ktr_powers step_powers", "powers"),
        node("Mul", "terms powers", "weighted"),
        node("ReduceSum", "weighted first_axis", "chain_next", keepdims=0),
        node("Slice", "chain_next three four first_axis", "fraction"),
    ]
    states = {"log_proliferating": Carried("nothing"), "chain": Carried("chain_start", _CHAIN)}
    steps = {
        "duration": PerStep("durations"),
        "exposure": PerStep("exposures"),
        "step_powers": PerStep("duration_powers", [_ORDERS + 1, 1, 1]),
    }
    return graph_parts.scan_node(nodes, states, steps, ("fraction", "fractions"), element)
