"""The teacher's runs from which the cycle operator of AML leukocytes is distilled.

A cycle is six infusions of cytarabine on fixed days, all with one amount; its curve is laid out in days. What
the network sees of it is what it kills, ktr·slope·∫ln(1 + C)dt, and its highest concentration: the effect is
logarithmic, so the two do not follow from each other.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_twin.concentration import concentrations, cycle_effect, log_effect
from edge_twin.cycle_weights import JOST_LAYOUT
from edge_twin.engines.numpy_jost import NumpyJost
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin_models.cycle_design import CycleDesign, CycleParts
from edge_twin_models.jost import CYTARABINE_PK, KWBC_PER_DAY

Floats = NDArray[np.float64]

# About 2.7 of the assumed between-patient standard deviations of ``jost.JOST`` [A]; gamma has none, its range is
# assumed.
BOX = MappingProxyType({"ktr": (0.15, 0.37), "slope": (2.5, 25.0), "gamma": (0.55, 0.76)})
OFFSETS_DAYS = (0.0, 0.5, 2.0, 2.5, 4.0, 4.5)  # [U] twice a day on days 1, 3 and 5
INFUSION_DAYS = 0.125
AMOUNT_MG = (200.0, 7500.0)  # of one administration [A]; up to 3 g/m² at 2.5 m²
PIECE_DAYS = (14.0, 28.0)
MAX_KILL = 14.0  # ktr·slope·∫ln(1 + C)dt of a cycle; typical patient at 1 g/m²: 5.2
SKIPPED_SHARE = 0.15  # of the cycles of the design, without a dose
STEP_DAYS = 0.1  # of the teacher
AMOUNT_POINTS = 200  # of the table from kill back to amount


@cache
def _unit_grid() -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Step lengths [k], concentrations at 1 mg [k, 3], nodes of the layout's grid."""
    doses = [DoseEvent(day, 1.0, INFUSION_DAYS) for day in OFFSETS_DAYS]
    grid = exposure_grid(CYTARABINE_PK, doses, JOST_LAYOUT.times, max_step_days=STEP_DAYS)
    return grid.steps[:, 0], concentrations(CYTARABINE_PK, grid), grid.report


def cycle_inputs(log_parameters: Floats, amount_mg: Floats, log_state: Floats) -> Floats:
    """[n, 7] inputs of the operator, see ``JOST_LAYOUT``."""
    area, peak = cycle_effect(CYTARABINE_PK, OFFSETS_DAYS, INFUSION_DAYS, amount_mg)
    kill = np.exp(log_parameters[:, 1] + log_parameters[:, 2]) * area
    return np.column_stack((log_state.T, log_parameters[:, [1, 3]], kill, peak))


def _cycle(columns: Floats, log_parameters: Floats) -> CycleParts:
    """One cycle of each patient; amounts are spread evenly in the logarithm up to what the kill allows."""
    which, size, stretch = columns
    points = round((PIECE_DAYS[1] - PIECE_DAYS[0]) / JOST_LAYOUT.step)
    length = PIECE_DAYS[0] + JOST_LAYOUT.step * np.rint(points * stretch)
    low, high = np.log(AMOUNT_MG[0]), np.log(_highest(log_parameters))
    amount = np.where(which < SKIPPED_SHARE, 0.0, np.exp(low + (high - low) * size))
    return CycleParts(length, amount, np.full(len(amount), INFUSION_DAYS))


def _highest(log_parameters: Floats) -> Floats:
    """[n] largest amount in mg whose kill is allowed."""
    amounts = np.geomspace(*AMOUNT_MG, AMOUNT_POINTS)
    areas, _ = cycle_effect(CYTARABINE_PK, OFFSETS_DAYS, INFUSION_DAYS, amounts)
    return np.interp(MAX_KILL * np.exp(-log_parameters[:, 1] - log_parameters[:, 2]), areas, amounts)


def _run(log_parameters: Floats, cycle: CycleParts, state: Floats) -> tuple[Floats, Floats, Floats]:
    """Inputs [n, 7], curves [n, 3, g] and the same curves by time [g, 3, n]."""
    lengths, unit, report = _unit_grid()
    effects = log_effect(unit[:, :, None] * cycle.amount_mg)
    start = np.concatenate((state[:1], np.exp(state[1:])))
    nodes = NumpyJost(KWBC_PER_DAY).trajectory(log_parameters, lengths, effects, start)[report]
    nodes[:, 1:] = np.log(nodes[:, 1:])
    curves = np.ascontiguousarray(nodes.transpose(2, 1, 0))
    return cycle_inputs(log_parameters, cycle.amount_mg, state), curves, nodes


def _ending(nodes: Floats, cycle: CycleParts, log_parameters: Floats) -> Floats:
    """[3, n] log state at the end of the cycle, a point of the grid."""
    index = np.rint(cycle.length_days / JOST_LAYOUT.step).astype(np.int64)
    return np.asarray(nodes[index, :, np.arange(len(log_parameters))].T)


CYTARABINE = CycleDesign(JOST_LAYOUT, dict(BOX), 3, _cycle, _run, _ending)
"""Runs of the Jost model after cytarabine."""
