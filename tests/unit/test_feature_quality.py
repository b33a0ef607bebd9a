"""Bad data: each kind gives its stated reason, never an exception and never a silent number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.codes import Code
from edge_twin.features import Feature, distil
from edge_twin.features.registry import DISTILLED
from edge_twin.features.trends import trends
from edge_twin.observation import Observation, Quality, Site, observe

UTC_ZONE = ZoneInfo("UTC")
DAY = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def series(code: Code, values: Sequence[float], step: timedelta = MINUTE, **attributes: str) -> list[Observation]:
    return [observe(code, v, DAY + n * step, source="device", attributes=attributes) for n, v in enumerate(values)]


def found(readings: Sequence[Observation], days: frozenset[date] | None = None) -> dict[str, Feature]:
    return {feature.name: feature for feature in distil(readings, UTC_ZONE, days=days)}


# --- flat lines and stuck sensors ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "value", "step", "minutes", "name", "attributes"),
    [
        (codes.OXYGEN_SATURATION, 97.0, MINUTE, 361, "oxygen_saturation_median_day", {}),
        (codes.BODY_TEMPERATURE, 36.5, MINUTE, 121, "skin_temperature_max_day", {"site": "skin"}),
        (codes.GLUCOSE_INTERSTITIAL, 100.0, 5 * MINUTE, 181, "glucose_mean_day", {}),
        (codes.MOTION_SPREAD, 25.0, MINUTE, 61, "motion_wear_minutes_day", {"epoch_seconds": "60"}),
    ],
    ids=["oxygen", "temperature", "glucose", "motion"],
)
def test_a_flat_line_is_no_value(  # noqa: PLR0913, PLR0917 - the columns of the table
    code: Code, value: float, step: timedelta, minutes: int, name: str, attributes: dict[str, str]
) -> None:
    """At the stated time without a change, and with too few minutes to say so."""
    count = int(minutes * MINUTE / step) + 1
    stuck = found(series(code, [value] * count, step, **attributes))[name]
    assert (stuck.value, stuck.reason) == (None, "stuck_sensor")
    moving = found(series(code, [value] * (count - 1) + [value + 1.0], step, **attributes))[name]
    assert moving.reason != "stuck_sensor"


def test_the_rest_of_the_day_stays_when_a_sensor_was_stuck_for_a_while() -> None:
    living = [97.0 if n % 9 else 96.0 for n in range(300)]
    day = found(series(codes.OXYGEN_SATURATION, [*living, *[70.0] * 400, *living]))
    assert day["oxygen_saturation_p05_day"].value == 96.0
    assert day["oxygen_saturation_median_day"].valid_share == pytest.approx(600 / 1000)


def test_a_few_equal_readings_of_a_thermometer_are_no_stuck_sensor() -> None:
    assert found(series(codes.BODY_TEMPERATURE, [36.6] * 4, 6 * HOUR, site="oral"))[
        "oral_temperature_max_day"
    ].value == 36.6  # fmt: skip


# --- absurd values and units -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "values", "name", "reason", "attributes"),
    [
        (codes.BODY_TEMPERATURE, [98.6], "oral_temperature_max_day", "unit_change_suspected", {"site": "oral"}),
        (codes.BODY_TEMPERATURE, [250.0], "oral_temperature_max_day", "no_plausible_reading", {"site": "oral"}),
        (codes.GLUCOSE_INTERSTITIAL, [5.5] * 288, "glucose_mean_day", "unit_change_suspected", {}),
        (codes.GLUCOSE_INTERSTITIAL, [9000.0] * 288, "glucose_mean_day", "no_plausible_reading", {}),
        (codes.GLUCOSE_INTERSTITIAL_MOLAR, [99.0] * 288, "glucose_mean_day", "unit_change_suspected", {}),
        (codes.GLUCOSE_CAPILLARY, [200.0, 200.0 / 18.0182], "glucose_capillary_max_day", "unit_change_suspected", {}),
        (codes.BODY_WEIGHT, [70.0, 154.3], "weight_reading_day", "unit_change_suspected", {}),
        (codes.BODY_WEIGHT, [700.0], "weight_reading_day", "unit_change_suspected", {}),
        (codes.BODY_WEIGHT, [7000.0], "weight_reading_day", "no_plausible_reading", {}),
        (codes.SYSTOLIC_PRESSURE, [900.0], "systolic_pressure_median_day", "no_plausible_reading", {}),
        (codes.STEPS, [-5.0], "steps_day", "no_plausible_reading", {}),
    ],
)
def test_absurd_values_and_changed_units(
    code: Code, values: list[float], name: str, reason: str, attributes: dict[str, str]
) -> None:
    feature = found(series(code, values, 5 * MINUTE, **attributes))[name]
    assert (feature.value, feature.reason) == (None, reason)


def weighed(kilograms: float, day: int) -> Observation:
    return observe(codes.BODY_WEIGHT, kilograms, DAY + day * timedelta(days=1), source="scale")


@pytest.mark.parametrize(
    ("second", "reason"), [(154.3, "unit_change_suspected"), (31.75, "unit_change_suspected"), (90.0, "")]
)
def test_a_weight_in_pounds_after_one_in_kilograms_is_held(second: float, reason: str) -> None:
    days = trends(distil([weighed(70.0, 0), weighed(70.4, 1), weighed(second, 2)], UTC_ZONE), UTC_ZONE)
    weights = [f for f in days if f.name == "weight_day"]
    assert [f.reason for f in weights] == ["", "", reason]
    assert weights[-1].value == (None if reason else second)
    changes = [f for f in days if f.name.startswith("weight_") and f.start == weights[-1].start and f.value is not None]
    assert bool(changes) is not bool(reason)


# --- clocks and empty days -------------------------------------------------------------------------


def test_a_clock_that_went_back_is_suspected() -> None:
    first = series(codes.STEPS, [10.0] * 700, MINUTE, epoch_seconds="60")
    again = [
        observe(codes.STEPS, 20.0, o.time, source=o.source, attributes=o.attributes, sequence=1) for o in first[300:400]
    ]
    day = found([*first, *again])
    assert {day[name].reason for name in ("steps_day", "cadence_peak_30_day")} == {"clock_jump_suspected"}
    few = found([*first, *again[:10]])
    assert few["steps_day"].reason == ""


def test_a_day_without_data_says_so() -> None:
    empty = found([], frozenset({DAY.date()}))
    assert {name: (f.value, f.reason) for name, f in empty.items()} == {"reading_minutes_day": (None, "no_data")}
    absurd = found([observe(codes.PULSE_RATE, 0.0, DAY, source="band")], frozenset({DAY.date()}))
    assert absurd["reading_minutes_day"].reason == "no_usable_reading"
    some = found([weighed(70.0, 0)], frozenset({DAY.date()}))
    assert some["reading_minutes_day"].value == 1.0
    assert found([]) == {}


def test_an_epoch_length_that_is_none_is_not_believed() -> None:
    for text in ("", "nan", "-60", "inf", "many", "1e9"):
        day = found(series(codes.STEPS, [100.0] * 700, MINUTE, epoch_seconds=text))
        assert day["steps_day"].value == 70_000.0
        assert "cadence_peak_30_day" not in day


# --- anything at all -------------------------------------------------------------------------------

ANY_CODE = st.sampled_from([code for name in codes.names() if (code := codes.by_name(name))])


@st.composite
def any_reading(draw: st.DrawFn) -> Observation:
    code = draw(ANY_CODE)
    low, high = max(code.low, -1e9), min(code.high, 1e9)
    value = draw(st.one_of(st.floats(low, high), st.floats(allow_nan=False, allow_infinity=False)))
    attributes = draw(
        st.dictionaries(
            st.sampled_from(["epoch_seconds", "comparator", "response", "uncertainty"]), st.text(max_size=5)
        )
    )
    if draw(st.booleans()):
        attributes["site"] = draw(st.sampled_from(list(Site)))
    return observe(
        code,
        value,
        DAY + timedelta(minutes=draw(st.integers(-3000, 3000))),
        source=draw(st.sampled_from(["a", "b"])),
        quality=draw(st.sampled_from([Quality.GOOD, Quality.QUESTIONABLE, Quality.INVALID])),
        attributes=attributes,
        sequence=draw(st.integers(0, 2)),
    )


@given(st.lists(any_reading(), max_size=40))
def test_any_readings_give_numbers_with_reasons_and_no_exception(readings: list[Observation]) -> None:
    features = distil(readings, UTC_ZONE)
    for feature in (*features, *trends(features, UTC_ZONE)):
        assert (feature.value is None) == bool(feature.reason)
        assert feature.value is None or feature.value == feature.value, "never NaN"
        assert 0.0 <= feature.valid_share <= 1.0
        assert feature.start <= feature.end
        assert feature.count >= 0


@given(st.lists(any_reading(), max_size=30), st.randoms())
def test_the_order_of_readings_leaves_no_trace(readings: list[Observation], random: object) -> None:
    shuffled = list(readings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert distil(shuffled, UTC_ZONE) == distil(readings, UTC_ZONE)


@given(st.lists(any_reading(), max_size=30))
def test_a_day_does_not_depend_on_what_else_is_at_hand(readings: list[Observation]) -> None:
    """Asked for one day, the readings of its date and the evening before give what all readings give."""
    day = DAY.date()
    whole = [f for f in distil(readings, UTC_ZONE, days=frozenset({day})) if f.name in DISTILLED]
    near = [o for o in readings if DAY - 12 * HOUR <= o.time < DAY + 24 * HOUR]
    assert [f for f in distil(near, UTC_ZONE, days=frozenset({day})) if f.name in DISTILLED] == whole


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), missing=st.floats(0, 0.9), odd=st.floats(0, 0.2), still=st.booleans())
def test_any_dense_day_gives_numbers_within_their_bounds(seed: int, missing: float, odd: float, *, still: bool) -> None:
    """A day and an evening of minutes with holes, spikes and stretches of one value."""
    rng = np.random.default_rng(seed)
    ranges = {
        codes.MOTION_ANGLE: (-90.0, 90.0), codes.MOTION_SPREAD: (0.0, 60.0), codes.MOTION_ENMO: (0.0, 300.0),
        codes.STEPS: (0.0, 130.0), codes.OXYGEN_SATURATION: (80.0, 100.0), codes.GLUCOSE_INTERSTITIAL: (40.0, 400.0),
    }  # fmt: skip
    readings: list[Observation] = []
    for code, (low, high) in ranges.items():
        values = rng.uniform(low, high, 2160)
        if still:
            first, length = rng.integers(0, 2000), rng.integers(1, 900)
            values[first : first + length] = values[first]
        values[rng.random(2160) < odd] = rng.choice([-1e6, 0.0, 1e6])
        for minute in np.flatnonzero(rng.random(2160) >= missing).tolist():
            at = DAY + (minute - 720) * MINUTE
            readings.append(observe(code, float(values[minute]), at, source="w", attributes={"epoch_seconds": "60"}))
    for feature in distil(readings, UTC_ZONE, days=frozenset({DAY.date()})):
        assert (feature.value is None) == bool(feature.reason)
        if feature.value is not None:
            low, high = (
                (0.0, 1.0) if feature.unit == "1" else (-12.0, 24.0) if feature.unit == "h" else (0.0, 200_000.0)
            )
            assert low <= feature.value <= high, feature
