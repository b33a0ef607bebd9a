"""Certificate of the course student: fresh teacher runs, scored on calendar days."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_twin.course import Course
from edge_twin.engines.course_network import CourseEngine
from edge_twin.student import Student
from edge_twin_models.conformal import simultaneous_score
from edge_twin_models.design import DOCETAXEL_COURSE, CourseSample, CourseSpace, group_courses, run_courses
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]

NADIR_RESOLUTION = 0.005  # 10*9/L


@dataclass(frozen=True, slots=True)
class CourseCertificate:
    """Errors over runs inside the envelope, and the coverage of the simultaneous 95 % band.

    Attributes:
        runs: inside the envelope, of those drawn.
        curve_median, curve_p95, curve_p99, curve_max: largest |Δ ln(count / baseline + floor)| of each curve.
        nadir_relative_p95: of |Δ nadir| / nadir.
        nadir_absolute_p95: of |Δ nadir|, 10*9/L.
        nadir_median, nadir_p95, nadir_p99, nadir_max: of |Δ nadir| / max(nadir, 0.5): the error on the scale on
            which 0.01 means 1 % or 0.005·10*9/L, whichever is larger.
        coverage: share of runs that lie in the band on every day.
    """

    runs: int
    curve_median: float
    curve_p95: float
    curve_p99: float
    curve_max: float
    nadir_relative_p95: float
    nadir_absolute_p95: float
    nadir_median: float
    nadir_p95: float
    nadir_p99: float
    nadir_max: float
    coverage: float

    def as_json(self) -> dict[str, float | int]:
        """For the manifest, four figures."""
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in asdict(self).items()
        }


def certify_course(  # noqa: PLR0913, PLR0917 - teacher, student and how both are run on what
    teacher: Teacher,
    student: Student,
    engine: CourseEngine,
    sample: CourseSample,
    executor: Executor | None = None,
    space: CourseSpace = DOCETAXEL_COURSE,
) -> CourseCertificate:
    """Score the student, as an engine runs it, on a fresh sample of the space."""
    truth, answer, baseline = scored_runs(teacher, student, engine, sample, executor, space)
    scores = simultaneous_score(answer, truth, student.floor)
    nadir, error = (truth.min(axis=1) * baseline, np.abs(answer.min(axis=1) - truth.min(axis=1)) * baseline)
    scaled = error / np.maximum(nadir, NADIR_RESOLUTION / 0.01)
    median, p95, p99 = np.percentile(scores, [50, 95, 99])
    figures: list[Any] = [median, p95, p99, scores.max()]
    figures += [np.percentile(error / nadir, 95), np.percentile(error, 95)]
    figures += [*np.percentile(scaled, [50, 95, 99]), scaled.max()]
    figures.append((scores <= student.log_half_width).mean())
    return CourseCertificate(len(scores), *(float(figure) for figure in figures))


def scored_runs(  # noqa: PLR0913, PLR0917 - as certify_course
    teacher: Teacher,
    student: Student,
    engine: CourseEngine,
    sample: CourseSample,
    executor: Executor | None,
    space: CourseSpace = DOCETAXEL_COURSE,
) -> tuple[Floats, Floats, Floats]:
    """Teacher and student as fractions of the baseline [m, t], and the baselines [m], of the m runs inside."""
    inside = student.envelope.inside(sample.features)
    truth = run_courses(teacher, sample, [space.days] * len(sample.intervals), executor, space)
    answer = student_courses(student, engine, sample, space)
    return truth[inside], answer[inside], np.exp(sample.log_parameters[inside, 0])


def student_courses(
    student: Student, engine: CourseEngine, sample: CourseSample, space: CourseSpace = DOCETAXEL_COURSE
) -> Floats:
    """Counts of the student as fractions of the baseline [n, t]."""
    parts = []
    for part, interval, amount in group_courses(sample, space):
        course = Course(0.0, space.cycles, interval, amount, space.infusion_days, space.offsets_days)
        parts.append(engine.counts(part, course, student.calendar(course, space.days)).T.astype(np.float64))
    return np.concatenate(parts)
