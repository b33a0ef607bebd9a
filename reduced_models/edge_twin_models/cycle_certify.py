"""Whole roll-outs of the cycle operator against the teacher, on schedules and patients it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, prior_sample
from edge_twin.course import ONCE
from edge_twin.cycle import RESOLUTION, CycleOperator
from edge_twin.cycle_forms import equations_of
from edge_twin.exposure import DoseEvent, exposure_grid
from edge_twin_models import cycle_design_aml

Floats = NDArray[np.float64]

TEACHER_STEP_DAYS = 0.1
TIMES_PER_DAY = 2.0
PATIENTS_PER_COURSE = 4  # many courses with few patients: roll-outs of one course err alike
INTERVALS = (7.0, 14.0, 21.0, 21.0, 21.0, 28.0)
DELAYS = (0.0, 0.0, 0.0, 1.0, 3.0, 7.0, 14.0)
AMOUNT_MG = (60.0, 225.0)
REDUCED, SKIPPED = 0.25, 0.12  # shares of the cycles
AML_INTERVALS = (21.0, 28.0, 28.0, 28.0, 35.0, 42.0)
AML_AMOUNT_MG = (900.0, 7500.0)  # of one administration: 0.5-3 g/m²


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


def random_cytarabine(cycles: int, generator: np.random.Generator) -> tuple[DoseEvent, ...]:
    """The first administration of each cycle of a course that is changed like ``random_schedule``'s."""
    planned, changed = generator.choice(AML_INTERVALS, 2)
    change = generator.integers(1, cycles + 1)
    day, events = 0.0, []
    full = float(np.exp(generator.uniform(*np.log(AML_AMOUNT_MG))))
    for cycle in range(cycles):
        if generator.random() < REDUCED:
            full *= float(generator.choice((0.75, 0.5)))
        given = cycle == 0 or generator.random() >= SKIPPED
        events.append(DoseEvent(day, full if given else 0.0, cycle_design_aml.INFUSION_DAYS))
        day += float(changed if cycle >= change else planned) + float(generator.choice(DELAYS))
    return tuple(events)


@dataclass(frozen=True, slots=True)
class RandomCourses:
    """The courses on which a teacher's operator is judged.

    Attributes:
        draw: number of cycles and generator to the first administration of each cycle, 0 mg for an omitted one.
        offsets_days: administrations of a cycle.
        followed_days: after the start of the last cycle.
    """

    draw: Callable[[int, np.random.Generator], tuple[DoseEvent, ...]]
    offsets_days: tuple[float, ...]
    followed_days: float

    def administrations(self, starts: Sequence[DoseEvent]) -> tuple[DoseEvent, ...]:
        """All administrations of the cycles."""
        return tuple(
            DoseEvent(first.start_day + offset, first.amount_mg, first.infusion_days)
            for first in starts
            for offset in self.offsets_days
        )


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
    equations = equations_of(bundle)
    integrator = equations.numpy_engine(bundle)
    return np.asarray(integrator.simulate(log_parameters, equations.steps(bundle, grid))[grid.report])


DOCETAXEL_COURSES = RandomCourses(random_schedule, ONCE, 21.0)
CYTARABINE_COURSES = RandomCourses(random_cytarabine, cycle_design_aml.OFFSETS_DAYS, 28.0)


def roll_out_errors(  # noqa: PLR0913 - what is judged, on which courses, how many, which
    operator: CycleOperator,
    bundle: Bundle,
    cycles: int,
    schedules: int,
    seed: int,
    *,
    courses: RandomCourses = DOCETAXEL_COURSES,
) -> RollOutErrors:
    """Errors on ``schedules`` random courses of ``cycles`` cycles, a few patients of the prior each.

    Args:
        operator: under test.
        bundle: its bundle.
        cycles: 1 to 12.
        schedules: number of courses.
        seed: of courses and patients; fresh ones need another seed than the calibration.
        courses: of the teacher.
    """
    generator = np.random.default_rng([seed, cycles])
    parts = [_errors(operator, bundle, courses.draw(cycles, generator), generator, courses) for _ in range(schedules)]
    excess, relative, score, mechanistic = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return RollOutErrors(cycles, excess, relative, score, mechanistic)


def half_width(scores: Floats, level: float = 0.95) -> float:
    """Split-conformal quantile: the ceil((n + 1)·level)-th smallest score."""
    rank = int(np.ceil((len(scores) + 1) * level))
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def _errors(
    operator: CycleOperator,
    bundle: Bundle,
    events: tuple[DoseEvent, ...],
    generator: np.random.Generator,
    courses: RandomCourses,
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    patients = prior_sample(bundle, PATIENTS_PER_COURSE, int(generator.integers(2**31)))
    last = events[-1].start_day + courses.followed_days
    times = np.arange(0.0, last + 0.25, 1.0 / TIMES_PER_DAY)
    planned = courses.administrations(events)
    doses = [dose for dose in planned if dose.amount_mg > 0.0]
    answer = operator.roll_out(patients, planned, times)
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
