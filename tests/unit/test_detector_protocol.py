"""The protocol against its rules, and each fast form against the same thing done slowly."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_twin_app.evaluation import alerts as module
from edge_twin_app.evaluation.alerts import Curve, alerts, curve, outcomes
from edge_twin_app.evaluation.calendars import Calendar, calendar
from edge_twin_app.evaluation.measures import Bench, chance, chance_refractory, differences, measured, measures
from edge_twin_app.evaluation.pseudo_onsets import detected_share, drawn, pseudo_onsets
from edge_twin_app.evaluation.resampling import rates, resamples
from edge_twin_app.evaluation.rules import section, windows
from edge_twin_app.evaluation.table import RATE, STEPS, SubjectDays
from edge_twin_app.evaluation.thresholds import best, groups, left_out_thresholds, pooled

RULE = windows()
Floats = NDArray[np.float64]


def subject(days: range | list[int], missing: tuple[int, ...] = (), name: str = "a", source: str = "") -> SubjectDays:
    day = np.array(days, np.int64)
    rate = np.where(np.isin(day, missing), np.nan, 60.0)
    return SubjectDays(name, source, day, {RATE: rate, STEPS: np.full(day.size, 8000.0)})


# --- calendar ------------------------------------------------------------------------------------------


def test_windows_are_those_of_the_protocol() -> None:
    assert (RULE.warm_up_valid_days, RULE.refractory_days) == (28, 7)
    assert (RULE.window_first_day, RULE.window_last_day, RULE.days_in_window) == (-7, 3, 11)
    assert (RULE.control_before_day, RULE.control_after_day) == (-14, 28)
    assert (RULE.eligible_days_before, RULE.eligible_days_in_window) == (28, 6)


def test_every_day_after_the_warm_up_is_control_window_or_unscored() -> None:
    known = calendar(subject(range(-60, 41)), RULE)
    assert known.eligible
    assert known.day[0] == -32
    assert known.day[known.control].tolist() == [*range(-32, -14), *range(29, 41)]
    assert known.day[known.window].tolist() == list(range(-7, 4))
    assert known.day[known.unscored].tolist() == [*range(-14, -7), *range(4, 29)]
    assert known.control_weeks == pytest.approx(30 / 7)


@pytest.mark.parametrize(("first", "eligible"), [(-42, True), (-41, False)])
def test_eligible_needs_28_valid_days_before_day_minus_14(first: int, *, eligible: bool) -> None:
    assert calendar(subject(range(first, 10)), RULE).eligible is eligible
    assert calendar(subject(range(first, 10), missing=(-20,)), RULE).eligible is False


@pytest.mark.parametrize(("missing", "eligible"), [(5, True), (6, False)])
def test_eligible_needs_6_valid_days_in_the_window(missing: int, *, eligible: bool) -> None:
    gone = tuple(range(-7, -7 + missing))
    known = calendar(subject(range(-60, 10), gone), RULE)
    assert known.eligible is eligible
    assert int(known.window.sum()) == (11 - missing if eligible else 0)


def test_missing_days_neither_warm_up_nor_count_as_control() -> None:
    known = calendar(subject(range(-60, 0), missing=(-50, -20)), RULE)
    assert known.day[0] == -31
    assert -20 not in known.day
    assert int(known.control.sum()) == 16


def test_a_subject_without_onset_gives_control_days_alone() -> None:
    for days in (range(-100, -20), range(40, 120)):
        known = calendar(subject(days), RULE)
        assert not known.eligible
        assert known.control.all()
        assert known.day.size == 80 - 28
    enrolled = calendar(subject(range(100)), RULE)  # day 0 is no onset, and there is nothing before it
    assert (enrolled.eligible, int(enrolled.window.sum()), int(enrolled.control.sum())) == (False, 0, 71)


# --- alerts --------------------------------------------------------------------------------------------


def slow_alerts(day: list[int], flagged: list[bool]) -> list[bool]:
    raised: list[bool] = []
    last = -(10**9)
    for today, flag in zip(day, flagged, strict=True):
        raised.append(flag and today - last >= 7)
        last = today if raised[-1] else last
    return raised


DAYS = st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=60)


@given(DAYS)
def test_alerts_keep_their_distance(steps: list[tuple[int, bool]]) -> None:
    day = np.cumsum([gap for gap, _ in steps]).astype(np.int64)
    flagged = np.array([flag for _, flag in steps], np.bool_)
    assert alerts(day, flagged, 7).tolist() == slow_alerts(day.tolist(), flagged.tolist())


@pytest.mark.parametrize(("gap", "second"), [(6, False), (7, True)])
def test_refractory_period_is_seven_days(gap: int, *, second: bool) -> None:
    assert alerts(np.array([0, gap]), np.array([True, True]), 7).tolist() == [True, second]


def flagged_on(known: Calendar, *days: int) -> NDArray[np.bool_]:
    return np.isin(known.day, days)


NAN = math.nan
BY_DAY = {
    # days of alerts: detected, early, lead, unscored, false
    (-8,): (0, 0, NAN, 1, 0),
    (-7,): (1, 1, 7, 0, 0),
    (-1,): (1, 1, 1, 0, 0),
    (0,): (1, 0, 0, 0, 0),
    (3,): (1, 0, -3, 0, 0),
    (4,): (0, 0, NAN, 1, 0),
    (-14,): (0, 0, NAN, 1, 0),
    (-15,): (0, 0, NAN, 0, 1),
    (28,): (0, 0, NAN, 1, 0),
    (29,): (0, 0, NAN, 0, 1),
    (-8, -3): (0, 0, NAN, 1, 0),  # the refractory period of the alert on day -8
    (-8, -1): (1, 1, 1, 1, 0),
    (-7, 0): (1, 1, 7, 0, 0),
    (-33,): (0, 0, NAN, 0, 0),  # still warm-up
}


@pytest.mark.parametrize("days", BY_DAY)
def test_alert_counts_by_its_day(days: tuple[int, ...]) -> None:
    known = calendar(subject(range(-60, 41)), RULE)
    found = outcomes([known], [flagged_on(known, *days)], RULE)
    values = (found.detected, found.early, found.lead, found.unscored_alerts, found.false_alerts)
    assert [value[0] for value in values] == pytest.approx(BY_DAY[days], nan_ok=True)


SCORES = st.lists(
    st.one_of(st.integers(0, 5).map(float), st.sampled_from([math.nan, -math.inf])), min_size=73, max_size=73
)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_curve_is_the_outcome_at_every_threshold(values: list[float]) -> None:
    known, scores = calendar(subject(range(-60, 41)), RULE), np.array(values)
    found = curve(known, scores, RULE)
    for threshold in (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        slow = outcomes([known], [scores >= max(threshold, -9.0)], RULE)
        expected = [slow.false_alerts[0], slow.detected[0], slow.early[0]]
        assert found.at(np.array([threshold]))[0].tolist() == expected


def test_a_long_record_is_measured_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    known = calendar(subject(range(-400, 41)), RULE)
    scores = np.random.default_rng(6).standard_normal(known.day.size)
    whole = curve(known, scores, RULE)
    monkeypatch.setattr(module, "_CELLS", 10_000)
    assert np.array_equal(curve(known, scores, RULE).values, whole.values)


# --- thresholds ----------------------------------------------------------------------------------------


def cohort(seed: int, sources: int = 1) -> tuple[list[SubjectDays], list[Calendar], list[Floats]]:
    random = np.random.default_rng(seed)
    people = [subject(range(-60, 41), name=f"p{n}", source=f"s{n % sources}") for n in range(9)]
    known = [calendar(person, RULE) for person in people]
    return people, known, [np.round(2 * random.standard_normal(days.day.size)) / 2 for days in known]


@pytest.mark.parametrize("sources", [1, 3])
@pytest.mark.parametrize("target", [0.05, 0.25, 0.6])
def test_left_out_threshold_is_the_best_of_the_others(sources: int, target: float) -> None:
    people, known, scores = cohort(5, sources)
    curves = [curve(*pair, RULE) for pair in zip(known, scores, strict=True)]
    way, left_out = groups(people)
    assert (way, len(left_out)) == (("leave_one_subject_out", 9) if sources == 1 else ("leave_one_source_out", 3))
    found = left_out_thresholds(curves, known, left_out, target)
    for members in left_out:
        others = [n for n in range(9) if n not in members]
        assert {found[n] for n in members} == {slow_threshold(known, scores, others, target)}


def slow_threshold(known: list[Calendar], scores: list[Floats], others: list[int], target: float) -> float:
    """Every threshold tried on the other subjects, one after the other."""
    rows = []
    for threshold in {math.inf, *np.concatenate(scores).tolist()}:
        found = outcomes([known[n] for n in others], [scores[n] >= threshold for n in others], RULE)
        rate = found.false_alerts.sum() / found.weeks.sum()
        rows.append((rate, found.detected.sum(), threshold))
    return float(max(row for row in rows if row[0] <= target)[2])


def test_ties_go_to_sensitivity_then_to_the_higher_threshold() -> None:
    counts = np.array([[0, 0, 0], [2, 1, 0], [2, 3, 0], [2, 3, 0], [4, 9, 9]])
    assert best(counts, 3.0) == 2
    assert best(counts, 1.0) == 0
    assert best(counts, 4.0) == 4


def test_pooled_curve_is_the_sum() -> None:
    one = Curve(np.array([3.0, 1.0]), np.array([[0, 0, 0], [1, 0, 0], [2, 1, 1]]))
    two = Curve(np.array([2.0, 1.0]), np.array([[0, 0, 0], [0, 1, 0], [5, 1, 0]]))
    found = pooled([one, two])
    assert found.thresholds.tolist() == [math.inf, 3.0, 2.0, 1.0]
    assert found.counts.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [7, 2, 1]]


def test_one_subject_alone_has_no_threshold() -> None:
    people, known, scores = cohort(1)
    curves = [curve(known[0], scores[0], RULE)]
    assert np.isnan(left_out_thresholds(curves, known[:1], groups(people[:1])[1], 0.25)).all()


# --- measures ------------------------------------------------------------------------------------------


def test_chance_is_the_printed_one() -> None:
    assert chance(0.25, 11) == pytest.approx(0.325, abs=5e-4)
    assert chance(0.25, 7) == pytest.approx(0.221, abs=5e-4)


def bench(known: list[Calendar], strata: list[str], number: int = 400) -> Bench:
    return Bench(known, drawn(known, RULE, 20, 3), resamples(strata, number, 7), RULE)


def test_measures_by_hand() -> None:
    known = [calendar(subject(range(-60, 41)), RULE) for _ in range(4)]
    days = [(-30, -2), (2,), (), (-30, -20, -10, 35)]
    result = measured(bench(known, [""] * 4), [flagged_on(k, *d) for k, d in zip(known, days, strict=True)])
    row = measures(result, RULE)
    assert row["false_alerts_per_person_week"] == pytest.approx(4 / (4 * 30 / 7))
    assert (row["sensitivity"], row["pre_symptomatic_share"]) == (0.5, 0.25)
    assert (row["lead_days_median"], row["alerts_unscored"]) == (0.0, 1)
    assert row["alert_ppv"] == pytest.approx(2 / 6)
    assert row["excess"] == pytest.approx(0.5 - chance(4 / (4 * 30 / 7), 11))
    assert row["sensitivity_low"] == 0.0
    assert row["alert_days_per_case"] == 0.5


def test_nobody_eligible_gives_no_share_and_no_zero() -> None:
    known = [calendar(subject(range(40, 120)), RULE)]
    row = measures(measured(bench(known, [""]), [np.ones(known[0].day.size, np.bool_)]), RULE)
    assert [row[key] for key in ("sensitivity", "excess", "sensitivity_low", "lead_days_median")] == [None] * 4
    assert row["false_alerts_per_person_week"] == pytest.approx(8 / (52 / 7))


def test_resamples_keep_the_size_of_each_source() -> None:
    weights = resamples(["x", "y", "x", "y", "y"], 500, 1)
    assert (weights[:, [0, 2]].sum(axis=1) == 2).all()
    assert (weights[:, [1, 3, 4]].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(5), abs=0.15)
    assert np.array_equal(weights, resamples(["x", "y", "x", "y", "y"], 500, 1))


def test_bootstrap_standard_error_is_that_of_a_share() -> None:
    known = [calendar(subject(range(-60, 41)), RULE) for _ in range(50)]
    flagged = [flagged_on(k, 0) if n < 30 else flagged_on(k) for n, k in enumerate(known)]
    weights = resamples([""] * 50, 4000, 2)
    draws = rates(outcomes(known, flagged, RULE), weights)[1]
    assert draws.std() == pytest.approx(math.sqrt(0.6 * 0.4 / 50), rel=0.05)


def test_a_detector_differs_from_itself_by_nothing() -> None:
    _, known, scores = cohort(8)
    result = measured(bench(known, [""] * 9), [s > 1.0 for s in scores])
    assert set(differences(result, result).values()) == {0.0}


# --- pseudo-onsets --------------------------------------------------------------------------------------


def test_pseudo_onsets_lie_in_control_days_after_the_warm_up() -> None:
    known = calendar(subject(range(-80, 61)), RULE)
    found = set(pseudo_onsets(known, RULE, 2000, np.random.default_rng(1)).tolist())
    assert found >= set(range(-45, -17)) | set(range(36, 58))
    # At the edges of the record 6 of the 11 days of the window are enough, as for a real onset.
    assert found == set(range(-45, -17)) | set(range(36, 61))


def test_a_subject_with_short_control_time_has_no_pseudo_onset() -> None:
    assert pseudo_onsets(calendar(subject(range(-50, 10)), RULE), RULE, 5, np.random.default_rng(1)).size == 0
    assert pseudo_onsets(calendar(subject([1, 2]), RULE), RULE, 5, np.random.default_rng(1)).size == 0


def test_detected_share_by_hand() -> None:
    known = calendar(subject(range(-80, 61)), RULE)
    onsets = np.array([-40, -30, -25, -20])
    assert detected_share(known, flagged_on(known, -27), onsets, RULE) == (0.75, 0.5)


def test_random_flags_detect_pseudo_onsets_as_often_as_chance_says() -> None:
    # Daily flags that know nothing. The refractory period makes alerts more regular than Poisson's.
    known = [calendar(subject(range(-160, 41)), RULE) for _ in range(200)]
    random = np.random.default_rng(11)
    flagged = [random.random(k.day.size) < 0.045 for k in known]
    row = measures(
        measured(Bench(known, drawn(known, RULE, 20, 3), resamples([""] * 200, 400, 5), RULE), flagged), RULE
    )
    rate, detected = row["false_alerts_per_person_week"], row["pseudo_onset_sensitivity"]
    assert isinstance(rate, float)
    assert 0.2 < rate < 0.3
    assert detected == pytest.approx(chance_refractory(rate, 11, 7), abs=0.04)
    assert row["pseudo_onset_pre_symptomatic"] == pytest.approx(chance_refractory(rate, 7, 7), abs=0.04)
    assert row["pseudo_onset_sensitivity_advantage"] is False


def test_a_detector_that_looks_ahead_shows_an_advantage() -> None:
    # Alerts on control days that know where the pseudo-onsets are.
    known = [calendar(subject(range(-160, 41)), RULE) for _ in range(60)]
    onsets = [values[:1] for values in drawn(known, RULE, 20, 3)]
    flagged = [np.isin(k.day, days) for k, days in zip(known, onsets, strict=True)]
    row = measures(measured(Bench(known, onsets, resamples([""] * 60, 400, 5), RULE), flagged), RULE)
    assert row["pseudo_onset_sensitivity"] == 1.0
    assert row["pseudo_onset_sensitivity_advantage"] is True


@pytest.mark.parametrize(("rate", "days"), [(0.25, 11), (0.25, 7), (0.6, 11), (0.05, 7)])
def test_chance_with_a_refractory_period_is_that_of_simulated_flags(rate: float, days: int) -> None:
    waiting = 7 / rate - 6
    flagged = np.random.default_rng(4).random((1, 400_000)) < 1 / waiting
    raised = alerts_of_a_long_record(flagged[0])
    hit = np.convolve(raised, np.ones(days), "valid") > 0
    assert hit.mean() == pytest.approx(chance_refractory(rate, days, 7), abs=0.01)
    assert chance(rate, days) <= chance_refractory(rate, days, 7)


def alerts_of_a_long_record(flagged: NDArray[np.bool_]) -> NDArray[np.float64]:
    raised, last = np.zeros(flagged.size), -100
    for day in np.flatnonzero(flagged).tolist():
        if day - last >= 7:
            raised[day], last = 1.0, day
    return raised


def test_chance_at_the_ends() -> None:
    assert chance_refractory(0.0, 11, 7) == 0.0
    assert chance_refractory(1.0, 11, 7) == 1.0


def test_every_number_of_the_protocol_has_mark_and_source() -> None:
    document = tomllib.loads(Path(module.__file__).with_name("protocol.toml").read_text(encoding="utf-8"))
    for name, entries in document.items():
        if name != "schema":
            assert all(entry["mark"] in "SPCAU" and entry["source"] for entry in entries.values())
            assert section(name).keys() == entries.keys()
