"""Day-level features organ by organ, against hand-made days and other libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin.features import Feature, distil
from edge_twin.features.circadian import HourTable, expected_deviation, population_deviation
from edge_twin.features.feature import quantile
from edge_twin.features.glucose import STEROID_RISE, steroid_rises
from edge_twin.features.labs import latest_values
from edge_twin.features.oxygen import count_drops, held_seconds
from edge_twin.observation import Observation, Origin, Quality, Site, observe

BERLIN = ZoneInfo("Europe/Berlin")
DAY = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)  # midnight of March 2 in Berlin
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def readings(
    code: Code, values: Sequence[float], step: timedelta, start: datetime = DAY, **attributes: str
) -> list[Observation]:
    return [observe(code, v, start + n * step, source="device", attributes=attributes) for n, v in enumerate(values)]


def found(observations: Sequence[Observation], **choices: object) -> dict[str, Feature]:
    return {feature.name: feature for feature in distil(observations, BERLIN, **choices)}  # type: ignore[arg-type]


def temperature(celsius: float, hour: float, site: Site, day: int = 0) -> Observation:
    at = DAY + timedelta(days=day, hours=hour)
    return observe(codes.BODY_TEMPERATURE, celsius, at, source="thermometer", attributes={"site": site})


# --- temperature -----------------------------------------------------------------------------------


def test_sites_of_a_temperature_are_never_mixed() -> None:
    day = found([temperature(38.4, 8, Site.ORAL), temperature(36.0, 9, Site.SKIN), temperature(37.2, 20, Site.ORAL)])
    assert (day["oral_temperature_max_day"].value, day["oral_temperature_max_day"].count) == (38.4, 2)
    assert day["oral_temperature_median_day"].value == pytest.approx(37.8)
    assert day["skin_temperature_max_day"].value == 36.0
    assert day["oral_temperature_max_day"].value != day["skin_temperature_max_day"].value
    unknown = found([observe(codes.BODY_TEMPERATURE, 38.4, DAY, source="thermometer")])
    assert "oral_temperature_max_day" not in unknown
    assert unknown["unknown_site_temperature_max_day"].value == 38.4


def test_the_rhythm_is_taken_off_by_the_published_cosine() -> None:
    """Mackowiak 1992: 0.5 degrees from trough to peak, highest in the late afternoon."""
    assert population_deviation(17.0) == pytest.approx(0.25)
    assert population_deviation(5.0) == pytest.approx(-0.25)
    assert population_deviation(11.0) == pytest.approx(0.0, abs=1e-12)
    day = found([temperature(36.55, 5, Site.ORAL), temperature(37.05, 17, Site.ORAL)])
    assert day["oral_temperature_adjusted_day"].value == pytest.approx(36.8)


def test_skin_has_no_published_rhythm_and_needs_the_patients_own() -> None:
    night = [temperature(35.0, 3, Site.SKIN), temperature(33.0, 15, Site.SKIN)]
    assert found(night)["skin_temperature_adjusted_day"].reason == "no_personal_table"
    table = HourTable()
    for day in range(7):
        assert table.deviation(3) is None
        table.add_day([temperature(35.0, 3, Site.SKIN, day), temperature(33.0, 15, Site.SKIN, day)], BERLIN)
    assert (table.deviation(3), table.deviation(15), table.deviation(4)) == (1.0, -1.0, None)
    assert expected_deviation(Site.SKIN, datetime(2026, 3, 2, 3, tzinfo=BERLIN), table) == 1.0
    adjusted = found(night, tables={Site.SKIN: table})["skin_temperature_adjusted_day"]
    assert adjusted.value == 34.0


def test_a_table_forgets_and_refuses_days_out_of_order() -> None:
    table = HourTable()
    for day in range(-60, 0):
        high = 1.0 if day < -30 else 2.0
        table.add_day(
            [temperature(36.0 + high, 3, Site.ORAL, day), temperature(36.0 - high, 15, Site.ORAL, day)], BERLIN
        )
    assert table.deviation(3) == 2.0
    with pytest.raises(ValueError, match="in order"):
        table.add_day([temperature(36.0, 3, Site.ORAL, -1)], BERLIN)
    with pytest.raises(ValueError, match="in order"):
        table.add_day([temperature(36.0, 3, Site.ORAL, 1), temperature(36.0, 3, Site.ORAL, 2)], BERLIN)


# --- oxygen ----------------------------------------------------------------------------------------


def saturation(values: Sequence[float], step: timedelta = SECOND) -> list[Observation]:
    return readings(codes.OXYGEN_SATURATION, values, step)


def with_dips(dip: float, seconds: int, count: int, hours: int = 2) -> list[float]:
    """Quiet hours of 97 % at one reading a second with equal dips, far apart."""
    values = [97.0 if n % 7 else 96.0 for n in range(3600 * hours)]
    for n in range(count):
        first = 600 + 900 * n
        values[first : first + seconds] = [dip] * seconds
    return values


@pytest.mark.parametrize(
    ("dip", "seconds", "three", "four"),
    [(93.7, 10, 3, 0), (92.5, 10, 3, 3), (92.5, 9, 0, 0), (94.3, 30, 0, 0)],
    ids=["3 but not 4 below 96.86", "4 below", "one second too short", "2.6 below"],
)
def test_desaturations_of_three_and_four_percent(dip: float, seconds: int, three: int, four: int) -> None:
    """At least 3 (4) percent below the mean of the preceding 120 s for at least 10 s (PMC8889990)."""
    day = found(saturation(with_dips(dip, seconds, 3)))
    assert day["desaturations_3_per_hour_day"].value == pytest.approx(three / 2)
    assert day["desaturations_4_per_hour_day"].value == pytest.approx(four / 2)


def test_median_low_end_and_time_below_90() -> None:
    values = with_dips(88.0, 72, 5)
    day = found(saturation(values))
    assert day["oxygen_saturation_median_day"].value == np.median(values)
    assert day["oxygen_saturation_p05_day"].value == pytest.approx(np.percentile(values, 5))
    assert day["oxygen_saturation_below_90_day"].value == pytest.approx(5 * 72 / 7200)


def test_a_reading_a_minute_counts_no_events_but_tells_the_time_below_90() -> None:
    day = found(saturation([97.0, 96.0, 88.0, 97.0] * 60, MINUTE))
    assert day["desaturations_3_per_hour_day"].reason == "too_coarse"
    assert day["oxygen_saturation_below_90_day"].value == pytest.approx(0.25)
    few = found(saturation([97.0, 96.0, 95.0], HOUR))
    assert few["oxygen_saturation_median_day"].value == 96.0
    assert few["oxygen_saturation_p05_day"].reason == "too_few_readings"
    assert few["oxygen_saturation_below_90_day"].reason == "recording_too_short"


def test_a_pause_ends_a_desaturation() -> None:
    quiet, low = [97.0] * 200, [90.0] * 6
    before = saturation([*quiet, *low])
    after = readings(codes.OXYGEN_SATURATION, [*low, *quiet], SECOND, before[-1].time + 10 * MINUTE)
    series = [*before, *after]
    assert count_drops(series, held_seconds(series), 3.0) == 1, "six seconds and what the last may stand for"
    apart = [*before[:-3], *after]
    assert count_drops(apart, held_seconds(apart), 3.0) == 0


def brute_force(values: Sequence[float], drop: float) -> int:
    """The definition, reading by reading at one a second, without any running sum."""
    events, n = 0, 0
    while n < len(values):
        before = values[max(0, n - 120) : n]
        if len(before) >= 60 and values[n] <= np.mean(before) - drop:
            level, first = np.mean(before), n
            while n < len(values) and values[n] <= level - drop:
                n += 1
            events += n - first >= 10
        n += 1
    return events


@given(st.integers(0, 2**32 - 1))
def test_drops_agree_with_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    walk = 95 + np.cumsum(rng.choice([-1, 0, 0, 0, 1], 600))
    values = [float(v) for v in np.clip(np.round(walk), 70, 100)]
    series = saturation(values)
    for drop in (3.0, 4.0):
        assert count_drops(series, held_seconds(series), drop) == brute_force(values, drop)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_quantile_is_numpys(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-12, abs=1e-6)


# --- blood pressure --------------------------------------------------------------------------------


def cuff(systolic: float, hour: float, quality: Quality = Quality.GOOD) -> Observation:
    return observe(codes.SYSTOLIC_PRESSURE, systolic, DAY + hour * HOUR, source="cuff", quality=quality)


def test_blood_pressure_of_a_day() -> None:
    day = found([cuff(120, 7), cuff(124, 8), cuff(100, 14), cuff(110, 21), cuff(70, 9, Quality.INVALID)])
    assert day["systolic_pressure_median_day"].value == 115.0
    assert day["systolic_pressure_min_day"].value == 100.0, "the cuff that moved is no lowest value"
    assert day["systolic_pressure_morning_day"].value == 122.0
    assert day["systolic_pressure_evening_day"].value == 110.0
    assert day["systolic_pressure_median_day"].valid_share == pytest.approx(4 / 5)
    moved = found([cuff(70, 9, Quality.INVALID)])
    assert {name for name in moved if name.startswith("systolic")} == {"systolic_pressure_median_day"}
    assert moved["systolic_pressure_median_day"].reason == "no_plausible_reading"


# --- glucose ---------------------------------------------------------------------------------------


def sensor(
    values: Sequence[float], step: timedelta = 5 * MINUTE, code: Code = codes.GLUCOSE_INTERSTITIAL
) -> list[Observation]:
    return readings(code, values, step)


GLUCOSE_DAY = [53.0, 54.0, 69.0, 70.0, 180.0, 181.0, 250.0, 251.0] * 36


def test_time_in_range_at_each_limit() -> None:
    """Battelino 2019: 70-180 in range, below 70 and 54, above 180 and 250 mg/dL."""
    day = found(sensor(GLUCOSE_DAY))
    shares = {
        name: day[f"glucose_{name}_day"].value
        for name in ("in_range", "below_70", "below_54", "above_180", "above_250")
    }
    assert shares == {"in_range": 2 / 8, "below_70": 3 / 8, "below_54": 1 / 8, "above_180": 3 / 8, "above_250": 1 / 8}
    assert day["glucose_mean_day"].value == pytest.approx(np.mean(GLUCOSE_DAY))
    assert day["glucose_coverage_day"].value == 1.0


@pytest.mark.parametrize(("readings_of_288", "reason"), [(202, ""), (201, "coverage_too_low")])
def test_seventy_percent_of_the_day_are_needed(readings_of_288: int, reason: str) -> None:
    day = found(sensor(([100.0, 101.0] * 144)[:readings_of_288]))
    assert day["glucose_in_range_day"].reason == reason
    assert day["glucose_coverage_day"].value == pytest.approx(readings_of_288 / 288)


def test_millimoles_are_told_in_milligrams_by_the_exact_factor() -> None:
    day = found(sensor([5.0, 6.0] * 144, code=codes.GLUCOSE_INTERSTITIAL_MOLAR))
    assert day["glucose_mean_day"].value == pytest.approx(5.5 * 18.0182)
    both = [*sensor([5.0, 6.0] * 144, code=codes.GLUCOSE_INTERSTITIAL_MOLAR), *sensor([400.0] * 10)]
    assert found(both)["glucose_mean_day"].value == pytest.approx(5.5 * 18.0182)


def test_slow_readings_are_no_continuous_monitoring_and_a_meter_gives_ends() -> None:
    assert found(sensor([100.0, 110.0] * 12, HOUR))["glucose_in_range_day"].reason == "too_coarse"
    meter = readings(codes.GLUCOSE_CAPILLARY, [90.0, 251.0, 120.0], 4 * HOUR)
    day = found(meter)
    assert (day["glucose_capillary_max_day"].value, day["glucose_capillary_min_day"].value) == (251.0, 90.0)


def test_the_rise_after_a_steroid() -> None:
    quiet, rise = [100.0, 102.0, 98.0, 100.0] * 24, [100.0, 240.0, 180.0, 120.0] * 36
    series = sensor([*quiet, *rise])  # eight hours, then twelve
    doses = [(DAY + 8 * HOUR, "Dexamethasone"), (DAY + 8 * HOUR, "ondansetron")]
    (feature,) = steroid_rises(series, doses)
    assert (feature.name, feature.value, feature.start) == (STEROID_RISE, 140.0, DAY + 8 * HOUR)
    (early,) = steroid_rises(series, [(DAY, "prednisone")])
    assert early.reason == "no_level_before"
    (late,) = steroid_rises(series, [(DAY + 15 * HOUR, "prednisone")])
    assert late.reason == "coverage_too_low"
    assert steroid_rises(series, [(DAY + 8 * HOUR, "ondansetron")]) == ()


# --- laboratory, imaging, diary --------------------------------------------------------------------


def lab(code: Code, value: float, hour: float, **attributes: str) -> Observation:
    return observe(code, value, DAY + hour * HOUR, source="lab", origin=Origin.LAB, attributes=attributes)


def test_the_newest_laboratory_value_tells_its_age() -> None:
    day = found([lab(codes.PLATELETS, 49.0, 7), lab(codes.PLATELETS, 52.0, 16), lab(codes.HAEMOGLOBIN, 9.1, 7)])
    platelets = day["platelets_day"]
    assert (platelets.value, platelets.end, platelets.unit) == (52.0, DAY + 16 * HOUR, "10*9/L")
    newest = latest_values([lab(codes.PLATELETS, 52.0, 16), lab(codes.PLATELETS, 49.0, 7)], DAY + 20 * HOUR)
    assert newest["platelets"].reading.value == 52.0
    assert newest["platelets"].age == 4 * HOUR
    assert latest_values([lab(codes.PLATELETS, 52.0, 16)], DAY + 10 * HOUR) == {}, "not measured yet"


def test_a_corrected_result_replaces_the_one_that_it_corrects() -> None:
    first = lab(codes.C_REACTIVE_PROTEIN, 12.0, 9, record="r1", status="final")
    amended = lab(codes.C_REACTIVE_PROTEIN, 120.0, 7, record="r1", status="corrected")
    assert found([first, amended])["c_reactive_protein_day"].value == 120.0
    assert latest_values([amended, first], DAY + 24 * HOUR)["c_reactive_protein"].reading is amended


def test_an_upper_limit_is_no_value() -> None:
    limit = lab(codes.PROCALCITONIN, 0.05, 7, comparator="<")
    feature = found([limit])["procalcitonin_day"]
    assert (feature.value, feature.reason) == (None, "below_laboratory_limit")
    assert latest_values([limit], DAY + 24 * HOUR)["procalcitonin"].reading.limit_sign == "<"


def test_imaging_comes_as_it_is_with_its_uncertainty() -> None:
    code = codes.by_name("imaging_diameter_sum")
    assert code is not None
    day = found([lab(code, 61.0, 10, uncertainty="3.5")])
    assert (day["imaging_diameter_sum_day"].value, day["imaging_diameter_sum_day"].end) == (61.0, DAY + 10 * HOUR)
    assert day["imaging_diameter_sum_uncertainty_day"].value == 3.5
    assert "imaging_diameter_sum_uncertainty_day" not in found([lab(code, 61.0, 10, uncertainty="unknown")])


def test_a_diary_gives_the_highest_and_the_latest_of_the_day() -> None:
    code = codes.by_name("diary_pain")
    assert code is not None
    day = found([lab(code, 3.0, 8), lab(code, 7.0, 13), lab(code, 4.0, 20)])
    assert (day["diary_pain_max_day"].value, day["diary_pain_latest_day"].value) == (7.0, 4.0)


# --- steps -----------------------------------------------------------------------------------------


def test_two_devices_on_one_day_are_never_added_up() -> None:
    watch = readings(codes.STEPS, [10.0] * 600, MINUTE, epoch_seconds="60")
    phone = [observe(codes.STEPS, 4000.0, DAY + 20 * HOUR, source="phone")]
    day = found([*watch, *phone])
    assert (day["steps_day"].value, day["steps_day"].count) == (6000.0, 600)
    assert day["steps_sources_day"].value == 2.0
    assert "steps_sources_day" not in found(watch)


def test_a_days_total_covers_the_day() -> None:
    total = observe(codes.STEPS, 9000.0, DAY + 23 * HOUR, source="export", attributes={"epoch_seconds": "86400"})
    day = found([*readings(codes.STEPS, [10.0] * 600, MINUTE, epoch_seconds="60"), total])
    assert day["steps_day"].value == 9000.0
    assert math.isclose(day["steps_day"].valid_share, 1.0)
