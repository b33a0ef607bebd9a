"""Probabilities of the twin's own forecasts against virtual patients whose true course is known.

A virtual patient is treated, counted with the laboratory's error, and forecast through the public twin at several days
of the cycle, from what was known on that day. What was said about a low count is then compared with the true course.
Two kinds of patients: drawn from the model's own population (the model is right, which patient it is it does not know)
and, for neutropenia, made by another model (Quartino 2014, with between-occasion variability).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from edge_twin import Dose, PatientTwin
from edge_twin.contract import Forecast, Model, TwinOutput
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import GRID_DAYS
from edge_twin.low_count import WindowStart
from edge_twin.program import Program, load_program
from edge_twin.randomness import Stream, generator
from edge_twin_app.evaluation.calibration import Pairs, Ranks
from edge_twin_app.models import load_models
from edge_twin_models.mismatch import RESIDUAL_LOG_SD as OTHER_RESIDUAL_LOG_SD
from edge_twin_models.quartino import QuartinoPatient, on_occasions, sample_patients, simulate_quartino

Floats = NDArray[np.float64]
Truth = Callable[[tuple[DoseEvent, ...], Floats], Floats]
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SMALLEST = 0.01  # 10*9/L, below what any counter resolves; only keeps logarithms finite
OWN, OTHER = "own model", "other model"


@dataclass(frozen=True, slots=True)
class Course:
    """How virtual patients are treated and observed in one cycle.

    Attributes:
        program: name.
        dose_days: of the cycle.
        dose_mg: smallest and largest amount of one dose; uniform between patients.
        infusion_days: of one dose.
        count_days: on which counts are taken.
        looks: days of the forecasts, ascending; each knows the counts up to it.
    """

    program: str
    dose_days: tuple[float, ...]
    dose_mg: tuple[float, float]
    infusion_days: float
    count_days: tuple[float, ...]
    looks: tuple[float, ...]


COURSES = (
    Course("neutropenia", (0.0,), (120.0, 200.0), 1 / 24, (0.0, 3.0, 5.0, 7.0, 10.0, 14.0), (0.0, 3.0, 5.0, 7.0, 10.0)),
    Course(
        "aml",
        (0.0, 0.5, 2.0, 2.5, 4.0, 4.5),
        (1000.0, 3000.0),
        0.125,
        (0.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0),
        (6.0, 9.0, 12.0, 15.0),
    ),
)
"""Docetaxel 75 to 100 mg/m2; cytarabine 0.6 to 1.7 g/m2 twice on days 1, 3 and 5; counts as in close follow-up."""


@dataclass(frozen=True, eq=False)
class Virtual:
    """One patient: doses, the true count at each time of the grid, and what the laboratory reported.

    Attributes:
        doses: given.
        days: [t] half a day apart.
        truth: 10*9/L [t].
        measured: 10*9/L, on the course's count days.
    """

    doses: tuple[DoseEvent, ...]
    days: Floats
    truth: Floats
    measured: Floats


@dataclass(frozen=True, eq=False)
class Said:
    """What one forecast said and what came, see ``Found``."""

    look: float
    probability: float
    happened: bool
    rank: float
    p_mismatch: float


@dataclass(frozen=True, eq=False)
class Found:
    """What all forecasts of one cohort said and what came of it.

    Attributes:
        pairs: probability of the low count in the program's window, over all looks.
        ranks: of the next measured count in its forecast.
        p_mismatch: one for each patient, at the last look; uniform when the model is right.
    """

    pairs: Pairs
    ranks: Ranks
    p_mismatch: Floats


def cohorts(course: Course) -> tuple[str, ...]:
    """Kinds of patients there are for a course."""
    return (OWN, OTHER) if course.program == "neutropenia" else (OWN,)


def study(course: Course, kind: str, patients: int, seed: int, tick: Callable[[], None] = lambda: None) -> Found:
    """Forecast a cohort.

    Args:
        course: see its type.
        kind: of ``cohorts``.
        patients: how many.
        seed: of patients and laboratory; the twin's own ensembles keep the product's seed.
        tick: called after each patient.
    """
    program = load_program(course.program)
    model = load_models(program)[0]
    drawn = own_patients(model, course, patients, seed) if kind == OWN else other_patients(course, patients, seed)
    said, subject = [], []
    for number, patient in enumerate(drawn):
        told = list(forecasts(patient, course, model, program))
        said += told
        subject += [f"{number}"] * len(told)
        tick()
    return _found(f"{program.low_count().probability_name}, {kind}", said, np.array(subject))


def _found(name: str, said: Sequence[Said], subject: NDArray[np.str_]) -> Found:
    last = np.append(subject[1:] != subject[:-1], True)
    probability, happened, rank, p_mismatch = (
        np.array([getattr(one, field) for one in said], dtype=np.float64)
        for field in ("probability", "happened", "rank", "p_mismatch")
    )
    return Found(Pairs(name, probability, happened, subject), Ranks(name, rank, subject), p_mismatch[last])


def own_patients(model: Model, course: Course, count: int, seed: int) -> list[Virtual]:
    """Patients of the model's own population, with its residual error."""
    parameters = model.clip(model.prior_sample(count, seed))
    return [
        _virtual(course, (seed, number), model.residual_log_sd, _own_truth(model, parameters[number : number + 1]))
        for number in range(count)
    ]


