"""Stochastic teacher: a sensitive clone that dies under therapy and the resistant one that may rise from it.

Two-type birth-death process with mutation. A sensitive cell divides at rate b, dies at rate d (therapy included);
each division makes one resistant daughter with probability µ. A resistant cell divides at rate b_r, dies at d_r.
At the start there are n0 sensitive cells and no resistant one (Luria and Delbrück 1943; Iwasa, Nowak and Michor,
Genetics 2006;172:2557-66).

Up to ``EXACT_CELLS`` cells every event is drawn (Gillespie 1977). Above, whole leaps are drawn whose expected
numbers of events are those of the linear process, so that no mean is biased; a leap is ``LEAP_SHARE`` of a cell's
mean waiting time. What that leaves is compared with the exact process in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import NO_DRUG
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin_models.sampling import BoxedParameter
from edge_twin_models.teacher import TeacherParameter, Variable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EXACT_CELLS = 100
LEAP_SHARE = 0.05

_WHY = "assumed for an example: residual disease under a therapy that shrinks it by 1.5 to 10 % a day"
PARAMETERS = (
    BoxedParameter("initial_cells", "1", 3000.0, 0.25, "A", _WHY, "A", _WHY, 300.0, 30000.0),
    BoxedParameter("birth", "/d", 0.15, 0.01, "A", _WHY, "A", _WHY, 0.10, 0.20),
    BoxedParameter("death_to_birth", "1", 1.3, 0.0025, "A", _WHY, "A", _WHY, 1.15, 1.5),
    BoxedParameter("resistant_birth", "/d", 0.14, 0.01, "A", _WHY, "A", _WHY, 0.10, 0.20),
    BoxedParameter("resistant_death_to_birth", "1", 0.5, 0.01, "A", _WHY, "A", _WHY, 0.3, 0.7),
    BoxedParameter("mutation", "1", 3e-4, 0.25, "A", _WHY, "A", _WHY, 3e-5, 3e-3),
)
HORIZON_DAYS = (30.0, 120.0)


@dataclass(frozen=True, eq=False)
class Cells:
    """Numbers of cells at the horizon, one entry for each replicate.

    Attributes:
        sensitive, resistant: [n].
    """

    sensitive: Integers
    resistant: Integers


class ResistantClone:
    """The teacher.

    Args:
        exact_cells: up to so many cells together every event is drawn; above, leaps.
        leap_share: length of a leap in a cell's mean waiting time.
        seed: of ``run``.
    """

    name = "resistance"
    drug = "none"  # the therapy is part of the death rate
    pharmacokinetics = NO_DRUG
    residual_log_sd = 0.0
    states: tuple[Variable, ...] = (Variable("sensitive_cells", "1"), Variable("resistant_cells", "1"))
    parameters: tuple[TeacherParameter, ...] = PARAMETERS
    inputs: tuple[Variable, ...] = (Variable("horizon", "d"),)
    outputs: tuple[Variable, ...] = (Variable("resistant_cells", "1"),)

    def __init__(self, exact_cells: int = EXACT_CELLS, leap_share: float = LEAP_SHARE, seed: int = 0) -> None:
        self._exact_cells, self._leap_share, self._seed = exact_cells, leap_share, seed

    def run(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.run``: resistant cells, one path of each row, [n, t].

        Raises:
            BundleError: ``teacher_takes_no_doses``: the therapy is constant and part of the death rate.
        """
        if doses:
            raise BundleError("the therapy of this teacher is constant", reason="teacher_takes_no_doses")
        rates, state = _rates(log_parameters), _start(log_parameters)
        random, paths = np.random.default_rng(self._seed), []
        for days_more in np.diff(days, prepend=0.0).tolist():
            self._simulated(state, rates, np.full(len(log_parameters), days_more), random)
            paths.append(state[1].astype(np.float64))
        return np.stack(paths, axis=1)

    def reference(self, log_parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Floats:
        """See ``Teacher.reference``: one path in which every event is drawn, [t]."""
        exact = ResistantClone(np.iinfo(np.int64).max, self._leap_share, self._seed)
        return np.asarray(exact.run(log_parameters[None, :], doses, days)[0])

    def replicates(self, log_parameters: Floats, days: Floats, seed: int | list[int]) -> Cells:
        """One replicate of each row.

        Args:
            log_parameters: [n, 6] in the order of ``PARAMETERS``; repeat a row for more replicates.
            days: [n] horizon of each row.
            seed: of the generator.
        """
        random, state = np.random.default_rng(seed), _start(log_parameters)
        self._simulated(state, _rates(log_parameters), np.array(days, np.float64), random)
        return Cells(*state)

    def _simulated(self, state: Integers, rates: Floats, left: Floats, random: np.random.Generator) -> None:
        """Advance all replicates in place until no time is left."""
        running = np.flatnonzero((left > 0.0) & (state.sum(axis=0) > 0))
        while running.size:
            few = state[:, running].sum(axis=0) <= self._exact_cells
            self._events(state, rates, left, running[few], random)
            self._leap(state, rates, left, running[~few], random)
            running = running[(left[running] > 0.0) & (state[:, running].sum(axis=0) > 0)]

    def _events(self, state: Integers, rates: Floats, left: Floats, who: Integers, random: np.random.Generator) -> None:
        """One exact event of each of these replicates."""
        if not who.size:
            return
        sensitive, resistant = state[:, who]
        birth, death, resistant_birth, resistant_death, mutation = rates[:, who]
        kinds = np.stack(
            (
                sensitive * birth * (1.0 - mutation),
                sensitive * birth * mutation,
                sensitive * death,
                resistant * resistant_birth,
                resistant * resistant_death,
            )
        ).cumsum(axis=0)
        total = kinds[-1]
        left[who] -= random.exponential(size=who.size) / total
        kind = (kinds <= random.random(who.size) * total).sum(axis=0).clip(max=4)
        change = np.where(left[who] > 0.0, _CHANGES[:, kind], 0)
        state[:, who] += change

    def _leap(self, state: Integers, rates: Floats, left: Floats, who: Integers, random: np.random.Generator) -> None:
        """One leap of each of these replicates."""
        if not who.size:
            return
        birth, death, resistant_birth, resistant_death, mutation = rates[:, who]
        fastest = np.maximum(birth + death, resistant_birth + resistant_death)
        days = np.minimum(self._leap_share / fastest, left[who])
        sensitive, resistant = state[:, who]
        divisions = random.poisson(sensitive * birth * _time_integral(birth - death, days))
        mutants = random.binomial(divisions, mutation)
        deaths = random.poisson(sensitive * death * _time_integral(birth - death, days))
        growth = resistant_birth - resistant_death
        born = random.poisson(resistant * resistant_birth * _time_integral(growth, days))
        lost = random.poisson(resistant * resistant_death * _time_integral(growth, days))
        state[0, who] = np.maximum(sensitive + divisions - mutants - deaths, 0)
        state[1, who] = np.maximum(resistant + born + mutants - lost, 0)
        left[who] -= days


# Columns: division, division with mutation, death; division and death of a resistant cell.
_CHANGES = np.array([[1, 0, -1, 0, 0], [0, 1, 0, 1, -1]], np.int64)


def _start(log_parameters: Floats) -> Integers:
    """[2, n] sensitive and resistant cells."""
    return np.stack((np.rint(np.exp(log_parameters[:, 0])), np.zeros(len(log_parameters)))).astype(np.int64)


def _rates(log_parameters: Floats) -> Floats:
    """[5, n] birth, death, resistant birth, resistant death, mutation."""
    _, birth, death, resistant_birth, resistant_death, mutation = np.exp(log_parameters).T
    return np.stack((birth, birth * death, resistant_birth, resistant_birth * resistant_death, mutation))


def _time_integral(growth: Floats, days: Floats) -> Floats:
    """∫ exp(growth·t) dt: the expected size of a lineage, integrated over the leap."""
    exponent = growth * days
    series = 1.0 + 0.5 * exponent + exponent**2 / 6.0
    safe = np.where(np.abs(exponent) < 1e-4, 1.0, exponent)  # noqa: PLR2004 - below, the series is exact in double
    return np.asarray(days * np.where(np.abs(exponent) < 1e-4, series, np.expm1(safe) / safe))  # noqa: PLR2004 - as above
