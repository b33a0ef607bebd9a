"""Design of experiments: which patients and courses a teacher is run on, and where the runs are done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]

REFERENCE_DOSE_MG = 100.0  # of the runs; a patient's own dose enters as a factor of the slope
CYCLES = 6
INFUSION_DAYS = 1.0 / 24.0
HORIZON_DAYS = 180.0
MEMBER_INPUTS = ("mtt", "slope", "gamma")
# Assumed: about three between-patient standard deviations around the typical value of the shipped row,
# usual doses of 35-110 mg/m² on 1.8 m², and cycles of two to four weeks.
BOX: Mapping[str, tuple[float, float]] = {
    "circ0": (1.5, 16.0),
    "mtt": (55.0, 128.0),
    "slope": (5.0, 50.0),
    "gamma": (0.10, 0.25),
    "dose": (60.0, 200.0),
    "interval": (14.0, 28.0),
}
# Assumed: beyond this product of slope and dose (L·mg/µmol) the cells all but vanish: almost three times the
# typical product at 100 mg/m², exceeded there by 2 patients in 1,000 of the prior.
MAX_SLOPE_DOSE = 8000.0


@dataclass(frozen=True)
class CourseSample:
    """Patients and courses, ``groups`` of equal size that share an interval.

    Attributes:
        log_parameters: [n, 4] circ0, mtt, slope, gamma.
        log_dose: [n] ln mg.
        intervals: [groups] days.
    """

    log_parameters: Floats
    log_dose: Floats
    intervals: Floats

    @property
    def interval_of_each(self) -> Floats:
        """[n] days."""
        return np.repeat(self.intervals, len(self.log_dose) // len(self.intervals))

    @property
    def features(self) -> Floats:
        """[n, 5] natural logarithms of mtt, slope, gamma, dose, interval."""
        return np.column_stack((self.log_parameters[:, 1:], self.log_dose, np.log(self.interval_of_each)))


def course_sample(groups: int, per_group: int, seed: int, *, quasi: bool = True) -> CourseSample:
    """A sample of the envelope, uniform in the logarithms.

    Args:
        groups: number of intervals, evenly spread for a quasi-random design and random otherwise.
        per_group: patients with each interval.
        seed: of the scrambling or of the generator.
        quasi: a scrambled Sobol sequence (training) or independent draws (calibration, certificate).
    """
    generator = np.random.default_rng(seed)
    names = ("circ0", "mtt", "slope", "gamma", "dose")
    low, high = np.log([BOX[name] for name in names]).T
    points = low + (high - low) * _allowed_points(groups * per_group, low, high, seed, quasi=quasi)
    shares = (generator.permutation(groups) + 0.5) / groups if quasi else generator.random(groups)
    first, last = BOX["interval"]
    return CourseSample(points[:, :4], points[:, 4], first + (last - first) * shares)


def population_sample(teacher: Teacher, groups: int, per_group: int, seed: int) -> CourseSample:
    """Patients of the teacher's prior under doses and intervals of the envelope, independent draws."""
    generator = np.random.default_rng(seed)
    count = groups * per_group
    typical = np.log([parameter.typical for parameter in teacher.parameters])
    spread = np.sqrt([parameter.omega2 for parameter in teacher.parameters])
    log_parameters = typical + spread * generator.standard_normal((count, len(typical)))
    log_dose = generator.uniform(math.log(BOX["dose"][0]), math.log(BOX["dose"][1]), count)
    return CourseSample(log_parameters, log_dose, generator.uniform(*BOX["interval"], groups))


def course_doses(interval_days: float, amount_mg: float = REFERENCE_DOSE_MG) -> tuple[DoseEvent, ...]:
    """Six equal infusions of one hour."""
    return tuple(DoseEvent(interval_days * cycle, amount_mg, INFUSION_DAYS) for cycle in range(CYCLES))


def run_courses(teacher: Teacher, sample: CourseSample, days: Sequence[Floats], executor: Executor | None) -> Floats:
    """Relative counts (count / baseline) of every member.

    Args:
        teacher: linear in the dose (slope and dose enter as a product).
        sample: of n members.
        days: for each group, [t] requested days.
        executor: where the groups are run; here when None. The result does not depend on it.

    Returns:
        [n, t].
    """
    relative = sample.log_parameters.copy()
    relative[:, 0] = 0.0
    relative[:, 2] += sample.log_dose - math.log(REFERENCE_DOSE_MG)
    parts = np.split(relative, len(sample.intervals))
    work = [
        (teacher, part, course_doses(i), d) for part, i, d in zip(parts, sample.intervals.tolist(), days, strict=True)
    ]
    done = executor.map(_run_group, work) if executor else map(_run_group, work)
    return np.concatenate(list(done))


def _run_group(work: tuple[Teacher, Floats, Sequence[DoseEvent], Floats]) -> Floats:
    teacher, log_parameters, doses, days = work
    return teacher.run(log_parameters, doses, days)


@contextmanager
def runners(workers: int, dask_address: str | None = None) -> Iterator[Executor | None]:
    """Where teacher runs are done: this process, local processes, or a Dask cluster.

    Args:
        workers: number of local processes; 0 or 1 stays in this process.
        dask_address: of a Dask scheduler; needs the package ``distributed``.

    Raises:
        BundleError: ``dask_missing``.
    """
    if dask_address is not None:
        if util.find_spec("distributed") is None:
            raise BundleError("a Dask address needs the package 'distributed'", reason="dask_missing")
        with _dask(dask_address) as executor:
            yield executor
    elif workers > 1:
        with ProcessPoolExecutor(workers) as executor:
            yield executor
    else:
        yield None


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    import distributed  # noqa: PLC0415 - optional

    client: Any = distributed.Client(address)
    try:
        yield client.get_executor()
    finally:
        client.close()


def _allowed_points(count: int, low: Floats, high: Floats, seed: int, *, quasi: bool) -> Floats:
    """[count, 5] points of the unit cube whose product of slope and dose is allowed."""
    draw: Callable[[int], Floats] = _sobol(len(low), seed) if quasi else _uniform(len(low), seed)
    kept = np.empty((0, len(low)))
    while len(kept) < count:
        points = draw(2 ** math.ceil(math.log2(count)))
        logs = low + (high - low) * points
        kept = np.concatenate((kept, points[logs[:, 2] + logs[:, 4] <= math.log(MAX_SLOPE_DOSE)]))
    return kept[:count]


def _sobol(dimensions: int, seed: int) -> Callable[[int], Floats]:
    from scipy.stats import qmc  # noqa: PLC0415 - heavy, and only a distillation needs it

    sequence = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    return lambda count: np.asarray(sequence.random(count))


def _uniform(dimensions: int, seed: int) -> Callable[[int], Floats]:
    generator = np.random.default_rng([seed, dimensions])
    return lambda count: generator.random((count, dimensions))
