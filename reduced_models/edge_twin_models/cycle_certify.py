"""Whole roll-outs of the cycle operator against the teacher, on schedules and patients it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, prior_sample
from edge_twin.cycle import RESOLUTION, CycleOperator
from edge_twin.engines.numpy_friberg import NumpyFriberg
from edge_twin.exposure import DoseEvent, exposure_grid

Floats = NDArray[np.float64]

TEACHER_STEP_DAYS = 0.1
TIMES_PER_DAY = 2.0
PATIENTS_PER_COURSE = 8  # many courses with few patients: roll-outs of one course err alike
FOLLOWED_DAYS = 21.0  # after the last dose
INTERVALS = (7.0, 14.0, 21.0, 21.0, 21.0, 28.0)
DELAYS = (0.0, 0.0, 0.0, 1.0, 3.0, 7.0, 14.0)
AMOUNT_MG = (60.0, 225.0)
REDUCED, SKIPPED = 0.25, 0.12  # shares of the cycles


@dataclass(frozen=True, eq=False)
class RollOutErrors:
    """Errors of some roll-outs with the same number of cycles.

    Attributes:
        cycles: planned in each.
        nadir_excess: [r, cycles] error of the nadir of each cycle in units of what is allowed: 2 % of the
            nadir or 0.01 10*9/L, whichever is larger.
        nadir_relative: [r, cycles] relative error of nadirs, those below ``RESOLUTION`` compared with it.
        score: [r] largest log error over all times, of counts raised to ``RESOLUTION``.
        mechanistic: [r] members that a guard handed over; they are in none of the other arrays' statistics.
    """

    cycles: int
    nadir_excess: Floats
    nadir_relative: Floats
    score: Floats
    mechanistic: NDArray[np.bool_]


def random_schedule(cycles: int, generator: np.random.Generator) -> tuple[DoseEvent, ...]:
    """A course with delays, reductions, omitted cycles and a changed interval; omitted cycles have 0 mg."""
    planned, changed = generator.choice(INTERVALS, 2)
    change = generator.integers(1, cycles + 1)
    day, events = 0.0, []
    full = generator.uniform(*AMOUNT_MG)
    for cycle in range(cycles):
        interval = float(changed if cycle >= change else planned)
        # The envelope allows 300 mg within 21 days.
        amount = min(full, 300.0 / np.ceil(21.0 / interval) if min(planned, changed) >= 14.0 else 95.0)  # noqa: PLR2004 - weekly courses
        if generator.random() < REDUCED:
            full *= generator.choice((0.75, 0.6))
        given = cycle == 0 or generator.random() >= SKIPPED
        events.append(DoseEvent(day, float(amount) if given else 0.0, float(generator.uniform(0.02, 0.1))))
        day += interval + float(generator.choice(DELAYS))
    return tuple(events)


def teacher_counts(bundle: Bundle, log_parameters: Floats, doses: Sequence[DoseEvent], times: Floats) -> Floats:
    """[t, n] by the mechanistic integrator in fine steps; its own error is certified against LSODA."""
    grid = exposure_grid(bundle.pharmacokinetics, doses, times, max_step_days=TEACHER_STEP_DAYS)
    return np.asarray(NumpyFriberg().simulate(log_parameters, grid.steps)[grid.report])


def roll_out_errors(operator: CycleOperator, bundle: Bundle, cycles: int, schedules: int, seed: int) -> RollOutErrors:
    """Errors on ``schedules`` random courses of ``cycles`` cycles, a few patients of the prior each.

    Args:
        operator: under test.
        bundle: its bundle.
        cycles: 1 to 12.
        schedules: number of courses.
        seed: of courses and patients; fresh ones need another seed than the calibration.
    """
    generator = np.random.default_rng([seed, cycles])
    parts = [_errors(operator, bundle, random_schedule(cycles, generator), generator) for _ in range(schedules)]
    excess, relative, score, mechanistic = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return RollOutErrors(cycles, excess, relative, score, mechanistic)


def half_width(scores: Floats, level: float = 0.95) -> float:
    """Split-conformal quantile: the ceil((n + 1)·level)-th smallest score."""
    rank = int(np.ceil((len(scores) + 1) * level))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _errors(
    operator: CycleOperator, bundle: Bundle, events: tuple[DoseEvent, ...], generator: np.random.Generator
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    patients = prior_sample(bundle, PATIENTS_PER_COURSE, int(generator.integers(2**31)))
    last = events[-1].start_day + FOLLOWED_DAYS
    times = np.arange(0.0, last + 0.25, 1.0 / TIMES_PER_DAY)
    doses = [event for event in events if event.amount_mg > 0.0]
    answer = operator.roll_out(patients, events, times)
    teacher = teacher_counts(bundle, patients, doses, times)
    edges = np.searchsorted(times, [*(event.start_day for event in events), last + 0.25])
    cycles = [slice(begin, end) for begin, end in pairwise(edges.tolist())]
    found = np.stack([answer.counts[cycle].min(axis=0) for cycle in cycles], axis=1)
    truth = np.stack([teacher[cycle].min(axis=0) for cycle in cycles], axis=1)
    error = np.abs(found - truth)
    raised = [np.log(np.maximum(counts, RESOLUTION)) for counts in (answer.counts, teacher)]
    score = np.abs(raised[0] - raised[1]).max(axis=0)
    own = ~answer.mechanistic
    allowed = np.maximum(0.02 * truth, 0.01)
    relative = error / np.maximum(truth, RESOLUTION)
    return (error / allowed)[own], relative[own], score[own], answer.mechanistic
