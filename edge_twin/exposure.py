"""Drug exposure of each integration step, exactly: linear pharmacokinetics by the matrix exponential.

Fast pharmacokinetics on slow physiology are stiff at the moment of a dose, so a sampled concentration
must never drive a step. Here the area under the concentration curve (AUC) of every step is a state of
the linear system and comes out of its exponential; steps are split wherever the input changes.

All times are whole microseconds relative to the first node, therefore moving every dose and every
requested time by the same amount changes no bit of the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_twin.errors import BundleError

MICROSECONDS_PER_DAY = 86_400_000_000
DEFAULT_MAX_STEP_DAYS = 0.25
# Most of an injected dose is distributed within the first hour: a coarse step there would place the
# whole fall of the proliferating cells in its middle. These offsets follow every change of the input.
GRADING_DAYS = (0.01, 0.03, 0.08, 0.2)
_TAYLOR_ORDER = 13  # with a norm of at most 1/2 the remainder is 0.5**14 / 14! < 1e-15
_TAYLOR_NORM = 0.5

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DoseEvent:
    """One administration of a drug.

    Attributes:
        start_day: start, in days on the same axis as the requested times.
        amount_mg: absolute amount in mg (not per m² of body surface).
        infusion_days: length of a constant-rate infusion; 0 is a bolus.
        drug: lower-case generic name; empty for the model's own drug.
    """

    start_day: float
    amount_mg: float
    infusion_days: float = 0.0
    drug: str = ""


@dataclass(frozen=True, eq=False)
class LinearPharmacokinetics:
    """A linear compartment model, dosed into and observed in its first compartment.

    Attributes:
        rate_matrix: [c, c] in 1/d, ``dA/dt = rate_matrix @ A + input``; amounts A in mg.
        volume_l: volume of the first compartment, L.
        molar_factor: mg per µmol of the drug (molar mass in g/mol divided by 1000).

    Raises:
        BundleError: ``pharmacokinetics_invalid`` for a matrix or factor that describes no drug.
    """

    rate_matrix: Floats
    volume_l: float
    molar_factor: float

    def __post_init__(self) -> None:
        matrix = np.asarray(self.rate_matrix, dtype=np.float64)
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] and matrix.size > 0  # noqa: PLR2004 - [c, c]
        positive = all(math.isfinite(v) and v > 0.0 for v in (self.volume_l, self.molar_factor))
        if not (square and positive and bool(np.isfinite(matrix).all())):
            raise BundleError("pharmacokinetics are not well formed", reason="pharmacokinetics_invalid")
        object.__setattr__(self, "rate_matrix", matrix)

    @classmethod
    def three_compartment(  # noqa: PLR0913 - the five rate constants have no shorter name
        cls, *, k10: float, k12: float, k21: float, k13: float, k31: float, volume_l: float, molar_factor: float
    ) -> Self:
        """The usual mammillary model with two peripheral compartments; rate constants in 1/d."""
        matrix = np.array([[-(k10 + k12 + k13), k21, k31], [k12, -k21, 0.0], [k13, 0.0, -k31]])
        return cls(matrix, volume_l, molar_factor)

    @property
    def litre_milligrams_per_micromole(self) -> float:
        """Divide an amount in mg by this to get a concentration in µmol/L."""
        return self.volume_l * self.molar_factor

    def transitions(self, durations_days: ArrayLike) -> Floats:
        """Exact transition of (amounts mg, ∫A1 mg·d, infusion rate mg/d) over each duration.

        Args:
            durations_days: [m].

        Returns:
            [m, c + 2, c + 2].
        """
        compartments = self.rate_matrix.shape[0]
        generator = np.zeros((compartments + 2, compartments + 2))
        generator[:compartments, :compartments] = self.rate_matrix
        generator[0, compartments + 1] = 1.0
        generator[compartments, 0] = 1.0
        durations = np.asarray(durations_days, dtype=np.float64)
        return matrix_exponential(durations[:, None, None] * generator)


@dataclass(frozen=True, eq=False)
class ExposureGrid:
    """Integration steps with the exposure of each.

    Attributes:
        steps: [k, 2], columns step length in days and AUC of the step in µmol·d/L.
        report: [t] index of each requested time among the k + 1 nodes.
        node_days: [k + 1] node times on the caller's axis, days.
        amounts_mg: [k + 1, c] drug in each compartment just after each node's bolus doses.
        concentration: [k + 1] µmol/L in the first compartment, same moment.
        infusion_mg_per_day: [k] constant input during each step, mg/d.
    """

    steps: Floats
    report: Integers
    node_days: Floats
    amounts_mg: Floats
    concentration: Floats
    infusion_mg_per_day: Floats


@dataclass(frozen=True)
class _Schedule:
    """Doses in whole microseconds after the origin."""

    start: Integers
    stop: Integers
    amount: Floats
    bolus: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bolus", self.start == self.stop)

    def rates(self, node_starts: Integers) -> Floats:
        """Infusion rate in mg/d during the step that begins at each node."""
        rate = np.zeros(len(node_starts))
        for begin, end, amount in zip(self.start, self.stop, self.amount, strict=True):
            if end > begin:
                running = (node_starts >= begin) & (node_starts < end)
                rate[running] += amount * MICROSECONDS_PER_DAY / (end - begin)
        return rate

    def boluses(self, nodes: Integers) -> Floats:
        """Amount in mg injected at each node."""
        injected = np.zeros(len(nodes))
        index = np.searchsorted(nodes, self.start[self.bolus])
        inside = index < len(nodes)
        np.add.at(injected, index[inside], self.amount[self.bolus][inside])
        return injected


def exposure_grid(
    pk: LinearPharmacokinetics,
    doses: Sequence[DoseEvent],
    times: ArrayLike,
    *,
    max_step_days: float = DEFAULT_MAX_STEP_DAYS,
) -> ExposureGrid:
    """Steps from the first event to the last requested time, each with its exact AUC.

    The first node is the earlier of the first requested time and the first dose: before it the body
    holds no drug. Doses that start at or after the last requested time do not matter.

    Args:
        pk: the drug's pharmacokinetics.
        doses: in any order; infusions may overlap.
        times: [t] requested days, strictly increasing.
        max_step_days: no step is longer; certified value of the bundle.

    Raises:
        BundleError: ``times_invalid`` (empty or not one-dimensional), ``times_not_finite``,
            ``times_unsorted`` (also duplicates), ``dose_not_finite``, ``dose_negative`` (amount or
            infusion length), ``step_invalid``.
    """
    wanted = _checked_times(times)
    _check_doses(doses)
    if not (math.isfinite(max_step_days) and max_step_days >= 1.0 / MICROSECONDS_PER_DAY):
        raise BundleError("the largest step must be positive", reason="step_invalid")
    origin = min([float(wanted[0]), *(dose.start_day for dose in doses)])
    ticks = _ticks(wanted - origin)
    if bool((np.diff(ticks) <= 0).any()):
        raise BundleError("requested times must differ by a microsecond", reason="times_unsorted")
    schedule = _schedule(doses, origin)
    nodes = _nodes(schedule, ticks, round(max_step_days * MICROSECONDS_PER_DAY))
    amounts, auc = _propagate(pk, schedule, nodes)
    return ExposureGrid(
        steps=np.column_stack((np.diff(nodes) / MICROSECONDS_PER_DAY, auc)),
        report=np.searchsorted(nodes, ticks).astype(np.int64),
        node_days=origin + nodes / MICROSECONDS_PER_DAY,
        amounts_mg=amounts,
        concentration=amounts[:, 0] / pk.litre_milligrams_per_micromole,
        infusion_mg_per_day=schedule.rates(nodes[:-1]),
    )


def matrix_exponential(matrices: Floats) -> Floats:
    """Exponential of each [n, n] matrix of a stack [m, n, n] by scaling and squaring of the Taylor series.

    Source: Higham, Functions of Matrices (SIAM 2008), chapter 10.
    """
    norm = float(np.abs(matrices).sum(axis=-2).max(initial=0.0))
    squarings = max(0, math.ceil(math.log2(norm / _TAYLOR_NORM))) if norm > 0.0 else 0
    scaled = matrices / 2.0**squarings
    identity = np.eye(matrices.shape[-1])
    result = np.broadcast_to(identity, matrices.shape)
    for order in range(_TAYLOR_ORDER, 0, -1):
        result = identity + (scaled @ result) / order
    for _ in range(squarings):
        result = result @ result
    return result


def _checked_times(times: ArrayLike) -> Floats:
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or wanted.size == 0:
        raise BundleError("requested times must be a non-empty list", reason="times_invalid")
    if not bool(np.isfinite(wanted).all()):
        raise BundleError("a requested time is not finite", reason="times_not_finite")
    if bool((np.diff(wanted) <= 0.0).any()):
        raise BundleError("requested times must increase", reason="times_unsorted")
    return wanted


def _check_doses(doses: Sequence[DoseEvent]) -> None:
    for dose in doses:
        if not all(math.isfinite(v) for v in (dose.start_day, dose.amount_mg, dose.infusion_days)):
            raise BundleError("a dose is not finite", reason="dose_not_finite")
        if dose.amount_mg < 0.0 or dose.infusion_days < 0.0:
            raise BundleError("a dose or its infusion is negative", reason="dose_negative")


def _ticks(days: ArrayLike) -> Integers:
    return np.rint(np.asarray(days, dtype=np.float64) * MICROSECONDS_PER_DAY).astype(np.int64)


def _schedule(doses: Sequence[DoseEvent], origin: float) -> _Schedule:
    start = _ticks([dose.start_day - origin for dose in doses])
    length = _ticks([dose.infusion_days for dose in doses])
    return _Schedule(start, start + length, np.array([dose.amount_mg for dose in doses], dtype=np.float64))


def _nodes(schedule: _Schedule, wanted: Integers, max_step: int) -> Integers:
    """All times at which something is asked or changes, and no gap longer than ``max_step``."""
    changes = np.concatenate((schedule.start, schedule.stop))
    graded = (changes[:, None] + _ticks(GRADING_DAYS)).ravel()
    # Python's sets, here and below: numpy.unique would load a megabyte of code to sort a few hundred numbers.
    asked = {0, *wanted.tolist(), *changes.tolist(), *graded.tolist()}
    fixed = sorted(tick for tick in asked if tick <= wanted[-1])
    pieces = [
        low + (np.arange(count, dtype=np.int64) * (high - low)) // count
        for low, high in pairwise(fixed)
        for count in [-(-(high - low) // max_step)]
    ]
    return np.concatenate([*pieces, fixed[-1:]]).astype(np.int64)


def _propagate(pk: LinearPharmacokinetics, schedule: _Schedule, nodes: Integers) -> tuple[Floats, Floats]:
    """Amounts [k + 1, c] in mg at the nodes and AUC [k] in µmol·d/L of the steps."""
    durations = np.diff(nodes).tolist()
    place = {length: index for index, length in enumerate(sorted(set(durations)))}
    transitions = pk.transitions(np.array([*place], dtype=np.float64) / MICROSECONDS_PER_DAY)
    rates, boluses = schedule.rates(nodes[:-1]), schedule.boluses(nodes)
    compartments = pk.rate_matrix.shape[0]
    amounts = np.zeros((len(nodes), compartments))
    area = np.zeros(len(nodes) - 1)
    state = np.zeros(compartments + 2)
    state[0] = amounts[0, 0] = boluses[0]
    for step, length in enumerate(durations):
        state[compartments] = 0.0
        state[compartments + 1] = rates[step]
        state = transitions[place[length]] @ state
        area[step] = state[compartments]
        state[0] += boluses[step + 1]
        amounts[step + 1] = state[:compartments]
    return amounts, area / pk.litre_milligrams_per_micromole