def _own_truth(model: Model, parameters: Floats) -> Truth:
    return lambda doses, days: np.asarray(model.simulate(parameters, doses, days))[:, 0]


def other_patients(course: Course, count: int, seed: int) -> list[Virtual]:
    """Patients of the other model of docetaxel."""
    return [
        _virtual(course, (seed, number), OTHER_RESIDUAL_LOG_SD, _other_truth(patient, seed + 1 + number))
        for number, patient in enumerate(sample_patients(count, seed))
    ]


def _other_truth(patient: QuartinoPatient, seed: int) -> Truth:
    occasion = on_occasions(patient, 1, seed)
    return lambda doses, days: simulate_quartino(occasion, doses, days)


def _virtual(
    course: Course,
    seed: tuple[int, int],
    residual_log_sd: float,
    truth_of: Truth,
) -> Virtual:
    random = np.random.default_rng(seed)
    amount = float(random.uniform(*course.dose_mg))
    doses = tuple(DoseEvent(day, amount, course.infusion_days) for day in course.dose_days)
    program = load_program(course.program)
    last = max(_window_end(course, program, course.looks[-1]), course.count_days[-1])
    days = np.arange(0.0, last + GRID_DAYS, GRID_DAYS)
    truth = truth_of(doses, days)
    at_counts = truth[np.searchsorted(days, course.count_days)]
    return Virtual(doses, days, truth, at_counts * np.exp(residual_log_sd * random.standard_normal(at_counts.size)))


def _window_end(course: Course, program: Program, look: float) -> float:
    """Last day of the window that a forecast at ``look`` speaks about."""
    start = course.dose_days[-1] if program.count.window_from is WindowStart.LAST_DOSE else look
    return start + program.threshold("forecast", "window_days")


def forecasts(patient: Virtual, course: Course, model: Model, program: Program) -> Iterator[Said]:
    """Each look at one patient: what the twin said with what was known, and what came."""
    infusion = timedelta(days=course.infusion_days)
    given = [Dose(_at(dose.start_day), program.drug, dose.amount_mg, infusion) for dose in patient.doses]
    for look in course.looks:
        known = [(day, value) for day, value in zip(course.count_days, patient.measured, strict=True) if day <= look]
        twin = PatientTwin(model, program).given(*(dose for dose in given if dose.time <= _at(look)))
        for day, value in known:
            twin = twin.counted(float(max(value, SMALLEST)), _at(day))
        yield _said(twin.forecast(_at(look)), patient, course, (model, program), look)


def _said(output: TwinOutput, patient: Virtual, course: Course, cover: tuple[Model, Program], look: float) -> Said:
    model, program = cover
    if output.forecast is None or output.posterior is None:
        raise RuntimeError(f"a virtual patient was refused: {', '.join(output.refusals)}")
    ahead = (patient.days >= look) & (patient.days <= _window_end(course, program, look))
    happened = bool(patient.truth[ahead].min() < program.low_threshold)
    number = int(np.searchsorted(course.count_days, look, side="right"))
    sample = _next_count(
        output.forecast, output.posterior.log_parameters, model, (patient.doses, course.count_days[number])
    )
    rank = float(np.mean(sample < np.log(max(float(patient.measured[number]), SMALLEST))))
    return Said(look, output.forecast.p_below, happened, rank, output.forecast.p_mismatch)


def _next_count(
    forecast: Forecast, ensemble: Floats, model: Model, asked: tuple[tuple[DoseEvent, ...], float]
) -> Floats:
    """Log of the next measured count [members] as the forecast's interval has it: widened, with the residual error."""
    doses, day = asked
    logs = np.log(np.maximum(np.asarray(model.simulate(ensemble, doses, np.array([day])))[0], SMALLEST))
    noise = generator(1, Stream.SCORING).standard_normal(logs.size) * forecast.residual_log_sd
    centre = np.median(logs)
    sample: Floats = centre + forecast.interval_widening * (logs - centre + noise)
    return sample


def _at(day: float) -> datetime:
    return START + timedelta(days=day)
