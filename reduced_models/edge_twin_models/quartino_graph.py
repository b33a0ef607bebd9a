"""The integrator of ``edge_twin.engines.numpy_quartino`` as an ONNX Scan graph."""

from __future__ import annotations

from typing import Any

from edge_twin.engines.numpy_quartino import (
    CHAIN,
    CIRCULATING_FLOOR,
    PARAMETERS,
    STAGE_HOURS,
    STEP_COLUMNS,
    FactorKinetics,
)
from edge_twin_models import graph_parts
from edge_twin_models.graph_parts import Carried, PerStep, growth_nodes, index_tensors, node, number_tensors


def build_graph(name: str, kinetics: FactorKinetics) -> bytes:
    """Serialised model, deterministic bytes.

    Inputs: ``log_parameters`` [n, 5], ``steps`` [k, 3] (k >= 1). Output: ``counts`` [k + 1, n] in 10*9/L.

    Args:
        name: of the graph.
        kinetics: what all patients share.
    """
    nodes = [*_parameter_nodes(), *_step_nodes(), _steps_node(), *graph_parts.count_nodes("share", "circ0")]
    return graph_parts.counts_model(name, nodes, _constants(kinetics), (len(PARAMETERS), STEP_COLUMNS))


def _constants(kinetics: FactorKinetics) -> list[Any]:
    """Named initialisers."""
    values = {
        "kcirc": kinetics.kcirc_per_day,
        "ke": kinetics.ke_per_day,
        "kanc": kinetics.kanc_per_day,
        "g0": kinetics.g0_ng_per_l,
        "stage_hours": STAGE_HOURS,
        "two": 2.0,
        "half": 0.5,
        "sixth": 1.0 / 6.0,
        "floor": CIRCULATING_FLOOR,
    }
    bounds = {"b0": [0], "b1": [1], "b2": [2], "b3": [3], "b4": [4], "b5": [CHAIN]}
    return number_tensors(values) + index_tensors({**bounds, "first_axis": [0], "last_axis": [1]})


def _parameter_nodes() -> list[Any]:
    """Rows [1, n] of the parameters and the initial state."""
    return [
        node("Transpose", "log_parameters", "log_rows"),
        node("Exp", "log_rows", "rows"),
        node("Split", "rows", "circ0 mtt slope gamma beta", axis=0, num_outputs=5),
        node("Div", "stage_hours mtt", "ktr"),
        node("Mul", "kanc circ0", "by_cells"),
        node("Add", "by_cells ke", "production"),
        node("Sub", "ktr ktr", "nothing"),
        node("Exp", "nothing", "baseline"),
        node("Concat", " ".join(["baseline"] * CHAIN), "chain_start", axis=0),
        node("Mul", "baseline kcirc", "kcirc_row"),
    ]


def _step_nodes() -> list[Any]:
    """Durations, exposures and what enters, as shares of G0, each [k, 1]."""
    return [
        node("Slice", "steps b0 b1 last_axis", "durations"),
        node("Slice", "steps b1 b2 last_axis", "exposures"),
        node("Slice", "steps b2 b3 last_axis", "given_ng_per_l"),
        node("Div", "given_ng_per_l g0", "givens"),
    ]


def _factor_nodes() -> list[Any]:
    """Factor at the end of the step and its mean, for the count in the middle."""
    return [
        node("Slice", "chain b4 b5 first_axis", "circulating"),
        node("Slice", "chain b3 b4 first_axis", "last_transit"),
        node("Log", "factor", "log_start"),
        node("Mul", "log_start beta", "log_speed_start"),
        node("Exp", "log_speed_start", "speed_start"),
        node("Mul", "speed_start last_transit", "inflow"),
        node("Sub", "inflow circulating", "drift"),
        node("Mul", "duration half", "half_duration"),
        node("Mul", "half_duration kcirc", "half_passed"),
        node("Mul", "drift half_passed", "gained"),
        node("Add", "gained circulating", "ahead"),
        node("Max", "ahead floor", "ahead_floored"),
        node("Mul", "ahead_floored by_cells", "lost_by_cells"),
        node("Add", "lost_by_cells ke", "loss"),
        node("Div", "given duration", "entering"),
        node("Add", "production entering", "source"),
        node("Div", "source loss", "target"),
        node("Mul", "loss duration", "losses"),
        node("Neg", "losses", "minus_losses"),
        node("Exp", "minus_losses", "kept"),
        node("Sub", "factor target", "away"),
        node("Mul", "away kept", "away_next"),
        node("Add", "away_next target", "factor_next"),
        node("Sub", "away away_next", "passed"),
        node("Div", "passed losses", "mean_away"),
        node("Add", "mean_away target", "mean_factor"),
    ]


