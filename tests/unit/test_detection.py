"""The detector of changes: causality, fusion, bad data, state, and what it does to a rise."""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin.detection import DayRecord, DayScore, Detector, Dropped, NoScore
from edge_twin.detection import settings as detector_settings
from edge_twin.detection.baseline import NO_CYCLE, Series, baseline_of
from edge_twin.detection.fusion import OWN_HISTORY, Fusion
from edge_twin.errors import DetectionError

HR, STEPS = "resting_heart_rate", "steps"
Day = Mapping[str, float]


def quiet(days: int, seed: int = 1, rise: float = 0.0, start: int = 10**6) -> list[dict[str, float]]:
    """Whole-numbered days of one person, with a rise of so many beats from ``start`` on."""
    rng = np.random.default_rng(seed)
    rates = np.round(60 + 1.5 * rng.standard_normal(days) + rise * (np.arange(days) >= start))
    steps = np.round(8000 * np.exp(0.3 * rng.standard_normal(days)))
    return [{HR: float(rate), STEPS: float(count)} for rate, count in zip(rates, steps, strict=True)]


def run(days: Sequence[Day], detector: Detector | None = None, first: int = 0) -> list[DayScore]:
    chosen = detector or Detector.shipped()
    return [chosen.update(DayRecord(first + day, values)) for day, values in enumerate(days)]


# --- what it finds ----------------------------------------------------------------------------------


def signals_series() -> list[dict[str, float]]:
    """The test series of the design: a rise on days 50 to 54, fewer steps on days 52 to 58."""
    t = np.arange(70)
    rate = 60 + 2 * np.sin(2 * np.pi * t / 7) + 0.3 * (((37 * t) % 11) - 5) + 6.0 * ((t >= 50) & (t <= 54))
    steps = 8000 + 1500 * np.cos(2 * np.pi * t / 7) + 100.0 * (((23 * t) % 13) - 6) - 4000.0 * ((t >= 52) & (t <= 58))
    return [{HR: float(x), STEPS: float(y)} for x, y in zip(rate, steps, strict=True)]


def test_the_series_of_the_design_scores_highest_and_alerts_first_within_the_rise() -> None:
    answers = run(signals_series())
    scored = {a.day: a.score for a in answers if a.score is not None}
    assert 50 <= max(scored, key=lambda day: scored[day]) <= 54
    assert next(a.day for a in answers if a.alert) in {50, 51}


@pytest.mark.parametrize("seed", range(5))
def test_a_rise_of_seven_beats_alerts_within_two_days(seed: int) -> None:
    alerts = [a.day for a in run(quiet(64, seed, rise=7.0, start=60)) if a.alert]
    assert any(60 <= day <= 61 for day in alerts)


def test_a_level_that_stays_up_does_not_alert_week_after_week() -> None:
    """A shift of 6 beats for good: at most two alerts in the eight weeks after its first ten days."""
    late = [sum(a.alert for a in run(quiet(126, seed, rise=6.0, start=60))[70:]) for seed in range(6)]
    assert np.mean(late) <= 2.0


def test_a_fall_of_the_heart_rate_does_not_score_high() -> None:
    assert not any(a.alert for a in run(quiet(66, 3, rise=-8.0, start=60))[60:])


def test_alerts_keep_the_refractory_time_and_warm_up_emits_nothing() -> None:
    rng = np.random.default_rng(8)
    days = [{HR: float(60 + 2 * rng.standard_t(3))} for _ in range(700)]
    answers = run([{HR: min(max(day[HR], 35.0), 140.0)} for day in days])
    assert all(a.score is None and a.reason is NoScore.WARM_UP and not a.alert for a in answers[14:28])
    assert answers[28].score is not None
    alerts = [a.day for a in answers if a.alert]
    assert len(alerts) > 3
    assert min(b - a for a, b in itertools.pairwise(alerts)) >= 7


# --- fusion -----------------------------------------------------------------------------------------


def test_contributions_sum_to_the_score_and_a_missing_stream_contributes_0() -> None:
    detector = Detector.shipped()
    run(quiet(60), detector)
    for day, values in enumerate([{HR: 66.0, STEPS: 3000.0}, {HR: 67.0}, {STEPS: 2500.0}], start=60):
        answer = detector.update(DayRecord(day, values))
        assert answer.score == pytest.approx(sum(answer.contributions.values()), abs=1e-12)
        assert {name for name in (HR, STEPS) if answer.contributions[name] == 0.0} == {HR, STEPS} - set(values)
        assert set(answer.missing) >= {HR, STEPS} - set(values)


