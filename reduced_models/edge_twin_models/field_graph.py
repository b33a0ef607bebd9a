"""The integrator of ``edge_twin.engines.numpy_field`` as an ONNX Scan graph in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from edge_twin.engines.numpy_field import PARAMETERS, STAGES, STEP_COLUMNS, ReducedOperators
from edge_twin_models.graph_parts import (
    ELEMENT,
    Carried,
    PerStep,
    index_tensors,
    model_bytes,
    node,
    number_tensors,
    scan_node,
)

Floats = NDArray[np.float64]


def field_graph(operators: ReducedOperators, name: str) -> bytes:
    """Serialised model, deterministic bytes.

    Inputs: ``initial`` [n, r], ``log_parameters`` [n, 4], ``steps`` [k, 3] (k >= 1). Output: ``states``
    [k + 1, r, n].

    Args:
        operators: the projected equation.
        name: of the graph.
    """
    info = helper.make_tensor_value_info
    size = operators.size
    graph = helper.make_graph(
        [*_outer_nodes(), _scan(size), node("Concat", "first_state later_states", "states", axis=0)],
        name,
        [
            info("initial", ELEMENT, ["n", size]),
            info("log_parameters", ELEMENT, ["n", len(PARAMETERS)]),
            info("steps", ELEMENT, ["k", STEP_COLUMNS]),
        ],
        [info("states", ELEMENT, ["nodes", size, "n"])],
        initializer=_constants(operators),
    )
    return model_bytes(graph)


def _constants(operators: ReducedOperators) -> list[Any]:
    first, second = np.triu_indices(operators.size)
    values: dict[str, float | Floats] = {
        "diffusion_matrix": operators.diffusion,
        "quadratic": operators.quadratic,
        "inverse_capacity": 1.0 / operators.capacity,
        "inverse_ratio": 1.0 / operators.alpha_beta_gy,
        "minus_half": -0.5,
        "one": 1.0,
    }
    for index, (weight, ahead) in enumerate(STAGES):
        values |= {f"weight_{index}": weight} if weight else {}
        values |= {f"ahead_{index}": ahead} if ahead else {}
    return number_tensors(values) + index_tensors(
        {"pair_first": first.tolist(), "pair_second": second.tolist(), "first_axis": [0]}
    )


def _outer_nodes() -> list[Any]:
    """Rows [1, n] of the parameters, state [r, n] at the start, columns [k, 1] of the steps."""
    return [
        node("Transpose", "log_parameters", "log_rows"),
        node("Exp", "log_rows", "rows"),
        node("Split", "rows", "d k alpha s", axis=0, num_outputs=len(PARAMETERS)),
        node("Neg", "alpha", "minus_alpha"),
        node("Transpose", "initial", "start"),
        node("Unsqueeze", "start first_axis", "first_state"),
        node("Split", "steps", "lengths exposures grays", axis=1, num_outputs=STEP_COLUMNS),
    ]


def _scan(size: int) -> Any:  # noqa: ANN401 - onnx has no types
    """One step; parameters and constants come from the outer graph."""
    nodes = [
        node("Mul", "s exposure", "kill"),
        node("Mul", "kill minus_half", "log_half"),
        node("Exp", "log_half", "half"),
        node("Mul", "state half", "stage_0"),
        *(part for index in range(len(STAGES)) for part in _stage(index)),
        node("Add", "stage_0 gained_0", "sum_0"),
        node("Add", "sum_0 gained_2", "advanced"),
        node("Mul", "advanced half", "halved"),
        node("Mul", "gray inverse_ratio", "relative"),
        node("Add", "relative one", "enlarged"),
        node("Mul", "gray enlarged", "effect"),
        node("Mul", "minus_alpha effect", "log_survival"),
        node("Exp", "log_survival", "survival"),
        node("Mul", "halved survival", "state_next"),
        node("Identity", "state_next", "state_seen"),
    ]
    steps = {"days": PerStep("lengths"), "exposure": PerStep("exposures"), "gray": PerStep("grays")}
    return scan_node(nodes, {"state": Carried("start", size)}, steps, ("state_seen", "later_states"))


def _stage(index: int) -> list[Any]:
    """The slope at a stage, what it adds to the step, and the next stage."""
    named = {word: f"{word}_{index}" for word in ("stage", "one_of", "two_of", "product", "logistic", "net")}
    nodes = [
        node("Gather", f"{named['stage']} pair_first", named["one_of"], axis=0),
        node("Gather", f"{named['stage']} pair_second", named["two_of"], axis=0),
        node("Mul", f"{named['one_of']} {named['two_of']}", named["product"]),
        node("MatMul", f"quadratic {named['product']}", named["logistic"]),
        node("Mul", f"{named['logistic']} inverse_capacity", f"scaled_{index}"),
        node("Sub", f"{named['stage']} scaled_{index}", named["net"]),
        node("Mul", f"{named['net']} k", f"growth_{index}"),
        node("MatMul", f"diffusion_matrix {named['stage']}", f"flow_{index}"),
        node("Mul", f"flow_{index} d", f"spread_{index}"),
        node("Add", f"growth_{index} spread_{index}", f"slope_{index}"),
        node("Mul", f"slope_{index} days", f"change_{index}"),
    ]
    weight, ahead = STAGES[index]
    if weight:
        nodes.append(node("Mul", f"change_{index} weight_{index}", f"gained_{index}"))
    if ahead:
        nodes.append(node("Mul", f"change_{index} ahead_{index}", f"step_{index}"))
        nodes.append(node("Add", f"stage_0 step_{index}", f"stage_{index + 1}"))
    return nodes