def _growth_nodes() -> list[Any]:
    """P at the start, in the middle and at the end of the step, and g**beta."""
    return [
        node("Log", "mean_factor", "log_factor"),
        node("Mul", "log_factor beta", "log_speed"),
        node("Exp", "log_speed", "speed"),
        node("Mul", "log_factor gamma", "log_drive"),
        node("Exp", "log_drive", "drive"),
        node("Mul", "slope exposure", "killed"),
        node("Sub", "duration killed", "net"),
        node("Mul", "net drive", "gain"),
        node("Mul", "speed duration", "leaving"),
        node("Sub", "gain leaving", "balance"),
        node("Mul", "balance ktr", "growth"),
        *growth_nodes("log_pool"),
        node("Exp", "log_pool", "pool"),
        node("Exp", "log_middle", "pool_middle"),
        node("Exp", "log_pool_next", "pool_next"),
    ]


def _chain_nodes() -> list[Any]:
    """The classical Runge-Kutta rule for the chain."""
    rates = [
        node("Mul", "ktr speed", "stage"),
        node("Mul", "speed kcirc", "into_blood"),
        node("Concat", "stage stage stage stage into_blood", "rates_in", axis=0),
        node("Concat", "stage stage stage stage kcirc_row", "rates_out", axis=0),
    ]
    stages = [
        *_change_nodes("chain", "pool", "s1"),
        node("Mul", "s1 half_duration", "s1_ahead"),
        node("Add", "chain s1_ahead", "trial2"),
        *_change_nodes("trial2", "pool_middle", "s2"),
        node("Mul", "s2 half_duration", "s2_ahead"),
        node("Add", "chain s2_ahead", "trial3"),
        *_change_nodes("trial3", "pool_middle", "s3"),
        node("Mul", "s3 duration", "s3_ahead"),
        node("Add", "chain s3_ahead", "trial4"),
        *_change_nodes("trial4", "pool_next", "s4"),
    ]
    return [
        *rates,
        *stages,
        node("Add", "s2 s3", "middle_slopes"),
        node("Mul", "middle_slopes two", "twice"),
        node("Sum", "s1 twice s4", "slopes"),
        node("Mul", "duration sixth", "weight"),
        node("Mul", "slopes weight", "moved"),
        node("Add", "chain moved", "chain_next"),
        node("Slice", "chain_next b4 b5 first_axis", "share"),
    ]


def _change_nodes(trial: str, pulse: str, slopes: str) -> list[Any]:
    """Derivative of the chain at ``trial``, driven by ``pulse``."""
    return [
        node("Slice", f"{trial} b0 b4 first_axis", f"{slopes}_stages"),
        node("Concat", f"{pulse} {slopes}_stages", f"{slopes}_above", axis=0),
        node("Mul", f"rates_in {slopes}_above", f"{slopes}_in"),
        node("Mul", f"rates_out {trial}", f"{slopes}_out"),
        node("Sub", f"{slopes}_in {slopes}_out", slopes),
    ]


def _steps_node() -> Any:  # noqa: ANN401 - onnx has no types
    """One step; parameters and constants come from the outer graph."""
    nodes = [*_factor_nodes(), *_growth_nodes(), *_chain_nodes()]
    states = {"log_pool": Carried("nothing"), "factor": Carried("baseline"), "chain": Carried("chain_start", CHAIN)}
    steps = {"duration": PerStep("durations"), "exposure": PerStep("exposures"), "given": PerStep("givens")}
    return graph_parts.scan_node(nodes, states, steps)
