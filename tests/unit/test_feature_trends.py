"""What several days say together, against scipy, pandas and hand-made series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.features import Feature, distil
from edge_twin.features.trends import theil_sen, trends
from edge_twin.observation import Observation, Quality, observe

UTC_ZONE = ZoneInfo("UTC")
DAY = datetime(2026, 6, 1, tzinfo=UTC)
ONE = timedelta(days=1)


def weighings(kilograms: Mapping[int, float], quality: Quality = Quality.GOOD) -> list[Observation]:
    return [
        observe(codes.BODY_WEIGHT, kg, DAY + day * ONE + timedelta(hours=7), source="scale", quality=quality)
        for day, kg in kilograms.items()
    ]


def trend(readings: Sequence[Observation], name: str, day: int) -> Feature:
    made = trends(distil(readings, UTC_ZONE), UTC_ZONE)
    (feature,) = [f for f in made if f.name == name and f.start == DAY + day * ONE]
    return feature


def daily(name: str, values: Mapping[int, float], unit: str = "h") -> list[Feature]:
    return [Feature(name, value, unit, DAY + day * ONE, DAY + (day + 1) * ONE, 1, 1.0) for day, value in values.items()]


# --- weight ----------------------------------------------------------------------------------------


@given(st.lists(st.floats(30, 200), min_size=2, max_size=28), st.integers(0, 2**32 - 1))
def test_the_slope_is_scipys(kilograms: list[float], seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    days = np.sort(np.random.default_rng(seed).choice(28, len(kilograms), replace=False))
    ours = theil_sen(list(zip(days.tolist(), kilograms, strict=True)))
    assert ours == pytest.approx(float(stats.theilslopes(kilograms, days).slope), rel=1e-9, abs=1e-9)


def test_a_steady_loss_and_one_wrong_weighing() -> None:
    """0.1 kg a day from 70 kg is 3.0438 kg a month, of a median of 68.65 kg; one odd weight moves it little."""
    loss = {day: 70.0 - 0.1 * day for day in range(28)}
    slope = trend(weighings(loss), "weight_slope_28d", 27)
    assert slope.value == pytest.approx(-0.1 * 30.4375 / 68.65)
    assert slope.unit == "/mo"
    odd = trend(weighings({**loss, 14: 90.0}), "weight_slope_28d", 27)
    assert odd.value == pytest.approx(slope.value, rel=0.05)


def test_too_few_weights_make_no_slope() -> None:
    assert trend(weighings({0: 70, 10: 69, 20: 68}), "weight_slope_28d", 20).reason == "too_few_weights"
    assert trend(weighings({0: 70, 1: 70, 2: 69, 13: 69}), "weight_slope_28d", 13).reason == "too_few_weights"
    assert trend(weighings({0: 70, 1: 70, 2: 69, 14: 69}), "weight_slope_28d", 14).reason == ""


def test_change_against_six_months_and_one_month_ago() -> None:
    """Fearon 2011 asks for the loss in six months; the earlier weight is the median around that day."""
    readings = weighings({0: 80.0, 5: 82.0, 9: 90.0, 153: 78.0, 183: 76.0, 186: 74.0})
    assert trend(readings, "weight_change_6_months", 186).value == pytest.approx(75.0 / 82.0 - 1.0)
    assert trend(readings, "weight_change_1_month", 186).value == pytest.approx(75.0 / 78.0 - 1.0)
    assert trend(readings, "weight_change_6_months", 153).reason == "no_earlier_weight"
    assert trend(readings, "weight_change_1_month", 9).reason == "no_earlier_weight"


@pytest.mark.parametrize(
    ("day", "reason"), [(198, ""), (199, "no_earlier_weight"), (168, ""), (167, "no_earlier_weight")]
)
def test_the_earlier_weight_lies_within_fifteen_days(day: int, reason: str) -> None:
    readings = weighings({0: 80.0, day: 76.0})
    assert trend(readings, "weight_change_6_months", day).reason == reason


def test_an_invalid_weighing_never_counts() -> None:
    good = dict.fromkeys(range(20), 70.0)
    bad = weighings(dict.fromkeys(range(20, 28), 50.0), Quality.INVALID)
    slope = trend([*weighings(good), *bad], "weight_slope_28d", 19)
    assert slope.value == 0.0
    assert not [f for f in trends(distil(bad, UTC_ZONE), UTC_ZONE) if f.value is not None]


def test_body_mass_index_needs_a_height() -> None:
    readings = weighings({0: 70.0, 1: 72.0})
    assert trend(readings, "body_mass_index_day", 1).reason == "no_height"
    height = observe(codes.BODY_HEIGHT, 1.75, DAY - 30 * ONE, source="clinic")
    assert trend([*readings, height], "body_mass_index_day", 1).value == pytest.approx(71.0 / 1.75**2)


# --- sleep, gait, skin -----------------------------------------------------------------------------


def test_irregularity_is_the_deviation_of_the_middle_of_sleep() -> None:
    pandas = pytest.importorskip("pandas")
    values = {0: 2.5, 1: 3.0, 2: 2.0, 4: 5.0, 5: 2.5, 6: 3.5, 7: 2.75, 9: 3.0}
    ours = {
        (f.start - DAY).days: f
        for f in trends(daily("mid_sleep_day", values), UTC_ZONE)
        if f.name == "sleep_irregularity_7d"
    }
    rolling = pandas.Series(values).reindex(range(10)).rolling(7, min_periods=5).std()
    for day, feature in ours.items():
        if np.isnan(rolling[day]):
            assert feature.reason == "too_few_nights"
        else:
            assert feature.value == pytest.approx(rolling[day])
    assert sum(f.value is not None for f in ours.values()) >= 4


def test_gait_speed_from_cadence_is_a_proxy_that_needs_a_height() -> None:
    cadence = daily("walking_cadence_day", {0: 110.0}, "/min")
    (without,) = [f for f in trends(cadence, UTC_ZONE) if f.name == "gait_speed_proxy_day"]
    assert without.reason == "no_height"
    height = daily("body_height_day", {-1: 1.70}, "m")
    (proxy,) = [f for f in trends([*cadence, *height], UTC_ZONE) if f.name == "gait_speed_proxy_day"]
    assert proxy.value == pytest.approx(110.0 / 60.0 * 0.414 * 1.70)


def test_a_warm_night_stands_out_and_does_not_enter_its_own_baseline() -> None:
    nights = {day: 34.0 + 0.1 * (day % 3) for day in range(20)}
    nights |= {20: 35.5, 21: 35.6, 22: 35.7}
    made = {
        (f.start - DAY).days: f
        for f in trends(daily("skin_temperature_night", nights, "Cel"), UTC_ZONE)
        if f.name == "skin_temperature_night_deviation"
    }
    assert made[8].reason == "too_few_nights"
    assert made[9].value is not None, "seven nights that end three days before"
    assert made[20].value == pytest.approx(1.4, abs=0.051)
    assert made[22].value == pytest.approx(1.6, abs=0.051), "nights 20 and 21 are not yet in the baseline"


@given(
    st.dictionaries(st.integers(0, 400), st.floats(30, 200), min_size=1, max_size=40),
    st.integers(0, 400),
)
def test_trends_from_a_day_on_are_those_of_all(kilograms: dict[int, float], since: int) -> None:
    """Made anew from some day on, with what they look back on, trends are what they were."""
    features = distil(weighings(kilograms), UTC_ZONE)
    first = (DAY + since * ONE).date()
    whole = tuple(f for f in trends(features, UTC_ZONE) if f.start.date() >= first)
    assert trends(features, UTC_ZONE, first) == whole
    assert trends(reversed(features), UTC_ZONE, date.min) == trends(features, UTC_ZONE)
