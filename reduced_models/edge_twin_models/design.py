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
from tqdm import tqdm

from edge_twin.course import ONCE
from edge_twin.errors import BundleError
from edge_twin.exposure import DoseEvent
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]

SLOPE_DOSE = (0.0, 1.0, 0.0, 1.0, 0.0)  # of the features: ln(slope · dose)


@dataclass(frozen=True)
class CourseSpace:
    """The patients and the courses of equal cycles for which a student is made.

    Attributes:
        box: bounds by name: the baseline, the other parameters in their order, then dose (mg) and interval (d).
        cycles: of a course; horizon_days: from its first dose.
        offsets_days: administrations of a cycle; infusion_days: of each.
        reference_dose_mg: where slope and dose act as a product, all runs have this dose and a patient's own is a
            factor of the slope; None where they do not: then a group shares its dose as well.
        kill_weights, max_log_kill: see ``student.CourseEnvelope``.
    """

    box: Mapping[str, tuple[float, float]]
    cycles: int
    horizon_days: float
    infusion_days: float
    offsets_days: tuple[float, ...] = ONCE
    reference_dose_mg: float | None = None
    kill_weights: tuple[float, ...] = SLOPE_DOSE
    max_log_kill: float = math.inf

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what the network sees: everything but the baseline."""
        return tuple(self.box)[1:]

    @property
    def days(self) -> Floats:
        """[horizon + 1] the calendar days on which errors are scored."""
        return np.arange(self.horizon_days + 1.0)

    def log_bounds(self, names: Sequence[str]) -> tuple[Floats, Floats]:
        """Logarithms of the bounds of some names."""
        low, high = np.log([self.box[name] for name in names]).T
        return low, high


# Assumed: about three between-patient standard deviations around the typical value of the shipped row,
# usual doses of 35-110 mg/m² on 1.8 m², and cycles of two to four weeks. Beyond the product of slope and dose
# (L·mg/µmol) the cells all but vanish: almost three times the typical product at 100 mg/m², exceeded there by
# 2 patients in 1,000 of the prior.
DOCETAXEL_COURSE = CourseSpace(
    box={
        "circ0": (1.5, 16.0),
        "mtt": (55.0, 128.0),
        "slope": (5.0, 50.0),
        "gamma": (0.10, 0.25),
        "dose": (60.0, 200.0),
        "interval": (14.0, 28.0),
    },
    cycles=6,
    horizon_days=180.0,
    infusion_days=1.0 / 24.0,
    reference_dose_mg=100.0,
    max_log_kill=math.log(8000.0),
)
# Assumed: slope and ktr within 2.2 to 2.7 of the assumed between-patient standard deviations; gamma, for which
# none is assumed, ± 16 %; 0.5-3 g/m² on 1.8-2.5 m² over three hours, twice a day on days 1, 3 and 5; three
# consolidation cycles. The area of ln(1 + C) under a cycle grows like dose**0.45 over these doses, so the bound
# means that a cycle leaves at least about e**-14 of the proliferating cells (typical patient, 1 g/m²: e**-5.2).
CYTARABINE_COURSE = CourseSpace(
    box={
        "wbc0": (1.8, 12.0),
        "ktr": (0.16, 0.345),
        "slope": (2.5, 25.0),
        "gamma": (0.55, 0.76),
        "dose": (900.0, 7500.0),
        "interval": (21.0, 38.0),
    },
    cycles=3,
    horizon_days=120.0,
    infusion_days=0.125,
    offsets_days=(0.0, 0.5, 2.0, 2.5, 4.0, 4.5),
    kill_weights=(1.0, 1.0, 0.0, 0.45, 0.0),
    max_log_kill=5.0,
)


@dataclass(frozen=True)
class CourseSample:
    """Patients and courses, ``groups`` of equal size that share an interval (and perhaps a dose).

    Attributes:
        log_parameters: [n, 4] the baseline first.
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
        """[n, 5] natural logarithms of the parameters but the baseline, of dose and interval."""
        return np.column_stack((self.log_parameters[:, 1:], self.log_dose, np.log(self.interval_of_each)))


def course_sample(
    groups: int, per_group: int, seed: int, *, quasi: bool = True, space: CourseSpace = DOCETAXEL_COURSE
) -> CourseSample:
    """A sample of the envelope, uniform in the logarithms.

    Args:
        groups: number of intervals, evenly spread for a quasi-random design and random otherwise.
        per_group: patients with each interval.
        seed: of the scrambling or of the generator.
        quasi: a scrambled Sobol sequence (training) or independent draws (calibration, certificate).
        space: bounds of parameters, doses and intervals.
    """
    if space.reference_dose_mg is None:
        return _shared_dose_sample(groups, per_group, seed, quasi=quasi, space=space)
    generator = np.random.default_rng(seed)
    points = _allowed_points(space, groups * per_group, seed, quasi=quasi)
    shares = (generator.permutation(groups) + 0.5) / groups if quasi else generator.random(groups)
    first, last = space.box["interval"]
    return CourseSample(points[:, :4], points[:, 4], first + (last - first) * shares)