def test_dropping_a_stream_equals_adding_0() -> None:
    fusion = Fusion(detector_settings.shipped())
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=10), rng.normal(size=10)
    both = fusion.contributions({"a": first, "b": second, "c": np.zeros(10)})
    assert both["c"] == pytest.approx(0.0, abs=1e-15)
    assert {name: both[name] for name in "ab"} == pytest.approx(fusion.contributions({"a": first, "b": second}))
    alone = fusion.contributions({"a": first})
    assert alone["a"] == pytest.approx(float(np.log(np.exp(first).mean())))


def test_a_stream_never_given_is_a_stream_that_does_not_exist() -> None:
    shipped = detector_settings.shipped()
    only = replace(shipped, streams=tuple(s for s in shipped.streams if s.name == HR))
    days = [{HR: day[HR]} for day in quiet(70, 5, rise=5.0, start=60)]
    with_others, alone = run(days), run(days, Detector(only))
    assert [a.score for a in with_others] == pytest.approx([a.score for a in alone], nan_ok=True)


def test_the_order_of_streams_does_not_matter() -> None:
    days = quiet(70, 6, rise=5.0, start=60)
    turned = [dict(reversed(day.items())) for day in days]
    assert run(days) == run(turned)


def test_all_streams_missing_is_insufficient_data_and_not_normal() -> None:
    detector = Detector.shipped()
    run(quiet(60), detector)
    answer = detector.update(DayRecord(60, {}))
    assert (answer.score, answer.probability, answer.alert) == (None, None, False)
    assert answer.reason is NoScore.INSUFFICIENT_DATA
    assert len(answer.missing) == len(detector.settings.streams)


def test_the_probability_rises_with_the_score_and_stays_inside_its_bounds() -> None:
    fusion, bounds = Fusion(detector_settings.shipped()), detector_settings.shipped().probability
    found = [fusion.probability(score) for score in (-50.0, -1.0, 0.0, 1.0, 5.0, 50.0)]
    assert found == sorted(found)
    assert bounds.lowest <= found[0] <= found[-1] <= bounds.highest


# --- causality, order, state ------------------------------------------------------------------------


def test_later_days_change_no_earlier_score() -> None:
    days = quiet(90, 7, rise=6.0, start=70)
    assert run(days)[:75] == run(days[:75])


def test_only_differences_between_days_matter_up_to_the_day_of_the_week() -> None:
    days = quiet(70, 9)
    shifted = run(days, first=-700)
    assert [a.score for a in run(days)] == [a.score for a in shifted]


def test_a_repeated_day_replaces_the_first_report_of_it() -> None:
    days = quiet(70, 10)
    plain, corrected = Detector.shipped(), Detector.shipped()
    run(days, plain)
    run(days[:69], corrected)
    corrected.update(DayRecord(69, {HR: 95.0, STEPS: 100.0}))
    again = corrected.update(DayRecord(69, days[69]))
    assert corrected.to_form() == plain.to_form()
    assert again == run(days)[-1]


def test_an_earlier_day_is_refused_and_changes_nothing() -> None:
    detector = Detector.shipped()
    run(quiet(40), detector)
    before = detector.to_form()
    with pytest.raises(DetectionError) as refused:
        detector.update(DayRecord(38, {HR: 60.0}))
    assert refused.value.reason == "day_out_of_order"
    assert detector.to_form() == before


@settings(max_examples=10, deadline=None)
@given(cut=st.integers(1, 79), gap=st.integers(0, 30))
def test_a_saved_state_goes_on_exactly_where_it_stopped(cut: int, gap: int) -> None:
    days = quiet(80, 11, rise=6.0, start=50)
    whole, before = Detector.shipped(), Detector.shipped()
    run(days[:cut], whole)
    run(days[:cut], before)
    after = Detector.from_form(json.loads(json.dumps(before.to_form())))
    assert run(days[cut:], whole, cut + gap) == run(days[cut:], after, cut + gap)


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_form_is_refused_with_its_reason(form: object) -> None:
    with pytest.raises(DetectionError) as refused:
        Detector.from_form(form)
    assert refused.value.reason == "bad_state"


