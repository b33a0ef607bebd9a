"""The teacher's runs from which a cycle operator is distilled: what is common, and the runs of neutropenia.

In units of the baseline and of the mean transit time the Friberg model loses two of its parameters: what
is left depends on the state at the dose, on gamma, on the kill ktr·slope·AUC of the dose, and weakly on
how the minutes of the pharmacokinetics compare with the transit time. So each run is made in scaled
time s = t / MTT from its dose, and its state at a later s starts the next run: the states on which the
network is trained are those that schedules reach, not the corners of a box that no patient visits. The runs
of AML leukocytes, in days, are made in ``cycle_design_aml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.cycle_forms import HOURS_PER_DAY
from edge_twin.cycle_weights import FRIBERG_LAYOUT, Layout
from edge_twin.engines.numpy_friberg import NumpyFriberg
from edge_twin.exposure import LinearPharmacokinetics
from edge_twin_models.friberg import DOCETAXEL_PK

Floats = NDArray[np.float64]

CYCLES = 12
LONGEST_SCALED = FRIBERG_LAYOUT.longest
# About 2.8 between-patient standard deviations of DDMODEL00000224 around its typical values [A]; gamma has no
# published variance, its range is assumed.
BOX = MappingProxyType({"mtt": (57.0, 124.0), "slope": (5.7, 42.4), "gamma": (0.11, 0.19)})
MAX_AMOUNT_MG = 225.0
MAX_AMOUNT_21_DAYS_MG = 300.0
SMALLEST_AMOUNT_MG = 30.0
MAX_INFUSION_DAYS = 0.125
PIECE_DAYS = (7.0, 28.0)
MAX_KILL = 12.0  # ktr·slope·AUC; typical patient at 180 mg: 4.3
SKIPPED_SHARE = 0.15  # of the cycles of the design, without a dose
STATE_NOISE = 0.04  # of the logarithms: neighbours of reachable states, so that small errors of a roll-out heal
FINE_SCALED = 0.02  # step of the teacher in mean transit times
EARLY_SCALED = (0.0015, 0.004, 0.008, 0.014)  # after a dose, where the drug is distributed
RUNS_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class CycleRuns:
    """Runs of one cycle each.

    Attributes:
        inputs: [r, i] in the order of the layout's names.
        curves: [r, states, g] natural logarithms of the states on the layout's grid, the circulating count last.
    """

    inputs: Floats
    curves: Floats


class CycleParts(NamedTuple):
    """One cycle of some patients: length in days, amount of an administration in mg, infusion in days; [n] each."""

    length_days: Floats
    amount_mg: Floats
    infusion_days: Floats


@dataclass(frozen=True)
class CycleDesign:
    """How the runs of one teacher are made, as data and functions of a module (so that processes can share it).

    Attributes:
        layout: inputs and curves.
        box: bounds of the parameters but the baseline, in the order of the bundle.
        columns: Sobol dimensions of one cycle.
        cycle: columns [columns, n] and log parameters [n, 4] to the cycle.
        run: log parameters, cycle and log state [states, n] to (inputs [n, i], curves [n, states, g], whatever
            ``ending`` needs).
        ending: the last of these, the cycle and the log parameters to the log state at its end.
    """

    layout: Layout
    box: Mapping[str, tuple[float, float]]
    columns: int
    cycle: Callable[[Floats, Floats], CycleParts]
    run: Callable[[Floats, CycleParts, Floats], tuple[Floats, Floats, Floats]]
    ending: Callable[[Floats, CycleParts, Floats], Floats]


class Noise(NamedTuple):
    """What is added to the state at the end of each cycle: where and how much, [cycles, states, n] and [cycles, n]."""

    amounts: Floats
    shares: Floats


def cycle_runs(
    patients: int,
    seed: int,
    cycles: int = CYCLES,
    design: CycleDesign | None = None,
    executor: Executor | None = None,
) -> CycleRuns:
    """The design: ``cycles`` consecutive runs of each of ``patients`` Sobol points; progress is shown.

    Args:
        patients: a power of two keeps the balance of the sequence.
        seed: of the scrambling and of the state noise.
        cycles: runs per patient.
        design: of the teacher; docetaxel's when None.
        executor: where the runs are made; here when None. The result does not depend on it.
    """
    design = design or DOCETAXEL
    points = _sobol(patients, len(design.box) + design.columns * cycles, seed)
    generator = np.random.default_rng([seed, patients])
    blocks = [points[first : first + RUNS_AT_ONCE] for first in range(0, patients, RUNS_AT_ONCE)]
    # Drawn here in one order, so that it does not matter where the runs are made.
    work = [(design, block, _noise(generator, cycles, design.layout.pools + 1, len(block))) for block in blocks]
    done = executor.map(_chain_of_runs, work) if executor else map(_chain_of_runs, work)
    parts = list(tqdm(done, desc="teacher runs", total=len(work), leave=False, disable=None))
    return CycleRuns(np.concatenate([part.inputs for part in parts]), np.concatenate([part.curves for part in parts]))


def _noise(generator: np.random.Generator, cycles: int, states: int, patients: int) -> Noise:
    draws = [(generator.standard_normal((states, patients)), generator.random(patients)) for _ in range(cycles)]
    return Noise(np.stack([amounts for amounts, _ in draws]), np.stack([shares for _, shares in draws]))


def cumulative_exposure(pk: LinearPharmacokinetics, days: Floats, infusion_days: Floats) -> Floats:
    """Area under the concentration curve since the start of a dose of 1 mg, in µmol·d/L.

    Args:
        pk: with real, negative eigenvalues.
        days: [k, n] after the start.
        infusion_days: [n], all positive.

    Returns:
        [k, n].
    """
    rates, vectors = np.linalg.eig(pk.rate_matrix)
    weights = vectors[0] * np.linalg.inv(vectors)[:, 0] / -rates / pk.litre_milligrams_per_micromole

    def integral(time: Floats) -> Floats:
        """Of the exposure after a bolus, from 0 to ``time``."""
        terms = [w * (time + np.expm1(rate * time) / -rate) for w, rate in zip(weights, rates, strict=True)]
        return np.asarray(np.sum(terms, axis=0))

    return np.asarray((integral(days) - integral(np.maximum(days - infusion_days, 0.0))) / infusion_days)


def _chain_of_runs(work: tuple[CycleDesign, Floats, Noise]) -> CycleRuns:
    """Every cycle of some patients; the state at the end of one starts the next, with noise."""
    design, points, noise = work
    log_parameters = _log_parameters(points, design.box)
    state = np.zeros((design.layout.pools + 1, len(points)))  # logarithms; the baseline
    inputs, curves = [], []
    for columns, amounts, shares in zip(_columns(points, design), *noise, strict=True):
        cycle = design.cycle(columns, log_parameters)
        seen, curve, nodes = design.run(log_parameters, cycle, state)
        inputs.append(seen)
        curves.append(curve)
        state = design.ending(nodes, cycle, log_parameters)
        state = state + STATE_NOISE * amounts * (shares < 0.5)  # noqa: PLR2004 - half of the runs
    return CycleRuns(np.concatenate(inputs), np.concatenate(curves))


def _columns(points: Floats, design: CycleDesign) -> list[Floats]:
    """The Sobol coordinates of each cycle, [columns, n]."""
    return np.split(points[:, len(design.box) :].T, (points.shape[1] - len(design.box)) // design.columns)


def _docetaxel_run(log_parameters: Floats, cycle: CycleParts, state: Floats) -> tuple[Floats, Floats, Floats]:
    _, amount, infusion = cycle
    nodes = run_cycle(log_parameters, amount, infusion, state)
    return cycle_inputs(log_parameters, amount, infusion, state), _on_grid(nodes), nodes


def _docetaxel_ending(nodes: Floats, cycle: CycleParts, log_parameters: Floats) -> Floats:
    return _state_at(nodes, cycle.length_days * HOURS_PER_DAY / np.exp(log_parameters[:, 1]))


def run_cycle(log_parameters: Floats, amount_mg: Floats, infusion_days: Floats, log_state: Floats) -> Floats:
    """One run of the teacher in scaled time.

    Args:
        log_parameters: [n, 4] in the order of the bundle.
        amount_mg: [n].
        infusion_days: [n].
        log_state: [5, n] ln P, ln T1..T3, ln c at the dose, fractions of the baseline.

    Returns:
        [k, 5, n] logarithms at ``scaled_nodes()``.
    """
    days = scaled_nodes()[:, None] * np.exp(log_parameters[:, 1]) / HOURS_PER_DAY
    exposure = amount_mg * cumulative_exposure(DOCETAXEL_PK, days, np.maximum(infusion_days, 1e-4))
    steps = np.stack((np.diff(days, axis=0), np.diff(exposure, axis=0)), axis=1)
    state = np.concatenate((log_state[:1], np.exp(log_state[1:])))
    nodes = NumpyFriberg().trajectory(log_parameters, steps, state)
    nodes[:, 1:] = np.log(nodes[:, 1:])
    return nodes


def scaled_nodes() -> Floats:
    """[k] nodes of a run in mean transit times: regular, with a finer beginning."""
    regular = np.arange(round(LONGEST_SCALED / FINE_SCALED) + 1) * FINE_SCALED
    return np.unique(np.concatenate((EARLY_SCALED, regular)))


def cycle_inputs(log_parameters: Floats, amount_mg: Floats, infusion_days: Floats, log_state: Floats) -> Floats:
    """[n, 9] inputs of the operator; see ``CycleRuns.inputs``."""
    days_per_transit = np.exp(log_parameters[:, 1]) / HOURS_PER_DAY
    kill = kill_per_milligram(log_parameters) * amount_mg
    return np.column_stack((log_state.T, log_parameters[:, [1, 3]], kill, infusion_days / days_per_transit))


def kill_per_milligram(log_parameters: Floats) -> Floats:
    """[n] ktr·slope·(whole exposure of 1 mg)."""
    _, mtt, slope, _ = np.exp(log_parameters.T)
    whole = -np.linalg.inv(DOCETAXEL_PK.rate_matrix)[0, 0] / DOCETAXEL_PK.litre_milligrams_per_micromole
    return np.asarray(4.0 * HOURS_PER_DAY / mtt * slope * whole)


def _sobol(points: int, dimensions: int, seed: int) -> Floats:
    from scipy.stats import qmc  # noqa: PLC0415 - only where models are distilled

    sampler = qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
    return np.asarray(sampler.random(points), dtype=np.float64)


def _log_parameters(points: Floats, box: Mapping[str, tuple[float, float]]) -> Floats:
    """[n, 4]; the baseline is 1: it only scales the counts."""
    columns = [
        np.log(low) + (np.log(high) - np.log(low)) * points[:, index] for index, (low, high) in enumerate(box.values())
    ]
    return np.column_stack((np.zeros(len(points)), *columns))


def _docetaxel_cycle(columns: Floats, log_parameters: Floats) -> CycleParts:
    """One cycle of each patient."""
    which, size, stretch, infusion = columns
    length = PIECE_DAYS[0] + (PIECE_DAYS[1] - PIECE_DAYS[0]) * stretch
    highest = np.minimum(MAX_AMOUNT_MG, MAX_AMOUNT_21_DAYS_MG / np.ceil(21.0 / length))
    highest = np.minimum(highest, MAX_KILL / kill_per_milligram(log_parameters))
    amount = SMALLEST_AMOUNT_MG + (highest - SMALLEST_AMOUNT_MG) * size
    return CycleParts(length, np.where(which < SKIPPED_SHARE, 0.0, amount), MAX_INFUSION_DAYS * infusion)


def _on_grid(nodes: Floats) -> Floats:
    """[n, 5, g] of one run: linear between nodes 0.02 transit times apart."""
    grid, scaled = FRIBERG_LAYOUT.times, scaled_nodes()
    index = np.clip(np.searchsorted(scaled, grid, side="right") - 1, 0, len(scaled) - 2)
    weight = ((grid - scaled[index]) / (scaled[index + 1] - scaled[index]))[:, None, None]
    curves = nodes[index] * (1.0 - weight) + nodes[index + 1] * weight
    return np.ascontiguousarray(curves.transpose(2, 1, 0))


def _state_at(nodes: Floats, scaled: Floats) -> Floats:
    """[5, n] at the node next to ``scaled`` [n]: the design may choose its cycle lengths."""
    index = np.clip(np.searchsorted(scaled_nodes(), scaled), 1, len(nodes) - 1)
    return np.asarray(nodes[index, :, np.arange(nodes.shape[2])].T)


DOCETAXEL = CycleDesign(FRIBERG_LAYOUT, dict(BOX), 4, _docetaxel_cycle, _docetaxel_run, _docetaxel_ending)
"""Runs of the Friberg model after docetaxel."""
