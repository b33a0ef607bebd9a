"""What a learned student does not know reaches the patient: in R, in the monitor, in every interval, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from edge_twin.assimilation import Assimilation, Counts, ObservationOperator, assimilate, operator_of
from edge_twin.bundle import load_bundle
from edge_twin.contract import Coverage, Dose, Model, Refusal, TwinInput, TwinOutput, log_sd_of
from edge_twin.course import Course
from edge_twin.cycle import GUARD_BOX, GUARD_DISTANCE, CycleModel
from edge_twin.exposure import DoseEvent
from edge_twin.forecasting import moved_by_surrogate_error
from edge_twin.innovation import innovations
from edge_twin.jsonform import output_form
from edge_twin.observation import Observation
from edge_twin.program import Program
from edge_twin.rehearsal import NextCycle, Rehearsed, rehearse
from edge_twin.surrogate import SurrogateModel
from edge_twin.twin import advance
from edge_twin_app.models import load_model, load_surrogate
from edge_twin_models import bundle_path

STUDENT = load_surrogate("numpy")
CYCLE = CycleModel(load_bundle(bundle_path("neutropenia-cycle")), prefer="numpy")
MECHANISTIC = load_model("neutropenia", "numpy")
DOSES = (DoseEvent(0.0, 180.0, 1 / 24), DoseEvent(21.0, 180.0, 1 / 24))
COUNTS = Counts(np.array([0.0, 7.0, 10.0, 14.0]), np.array([5.0, 0.9, 1.1, 3.0]))

Reading = Callable[[float, datetime], Observation]


def unsure(half_width: float) -> SurrogateModel:
    """The shipped student, had its calibration found another half-width."""
    return replace(STUDENT, student=replace(STUDENT.student, log_half_width=half_width))


def test_the_half_width_becomes_a_deviation() -> None:
    assert log_sd_of(1.959963984540054) == pytest.approx(1.0)
    assert MECHANISTIC.surrogate_log_sd == 0.0
    assert STUDENT.surrogate_log_sd == pytest.approx(STUDENT.student.log_half_width / 1.96, rel=1e-3)
    assert pytest.approx(CYCLE.operator.log_half_width(12) / 1.96, rel=1e-3) == CYCLE.surrogate_log_sd


@pytest.mark.parametrize("model", [STUDENT, CYCLE], ids=["course", "cycle"])
def test_surrogate_variance_is_added_to_the_laboratorys(model: Model) -> None:
    added = model.surrogate_log_sd**2
    assert added > 0.0
    assert operator_of(MECHANISTIC).log_variances(COUNTS) == pytest.approx(0.424**2)
    assert operator_of(model).log_variances(COUNTS) == pytest.approx(0.424**2 + added)
    site = Assimilation(operator=ObservationOperator(0.15))
    assert operator_of(model, site).log_variances(COUNTS) == pytest.approx(0.15**2 + added)


def test_an_unsure_student_learns_less_from_the_same_counts() -> None:
    spreads = [
        assimilate(model, DOSES, COUNTS, 300, 1).std(axis=0).sum() for model in (STUDENT, unsure(0.5), unsure(3.0))
    ]
    assert spreads[0] < spreads[1] < spreads[2]


def test_an_unsure_student_is_less_surprised() -> None:
    odd = Counts(COUNTS.days, np.array([5.0, 9.0, 0.1, 9.0]))
    found = [
        innovations(model, DOSES, odd, members=300, seed=1, choices=Assimilation()) for model in (STUDENT, unsure(3.0))
    ]
    assert np.abs(found[1].normalised).max() < 0.6 * np.abs(found[0].normalised).max()
    assert found[1].p_mismatch > found[0].p_mismatch


def test_the_error_is_drawn_for_the_students_members_alone() -> None:
    parameters = np.repeat(STUDENT.prior_sample(2, seed=1)[:1], 2000, axis=0)
    parameters[::2, 2] = np.log(60.0)  # a slope outside the student's box
    answer = STUDENT.answer(parameters, DOSES, np.arange(0.0, 42.0))
    assert answer.by_student.sum() == 1000
    moved = np.log(moved_by_surrogate_error(answer, 3) / answer.counts)
    np.testing.assert_array_equal(moved[:, ::2], 0.0)
    np.testing.assert_allclose(moved[0], moved[30], atol=1e-12)
    assert moved[0, 1::2].std() == pytest.approx(STUDENT.surrogate_log_sd, rel=0.1)


def test_a_corner_of_the_box_is_refused_by_its_distance_alone() -> None:
    envelope, course = STUDENT.student.envelope, Course(0.0, 2, 21.0, 180.0, 1 / 24)
    low, span = envelope.low[:3], (envelope.high - envelope.low)[:3]
    corner, middle = (np.concatenate(([np.log(5.0)], low + share * span)) for share in (0.02, 0.4))
    members = np.array([corner, middle])
    features = STUDENT.student.features(members, course)
    assert ((features >= envelope.low) & (features <= envelope.high)).all()
    assert STUDENT.members_inside(members, course).tolist() == [False, True]
    wide = replace(envelope, max_distance=1e6)
    assert wide.inside(features).all()


def test_the_cycle_operator_refuses_states_by_their_distance_too() -> None:
    weights = CYCLE.operator.weights
    shares = np.random.default_rng(3).random((200, len(weights.low)))
    inputs = (weights.low + shares * (weights.high - weights.low)).astype(np.float32)
    inputs[0] = weights.mean
    causes = {word: np.zeros(200, np.bool_) for word in (GUARD_BOX, GUARD_DISTANCE)}
    CYCLE.operator._guard(inputs, causes)
    assert not causes[GUARD_BOX].any()
    assert causes[GUARD_DISTANCE][1:].mean() > 0.5  # states that no chain of cycles reaches
    assert not causes[GUARD_DISTANCE][0]


# --- the twin's own step ---------------------------------------------------------------------------


def stepped(model: Model, program: Program, doses: tuple[Dose, ...], readings: tuple[Observation, ...]) -> TwinOutput:
    now = doses[-1].time + timedelta(days=2)
    given = TwinInput(now, "UTC", program, model, readings, doses=doses, members=400)
    return advance(given)


def cycles(dose: Dose, *amounts: float, every: float = 21.0) -> tuple[Dose, ...]:
    return tuple(
        replace(dose, time=dose.time + timedelta(days=every * number), amount_mg=amount)
        for number, amount in enumerate(amounts)
    )


@pytest.fixture(name="readings")
def _readings(count: Reading, docetaxel: Dose) -> tuple[Observation, ...]:
    days = zip(COUNTS.days.tolist(), COUNTS.values.tolist(), strict=True)
    return tuple(count(value, docetaxel.time + timedelta(days=day)) for day, value in days)


def test_a_forecast_carries_both_uncertainties(
    program: Program, docetaxel: Dose, readings: tuple[Observation, ...]
) -> None:
    doses = cycles(docetaxel, 180.0, 180.0)
    learned, equations = (stepped(model, program, doses, readings) for model in (STUDENT, MECHANISTIC))
    assert learned.forecast is not None
    assert equations.forecast is not None
    assert learned.forecast.surrogate_log_half_width == STUDENT.student.log_half_width
    assert equations.forecast.surrogate_log_half_width == 0.0
    assert learned.forecast.residual_log_sd == equations.forecast.residual_log_sd == 0.424
    assert (learned.engine, equations.engine) == ("numpy", "numpy")
    assert learned.handed_over == equations.handed_over == ()
    assert output_form(learned)["forecast"]["surrogate_log_half_width"] > 0.0


def test_the_uncertainties_are_combined_in_log_space(
    program: Program, docetaxel: Dose, readings: tuple[Observation, ...]
) -> None:
    doses = cycles(docetaxel, 180.0, 180.0)
    half_width = 0.8
    alone, learned = (
        stepped(model, program, doses, readings[:1]).forecast for model in (unsure(1e-9), unsure(half_width))
    )
    assert alone is not None
    assert learned is not None
    at = int(np.argmin(np.abs(learned.days - 30.0)))

    def half(upper: np.ndarray, lower: np.ndarray) -> float:
        return 0.5 * math.log(upper[at] / lower[at])

    state = half(learned.state_upper, learned.state_lower)
    assert state == pytest.approx(math.hypot(half(alone.state_upper, alone.state_lower), half_width), rel=0.15)
    measured = half(learned.upper, learned.lower)
    assert measured == pytest.approx(math.hypot(state, 1.96 * learned.interval_widening * 0.424), rel=0.15)


def test_a_forecast_of_the_equations_draws_nothing(
    program: Program, docetaxel: Dose, readings: tuple[Observation, ...]
) -> None:
    output = stepped(MECHANISTIC, program, cycles(docetaxel, 180.0), readings)
    assert output.forecast is not None
    assert output.posterior is not None
    counts = MECHANISTIC.simulate(output.posterior.log_parameters, DOSES[:1], output.forecast.days)
    assert output.forecast.interval_widening == 1.0
    np.testing.assert_allclose(output.forecast.state_upper, np.sort(counts, axis=1)[:, -10], rtol=1e-9)
    assert output.engine == "numpy"


@pytest.mark.parametrize(
    ("amounts", "word"),
    [((230.0, 230.0), "dose_amount"), ((180.0, 150.0), "schedule_not_equal_cycles"), ((180.0,), "single_dose")],
)
def test_the_twin_says_that_the_course_student_handed_over(
    amounts: tuple[float, ...], word: str, program: Program, docetaxel: Dose, readings: tuple[Observation, ...]
) -> None:
    doses = cycles(docetaxel, *amounts)
    output = stepped(STUDENT, program, doses, readings)
    assert output.engine == "mechanistic (numpy)"
    assert word in output.handed_over
    assert Refusal.STUDENT_HANDED_OVER in output.refusals
    assert output.forecast is not None
    assert output.posterior is not None
    assert output.forecast.surrogate_log_half_width == 0.0
    events = tuple(DoseEvent(21.0 * number, amount, 1 / 24) for number, amount in enumerate(amounts))
    expected = MECHANISTIC.simulate(output.posterior.log_parameters, events, output.forecast.days)
    np.testing.assert_allclose(output.forecast.median, np.median(expected, axis=1), rtol=1e-4)  # of an even number


def test_the_twin_says_that_the_cycle_operator_handed_over(
    program: Program, docetaxel: Dose, readings: tuple[Observation, ...]
) -> None:
    inside = stepped(CYCLE, program, cycles(docetaxel, 180.0, 150.0), readings)
    assert inside.engine.startswith("numpy")
    beyond = CYCLE.prior_sample(3, 1)
    beyond[:, 2] = np.log(70.0)  # every member outside the parameter box
    assert CYCLE.answer(beyond, DOSES, np.arange(40.0)).log_half_width == 0.0
    outside = stepped(CYCLE, program, cycles(docetaxel, 230.0, 230.0), readings)
    assert outside.engine == "mechanistic (numpy)"
    assert outside.handed_over == ("dose_amount",)
    assert Refusal.STUDENT_HANDED_OVER in outside.refusals
    assert Refusal.OUTSIDE_ENVELOPE in outside.refusals


def test_members_outside_the_box_are_named_beside_the_students(
    program: Program, docetaxel: Dose, count: Reading
) -> None:
    times = (docetaxel.time + timedelta(days=day) for day in (0, 3, 7, 10))
    deep = tuple(count(value, time) for value, time in zip((9.0, 1.0, 0.06, 0.06), times, strict=True))
    output = stepped(STUDENT, program, cycles(docetaxel, 180.0, 180.0), deep)
    assert output.engine == "numpy, mechanistic (numpy)"
    assert output.handed_over == ("members_outside_envelope",)
    assert output.forecast is not None
    assert output.forecast.surrogate_log_half_width > 0.0


def test_coverage_counted_on_the_patient_reaches_the_students_forecast(
    program: Program, docetaxel: Dose, readings: tuple[Observation, ...]
) -> None:
    doses = cycles(docetaxel, 180.0, 180.0)
    now = doses[-1].time + timedelta(days=2)
    base = TwinInput(now, "UTC", program, STUDENT, readings, doses=doses, members=200)
    fresh, missed = (advance(replace(base, coverage=seen)).forecast for seen in (Coverage(), Coverage(20, 12)))
    assert fresh is not None
    assert missed is not None
    assert not fresh.interval_counted
    assert missed.interval_counted
    assert missed.interval_widening > fresh.interval_widening
    assert (missed.state_upper > fresh.state_upper)[20:].all()


# --- rehearsal -------------------------------------------------------------------------------------


def rehearsed(model: Model, program: Program, docetaxel: Dose, amount: float) -> tuple[Rehearsed, ...]:
    given = cycles(docetaxel, 180.0, 180.0)
    planned = NextCycle(replace(docetaxel, time=docetaxel.time + timedelta(days=42), amount_mg=amount), 1.8)
    return rehearse(model, MECHANISTIC.prior_sample(200, 1), given, planned, program)


def test_a_rehearsal_names_who_computed_each_option(program: Program, docetaxel: Dose) -> None:
    by_id = {option.option: option for option in rehearsed(STUDENT, program, docetaxel, 180.0)}
    same = by_id["100_percent"]
    assert same.engines[0] == "numpy"
    assert same.surrogate_log_half_width == STUDENT.student.log_half_width
    reduced = by_id["75_percent"]
    assert reduced.engines == ("mechanistic (numpy)",)
    assert reduced.handed_over == ("schedule_not_equal_cycles",)
    assert reduced.surrogate_log_half_width == 0.0


def test_an_unsure_student_rehearses_wider_intervals_around_the_same_median(program: Program, docetaxel: Dose) -> None:
    sure, wide = (rehearsed(model, program, docetaxel, 180.0)[0] for model in (STUDENT, unsure(1.5)))
    assert wide.nadir_median == sure.nadir_median
    assert wide.nadir_lower < sure.nadir_lower < sure.nadir_upper < wide.nadir_upper
    np.testing.assert_array_equal(wide.median, sure.median)


def test_the_cycle_operator_rehearses_a_reduced_dose_itself_and_hands_a_dose_outside_over(
    program: Program, docetaxel: Dose
) -> None:
    reduced = {option.option: option for option in rehearsed(CYCLE, program, docetaxel, 180.0)}["75_percent"]
    assert reduced.engines[0] == "numpy"
    assert reduced.surrogate_log_half_width == CYCLE.operator.log_half_width(3)
    beyond = rehearsed(CYCLE, program, docetaxel, 240.0)[0]
    assert beyond.engines == ("mechanistic (numpy)",)
    assert beyond.handed_over == ("dose_amount",)