@pytest.mark.parametrize(
    ("part", "spoilt", "reason"),
    [
        ("settings_version", 10**6, "other_settings"),
        ("streams", {}, "other_settings"),
        ("scores", [[1, "nan"]], "bad_state"),
        ("alert_days", [3, 2], "bad_state"),
        ("valid_days", [1.5], "bad_state"),
        ("last_day", "x", "bad_state"),
    ],
)
def test_a_spoilt_state_is_refused(part: str, spoilt: object, reason: str) -> None:
    detector = Detector.shipped()
    run(quiet(40), detector)
    with pytest.raises(DetectionError) as refused:
        Detector.from_form({**detector.to_form(), part: spoilt})
    assert refused.value.reason == reason


def test_the_state_of_years_stays_far_below_a_megabyte() -> None:
    detector = Detector.shipped()
    sizes = []
    for year in range(2):
        run([{**day, "temperature": 36.5, "rmssd": 40.0} for day in quiet(365, year)], detector, 365 * year)
        sizes.append(len(json.dumps(detector.to_form())))
    assert sizes[1] < 1.1 * sizes[0]
    assert sizes[1] < 100_000


# --- bad data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        (HR, 0.0, Dropped.IMPLAUSIBLE),
        (HR, 500.0, Dropped.IMPLAUSIBLE),
        (STEPS, -5.0, Dropped.IMPLAUSIBLE),
        (HR, math.nan, Dropped.NOT_A_NUMBER),
        (STEPS, math.inf, Dropped.NOT_A_NUMBER),
        ("mood", 3.0, Dropped.UNKNOWN_STREAM),
    ],
)
def test_an_unusable_value_is_dropped_with_its_reason_and_counts_as_missing(
    name: str, value: float, why: Dropped
) -> None:
    given_it, without = Detector.shipped(), Detector.shipped()
    days = quiet(60)
    run(days, given_it)
    run(days, without)
    others = {key: number for key, number in days[-1].items() if key != name}
    answer = given_it.update(DayRecord(60, {**others, name: value}))
    assert answer.dropped == {name: why}
    assert replace(answer, dropped={}) == without.update(DayRecord(60, others))


def test_an_excluded_stream_counts_as_missing() -> None:
    detector = Detector.shipped()
    run(quiet(60), detector)
    answer = detector.update(DayRecord(60, {HR: 90.0, STEPS: 8000.0}, excluded=frozenset({HR})))
    assert answer.dropped == {HR: Dropped.EXCLUDED}
    assert answer.contributions[HR] == 0.0


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_days_give_an_answer_with_finite_numbers(data: st.DataObject) -> None:
    numbers = st.one_of(st.floats(), st.sampled_from([0.0, 60.0, 61.0, 1e300, 8000.0, 1.0]))
    names = st.sampled_from([HR, STEPS, "temperature", "spo2", "other"])
    detector, day = Detector.shipped(), data.draw(st.integers(-(10**6), 10**6))
    run(quiet(data.draw(st.sampled_from([0, 35]))), detector, first=day)
    day = day + 40
    for _ in range(8):
        day += data.draw(st.integers(0, 60))
        values = data.draw(st.dictionaries(names, numbers, max_size=4))
        answer = detector.update(DayRecord(day, values, data.draw(st.none() | st.integers(-3, 40))))
        assert answer.score is None or math.isfinite(answer.score)
        assert (answer.score is None) == (answer.reason is not None)


@pytest.mark.parametrize("values", [[60.0] * 90, [60.0] * 45 + [61.0] * 45])
def test_a_flat_line_raises_no_alert(values: list[float]) -> None:
    assert not any(a.alert for a in run([{HR: value} for value in values]))


# --- baseline ---------------------------------------------------------------------------------------


def series(values: Sequence[float], cycle: Sequence[int] | None = None) -> Series:
    days = np.arange(len(values), dtype=np.intp)
    at = np.array(cycle if cycle is not None else [NO_CYCLE] * len(values), dtype=np.intp)
    return Series(days, np.array(values, dtype=np.float64), at)


def heart() -> detector_settings.StreamSettings:
    return detector_settings.shipped().streams[0]