def population_sample(
    teacher: Teacher, groups: int, per_group: int, seed: int, *, space: CourseSpace = DOCETAXEL_COURSE
) -> CourseSample:
    """Patients of the teacher's prior under doses and intervals of the envelope, independent draws."""
    generator = np.random.default_rng(seed)
    count = groups * per_group
    typical = np.log([parameter.typical for parameter in teacher.parameters])
    spread = np.sqrt([parameter.omega2 for parameter in teacher.parameters])
    log_parameters = typical + spread * generator.standard_normal((count, len(typical)))
    low, high = (math.log(bound) for bound in space.box["dose"])
    if space.reference_dose_mg is None:
        log_dose = np.repeat(generator.uniform(low, high, groups), per_group)
    else:
        log_dose = generator.uniform(low, high, count)
    return CourseSample(log_parameters, log_dose, generator.uniform(*space.box["interval"], groups))


def course_doses(
    interval_days: float, amount_mg: float, space: CourseSpace = DOCETAXEL_COURSE
) -> tuple[DoseEvent, ...]:
    """The administrations of a whole course, all alike."""
    starts = [interval_days * cycle + offset for cycle in range(space.cycles) for offset in space.offsets_days]
    return tuple(DoseEvent(start, amount_mg, space.infusion_days) for start in starts)


def group_courses(sample: CourseSample, space: CourseSpace) -> list[tuple[Floats, float, float]]:
    """For each group (log parameters with a baseline of 1 [m, 4], interval in days, dose in mg)."""
    relative = sample.log_parameters.copy()
    relative[:, 0] = 0.0
    if space.reference_dose_mg is None:
        amounts = np.exp(sample.log_dose.reshape(len(sample.intervals), -1)[:, 0]).tolist()
    else:
        relative[:, 2] += sample.log_dose - math.log(space.reference_dose_mg)
        amounts = [space.reference_dose_mg] * len(sample.intervals)
    parts = np.split(relative, len(sample.intervals))
    return list(zip(parts, sample.intervals.tolist(), amounts, strict=True))


def run_courses(
    teacher: Teacher,
    sample: CourseSample,
    days: Sequence[Floats],
    executor: Executor | None,
    space: CourseSpace = DOCETAXEL_COURSE,
) -> Floats:
    """Relative counts (count / baseline) of every member; progress is shown.

    Args:
        teacher: its counts are proportional to the baseline.
        sample: of n members.
        days: for each group, [t] requested days.
        executor: where the groups are run; here when None. The result does not depend on it.
        space: that the sample was drawn from.

    Returns:
        [n, t].
    """
    courses = group_courses(sample, space)
    work = [(teacher, part, course_doses(i, mg, space), d) for (part, i, mg), d in zip(courses, days, strict=True)]
    done = executor.map(_run_group, work) if executor else map(_run_group, work)
    shown = tqdm(done, desc=f"{teacher.name}: teacher runs", total=len(work), leave=False, disable=None)
    return np.concatenate(list(shown))


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
        BundleError: ``dask_missing``, ``dask_unreachable``.
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

    try:
        client: Any = distributed.Client(address)
    except OSError as error:
        raise BundleError(f"no Dask scheduler answers at {address}", reason="dask_unreachable") from error
    try:
        yield client.get_executor()
    finally:
        client.close()


def _allowed_points(space: CourseSpace, count: int, seed: int, *, quasi: bool) -> Floats:
    """[count, 5] logarithms of parameters and dose whose product of slope and dose is allowed."""
    low, high = space.log_bounds(tuple(space.box)[:5])
    draw = _draw(len(low), seed, quasi=quasi)
    kept = np.empty((0, len(low)))
    while len(kept) < count:
        points = draw(2 ** math.ceil(math.log2(count)))
        logs = low + (high - low) * points
        kept = np.concatenate((kept, points[logs[:, 2] + logs[:, 4] <= space.max_log_kill]))
    return np.asarray(low + (high - low) * kept[:count])


def _shared_dose_sample(groups: int, per_group: int, seed: int, *, quasi: bool, space: CourseSpace) -> CourseSample:
    """Groups whose members share dose and interval; members and groups are two designs of their own."""
    member_low, member_high = space.log_bounds(tuple(space.box)[:4])
    members, courses = (_draw(dimensions, seed, quasi=quasi) for dimensions in (4, 2))
    shares = courses(groups)
    (first, last), (low, high) = space.box["interval"], space.log_bounds(("dose",))
    shares_of_members = members(groups * per_group)
    points = member_low + (member_high - member_low) * shares_of_members
    log_dose = np.repeat(low + (high - low) * shares[:, 0], per_group)
    # The slope fills the room that the bound of the kill leaves it, so that every group keeps its size.
    others = np.column_stack((points[:, 1], np.zeros(len(points)), points[:, 3], log_dose, np.zeros(len(points))))
    room = (space.max_log_kill - others @ space.kill_weights) / space.kill_weights[1]
    highest = np.minimum(member_high[2], room)
    points[:, 2] = member_low[2] + (highest - member_low[2]) * shares_of_members[:, 2]
    return CourseSample(points, log_dose, first + (last - first) * shares[:, 1])


def _draw(dimensions: int, seed: int, *, quasi: bool) -> Callable[[int], Floats]:
    return _sobol(dimensions, seed) if quasi else _uniform(dimensions, seed)


def _sobol(dimensions: int, seed: int) -> Callable[[int], Floats]:
    from scipy.stats import qmc  # noqa: PLC0415 - heavy, and only a distillation needs it

    sequence = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    return lambda count: np.asarray(sequence.random(count))


def _uniform(dimensions: int, seed: int) -> Callable[[int], Floats]:
    generator = np.random.default_rng([seed, dimensions])
    return lambda count: generator.random((count, dimensions))
