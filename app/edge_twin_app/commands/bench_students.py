"""``edge-twin bench students``: every reduction method of every teacher on the same fresh patients, in one run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin.bundle import load_bundle
from edge_twin.cycle import CycleModel
from edge_twin.exposure import DoseEvent
from edge_twin_app.models import BEHIND, load_model, load_surrogate
from edge_twin_app.rehearsal_bench import best_ms
from edge_twin_models import bundle_path

if TYPE_CHECKING:
    from edge_twin_models.design import CourseSpace
    from edge_twin_models.teacher import Teacher

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Answer = tuple[Floats, Mask, float | None, Floats]

SEED = 20261130  # of no design, calibration or certificate
PER_COURSE = 10  # patients that share dose and interval
SHORTEST_INTERVAL_DAYS = 21.0  # below it the cycle operator's bound on the dose within 21 days decides
SCALE = 0.5  # 10*9/L: an error of 0.01 is 1 % of the nadir or 0.005 10*9/L, whichever is larger
TIMED = {"neutropenia": (21.0, 180.0), "aml": (28.0, 1800.0)}  # interval in days, mg


@dataclass(frozen=True)
class Student:
    """One bundle as the bench sees it.

    Attributes:
        teacher, method, bundle: names.
        engine: that runs it.
        parameters: learned values, those of the basis included.
        counts: parameters [n, 4], doses and days to (counts [t, n], members that it answered itself [n],
            half-width of its band on the log scale or None, floor of that band in 10*9/L [n]).
    """

    teacher: str
    method: str
    bundle: str
    engine: str
    parameters: int
    counts: Callable[[Floats, Sequence[DoseEvent], Floats], Answer]


def measure(runs: int, members: int, repeats: int) -> dict[str, Any]:
    """All rows.

    Args:
        runs: fresh patients of each teacher.
        members: of the timed ensemble.
        repeats: of the timing; the minimum counts.
    """
    from edge_twin_models.course_recipes import RECIPES  # noqa: PLC0415 - scipy only here
    from edge_twin_models.methods import named_teacher  # noqa: PLC0415 - as above

    rows = []
    for name in RECIPES:
        space = RECIPES[name].space
        box = {**space.box, "interval": (SHORTEST_INTERVAL_DAYS, space.box["interval"][1])}
        shared = replace(space, box=box, reference_dose_mg=None)
        rows += _teacher_rows(named_teacher(name), shared, students(name), runs, (members, repeats))
    return {"rows": rows, "runs": runs, "members": members, "seed": SEED}


def students(teacher: str) -> tuple[Student, ...]:
    """The shipped bundles of a teacher: mechanistic graph, course student, cycle operator."""
    return _mechanistic(teacher), _course(teacher), _cycle(teacher)


def document(runs: int, members: int, repeats: int, *, as_json: bool) -> str:
    """What the command prints."""
    measured = measure(runs, members, repeats)
    return json.dumps(measured, indent=1) + "\n" if as_json else _table(measured)


def _mechanistic(teacher: str) -> Student:
    model = load_model(teacher)

    def counts(parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Answer:
        everyone = np.ones(len(parameters), np.bool_)
        return model.simulate(parameters, doses, days), everyone, None, np.zeros(len(parameters))

    return Student(teacher, "mechanistic", teacher, model.engine_name, 0, counts)


def _course(teacher: str) -> Student:
    name = next(course for course, behind in BEHIND.items() if behind == teacher)
    model = load_surrogate(name=name)

    def counts(parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Answer:
        answer = model.answer(parameters, doses, days)
        floor = model.student.floor * np.exp(parameters[:, 0])
        return answer.counts, answer.by_student, model.student.log_half_width, floor

    return Student(teacher, "course", name, model.engine_name, model.student.parameters, counts)


def _cycle(teacher: str) -> Student:
    name = f"{teacher}-cycle"
    model = CycleModel(load_bundle(bundle_path(name)))

    def counts(parameters: Floats, doses: Sequence[DoseEvent], days: Floats) -> Answer:
        found = model.operator.roll_out(parameters, doses, days)
        return found.counts, ~found.mechanistic, found.log_half_width, np.zeros(len(parameters))

    return Student(teacher, "cycle", name, model.engine_name, model.operator.weights.learned_values, counts)


def _teacher_rows(
    teacher: Teacher, space: CourseSpace, compared: Sequence[Student], runs: int, timing: tuple[int, int]
) -> list[dict[str, Any]]:
    """One row for each student; all answer the same courses, which the teacher runs once."""
    from edge_twin_models.design import course_doses, group_courses, population_sample  # noqa: PLC0415 - scipy

    sample = population_sample(teacher, runs // PER_COURSE, PER_COURSE, SEED, space=space)
    baselines = np.split(sample.log_parameters[:, 0], len(sample.intervals))
    errors: list[list[Floats]] = [[] for _ in compared]
    courses = list(zip(group_courses(sample, space), baselines, strict=True))
    for (relative, interval, amount), baseline in tqdm(courses, desc=teacher.name, leave=False, disable=None):
        parameters = np.column_stack((baseline, relative[:, 1:]))
        doses = course_doses(interval, amount, space)
        truth = teacher.run(parameters, doses, space.days).T
        for found, student in zip(errors, compared, strict=True):
            found.append(_errors(student, parameters, doses, space.days, truth))
    rows = [_row(student, np.concatenate(found)) for student, found in zip(compared, errors, strict=True)]
    doses = course_doses(*TIMED[teacher.name], space)
    return [row | _timed(student, doses, space.days, *timing) for row, student in zip(rows, compared, strict=True)]


def _errors(student: Student, parameters: Floats, doses: Sequence[DoseEvent], days: Floats, truth: Floats) -> Floats:
    """[n, 3] error of the nadir on the scale of the bar, whether the band holds all days, whether it answered."""
    from edge_twin.cycle import RESOLUTION  # noqa: PLC0415 - beside its use

    counts, own, width, floor = student.counts(parameters, doses, days)
    nadir = truth.min(axis=0)
    error = np.abs(counts.min(axis=0) - nadir) / np.maximum(nadir, SCALE)
    if student.method == "cycle":
        logs = [np.log(np.maximum(values, RESOLUTION)) for values in (counts, truth)]
    else:
        logs = [np.log(values + floor) for values in (counts, truth)]
    inside = np.abs(logs[0] - logs[1]).max(axis=0) <= (width if width is not None else np.inf)
    return np.column_stack((error, inside, own))


def _row(student: Student, errors: Floats) -> dict[str, Any]:
    error, inside, own = errors.T
    answered = own.astype(np.bool_)
    p50, p95, p99, largest = np.quantile(error[answered], (0.5, 0.95, 0.99, 1.0)).tolist()
    learned = student.parameters > 0
    return {
        "teacher": student.teacher,
        "method": student.method,
        "bundle": student.bundle,
        "engine": student.engine,
        "parameters": student.parameters,
        "archive_kb": bundle_path(student.bundle).stat().st_size / 1000.0,
        "runs": int(answered.sum()),
        "handed_over": float(1.0 - answered.mean()),
        "nadir_error_p50": p50,
        "nadir_error_p95": p95,
        "nadir_error_p99": p99,
        "nadir_error_max": largest,
        "coverage_95": float(inside[answered].mean()) if learned else None,
    }


def _timed(student: Student, doses: Sequence[DoseEvent], days: Floats, members: int, repeats: int) -> dict[str, Any]:
    """Counts of an ensemble on every day of the course, and the half-width that goes with them."""
    model = load_model(student.teacher, "numpy")
    drawn = model.prior_sample(2 * members, seed=1)
    _, own, width, _ = student.counts(drawn, doses, days)
    inside = drawn[own][:members]
    elapsed = best_ms(lambda: student.counts(inside, doses, days), repeats if student.parameters else 3)
    return {"log_half_width": width, "milliseconds": elapsed * members / len(inside)}


def _table(measured: dict[str, Any]) -> str:
    keys = [key for key in measured["rows"][0] if key != "bundle"]
    shown = [[_cell(row[key]) for key in keys] for row in measured["rows"]]
    lines = ["".join(f"{cell:>17}" for cell in cells) for cells in (keys, *shown)]
    note = (
        f"{measured['runs']} fresh patients of each prior, seed {measured['seed']}; nadir errors relative to "
        f"max(nadir, {SCALE}); milliseconds for {measured['members']} members, counts of every day"
    )
    return "\n".join([*lines, note, ""])


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