def test_the_baseline_does_not_follow_outliers() -> None:
    rng = np.random.default_rng(12)
    values = 60 + rng.standard_normal(56)
    spoilt = values.copy()
    spoilt[::8] += 40.0
    clean, dirty = baseline_of(series(values.tolist()), heart()), baseline_of(series(spoilt.tolist()), heart())
    assert abs(dirty.middle - clean.middle) < 0.5
    assert dirty.scale < 2.0 * clean.scale


def test_a_weekly_rhythm_is_taken_out() -> None:
    rng = np.random.default_rng(13)
    values = 60 + 0.5 * rng.standard_normal(56) + 3.0 * (np.arange(56) % 7 == 2)
    baseline = baseline_of(series(values.tolist()), replace(heart(), weekday_shrinkage=1.0))
    assert np.argmax(baseline.weekday) == 2
    assert 1.5 < baseline.weekday[2] < 3.0


def test_the_same_day_of_earlier_cycles_is_taken_out_and_an_unknown_cycle_day_is_not() -> None:
    rng = np.random.default_rng(14)
    cycle = [day % 21 for day in range(63)]
    values = 60 + 0.5 * rng.standard_normal(63) + 6.0 * np.array([2 <= at <= 4 for at in cycle])
    baseline = baseline_of(series(values.tolist(), cycle), heart(), series(values.tolist(), cycle))
    at = Series(np.arange(3, dtype=np.intp), np.full(3, 66.0), np.array([3, 12, NO_CYCLE], dtype=np.intp))
    treated, plain, unknown = baseline.residuals(at)
    assert treated < 3.0
    assert plain > 4.5
    assert unknown > 4.5


def test_an_effect_of_the_cycle_alerts_less_when_the_cycle_day_is_known() -> None:
    """A rise of 6 beats on days 2 to 4 of each 21-day cycle, cycles 4 to 8: fewer alerts with the cycle day."""
    counts = {True: 0, False: 0}
    for known, seed in itertools.product(counts, range(4)):
        detector = Detector.shipped()
        for day, values in enumerate(quiet(168, 20 + seed)):
            rate = values[HR] + 6.0 * (2 <= day % 21 <= 4)
            counts[known] += detector.update(DayRecord(day, {HR: rate}, day % 21 if known else None)).alert
    assert counts[True] < counts[False]


def test_persistence_is_found_and_shrunk() -> None:
    rng = np.random.default_rng(15)
    walk = [0.0]
    for _ in range(199):
        walk.append(0.8 * walk[-1] + 0.6 * rng.standard_normal())
    baseline = baseline_of(series((60 + 2 * np.array(walk)).tolist()), heart())
    assert 0.6 < baseline.persistence < 0.85


# --- settings ---------------------------------------------------------------------------------------


def test_every_number_of_the_settings_has_a_mark_and_a_source() -> None:
    tables = tomllib.loads(detector_settings.SHIPPED.read_text(encoding="utf-8"))
    rows = [row for name, table in tables.items() if isinstance(table, dict) for row in table.values()]
    rows += [v for stream in tables["stream"] for k, v in stream.items() if k not in {"name", "unit", "logarithm"}]
    assert len(rows) > 100
    assert all(row["mark"] in set("SPCAUF") and row["source"] for row in rows)


@pytest.mark.parametrize("text", ["", "schema = 'other'", "schema = 'edge-twin.detector/1'", "=", "version = 1"])
def test_settings_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(DetectionError) as refused:
        detector_settings.read(text)
    assert refused.value.reason == "bad_settings"


def test_own_history_moves_the_bar_for_a_person_who_scores_high() -> None:
    fusion = Fusion(detector_settings.shipped())
    low, high = dict.fromkeys(range(40), -0.5), dict.fromkeys(range(40), 1.5)
    assert fusion.own_level(high, 40) > fusion.own_level(low, 40)
    assert fusion.own_level(dict.fromkeys(range(3), 9.0), 40) == 0.0
    assert OWN_HISTORY not in {stream.name for stream in detector_settings.shipped().streams}


@pytest.mark.parametrize("nights", [1, 2, 3])
def test_a_larger_rise_never_scores_less(nights: int) -> None:
    scores = [run(quiet(60, 16, rise, 60 - nights))[-1].score for rise in (0.0, 3.0, 5.0, 7.0, 10.0, 15.0, 30.0)]
    assert scores == sorted(scores, key=lambda score: score or 0.0)
