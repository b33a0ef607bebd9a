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
from edge_twin_models.design import CYCLES, HORIZON_DAYS, INFUSION_DAYS, REFERENCE_DOSE_MG, CourseSample, run_courses
from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]

DAYS = np.arange(HORIZON_DAYS + 1.0)
NADIR_RESOLUTION = 0.005  # 10*9/L


@dataclass(frozen=True, slots=True)
class CourseCertificate:
    """Errors over runs inside the envelope, and the coverage of the simultaneous 95 % band.

    Attributes:
        runs: inside the envelope, of those drawn.
        curve_median, curve_p95, curve_p99, curve_max: largest |Δ ln(count / baseline + floor)| of each curve.
        nadir_relative_p95: of |Δ nadir| / nadir.
        nadir_absolute_p95: of |Δ nadir|, 10*9/L.
        nadir_p95, nadir_max: of |Δ nadir| / max(nadir, 0.5): the error on the scale on which 0.01 means
            1 % or 0.005·10*9/L, whichever is larger.
        coverage: share of runs that lie in the band on every day.
    """

    runs: int
    curve_median: float
    curve_p95: float
    curve_p99: float
    curve_max: float
    nadir_relative_p95: float
    nadir_absolute_p95: float
    nadir_p95: float
    nadir_max: float
    coverage: float

    def as_json(self) -> dict[str, float | int]:
        """For the manifest, four figures."""
        return {
            name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in asdict(self).items()
        }


def certify_course(
    teacher: Teacher, student: Student, engine: CourseEngine, sample: CourseSample, executor: Executor | None = None
) -> CourseCertificate:
    """Score the student, as an engine runs it, on a fresh sample."""
    truth, answer, baseline = scored_runs(teacher, student, engine, sample, executor)
    scores = simultaneous_score(answer, truth, student.floor)
    nadir, error = (truth.min(axis=1) * baseline, np.abs(answer.min(axis=1) - truth.min(axis=1)) * baseline)
    scaled = error / np.maximum(nadir, NADIR_RESOLUTION / 0.01)
    median, p95, p99 = np.percentile(scores, [50, 95, 99])
    figures: list[Any] = [median, p95, p99, scores.max()]
    figures += [np.percentile(error / nadir, 95), np.percentile(error, 95), np.percentile(scaled, 95), scaled.max()]
    figures.append((scores <= student.log_half_width).mean())
    return CourseCertificate(len(scores), *(float(figure) for figure in figures))


def scored_runs(
    teacher: Teacher, student: Student, engine: CourseEngine, sample: CourseSample, executor: Executor | None
) -> tuple[Floats, Floats, Floats]:
    """Teacher and student as fractions of the baseline [m, t], and the baselines [m], of the m runs inside."""
    inside = student.envelope.inside(sample.features)
    truth = run_courses(teacher, sample, [DAYS] * len(sample.intervals), executor)
    answer = student_courses(student, engine, sample)
    return truth[inside], answer[inside], np.exp(sample.log_parameters[inside, 0])


def student_courses(student: Student, engine: CourseEngine, sample: CourseSample) -> Floats:
    """Counts of the student as fractions of the baseline [n, t]."""
    relative = sample.log_parameters.copy()
    relative[:, 0] = 0.0
    relative[:, 2] += sample.log_dose - np.log(REFERENCE_DOSE_MG)
    parts = []
    for part, interval in zip(np.split(relative, len(sample.intervals)), sample.intervals.tolist(), strict=True):
        course = Course(0.0, CYCLES, interval, REFERENCE_DOSE_MG, INFUSION_DAYS)
        parts.append(engine.counts(part, course, student.calendar(course, DAYS)).T.astype(np.float64))
    return np.concatenate(parts)
