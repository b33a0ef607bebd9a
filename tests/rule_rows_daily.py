"""Boundary rows of the pack ``daily_care``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from edge_twin import codes
from edge_twin.care import MedicineKind
from edge_twin.features import NIGHT_HEART_RATE, Feature
from edge_twin.flag import FlagKind
from edge_twin.observation import Observation, Origin
from tests.rule_bench import ADULT, NOW, reading, taken_until, taking
from tests.rule_row import COMPLETE, NONE, NOW_, TODAY, WEEK, Given, Row, r, with_

DRY, LOSS, HIGH, LOW, QTC = (
    FlagKind.DEHYDRATION,
    FlagKind.WEIGHT_LOSS,
    FlagKind.GLUCOSE_HIGH,
    FlagKind.GLUCOSE_LOW,
    FlagKind.QTC_PROLONGED,
)
USUAL = replace(ADULT, usual_stools_per_day=1.0)


def stools(count: float, hours_ago: float = 1.0) -> Observation:
    return reading(codes.DIARY_STOOLS, count, 60 * hours_ago, origin=Origin.PATIENT_REPORTED)


def pressure(systolic: float) -> Observation:
    return reading(codes.SYSTOLIC_PRESSURE, systolic)


def nights(newest: float, usual: float = 60.0, count: int = 10, hours_ago: float = 6.0) -> tuple[Feature, ...]:
    ends = [NOW - timedelta(hours=hours_ago, days=k) for k in range(count)]
    values = [newest, *[usual] * (count - 1)]
    made = [
        Feature(NIGHT_HEART_RATE, value, "/min", end - timedelta(hours=7), end, 100, 1.0)
        for value, end in zip(values, ends, strict=True)
    ]
    return tuple(reversed(made))


def lost(percent: float, hours: float = 40.0) -> tuple[Observation, ...]:
    return reading(codes.BODY_WEIGHT, 80.0, 60 * hours), reading(codes.BODY_WEIGHT, 80.0 * (1 - percent / 100), 5.0)


def six_months(
    percent: float, *, height: float | None = None, days: float = 150.0, newest: float = 1.0, count: int = 3
) -> tuple[Observation, ...]:
    early = [reading(codes.BODY_WEIGHT, 60.0, 1440 * days + k) for k in range(count)]
    late = [reading(codes.BODY_WEIGHT, 60.0 * (1 - percent / 100), 1440 * newest + k) for k in range(count)]
    tall = [reading(codes.BODY_HEIGHT, height, 10.0)] if height else []
    return (*early, *late, *tall)


def thin(height_for_index: float) -> Given:
    """58.5 kg (2.5 % lost) at the height that gives this body mass index."""
    return {"readings": six_months(2.5, height=(58.5 / height_for_index) ** 0.5)}


def sensor(value: float, minutes: float, step: float = 5.0) -> tuple[Observation, ...]:
    count = round(minutes / step)
    return tuple(reading(codes.GLUCOSE_INTERSTITIAL, value, 1.0 + minutes - k * step) for k in range(count + 1))


STEROID = replace(COMPLETE, medicines=(taking(MedicineKind.STEROID),))
NO_STEROID = COMPLETE
DAILY_CARE = [
    Row(
        "dehydration",
        "stools_over_usual",
        DRY,
        lambda n: {"readings": (stools(n),), "care": USUAL},
        [(4.0, NONE), (5.0, TODAY)],
    ),
    Row(
        "dehydration",
        "stools_far_over_usual",
        DRY,
        lambda n: {"readings": (stools(n),), "care": USUAL},
        [(7.0, TODAY), (8.0, NOW_)],
    ),
    Row(
        "dehydration",
        "stools_hours",
        DRY,
        lambda h: {"readings": (stools(6.0, h),), "care": USUAL},
        [(23.9, TODAY), (24.0, NONE)],
    ),
    Row(
        "dehydration",
        "weight_down_percent",
        DRY,
        lambda p: {"readings": (*lost(p), pressure(100.0))},
        [(2.9, NONE), (3.0, TODAY), (3.1, TODAY)],
    ),
    Row(
        "dehydration",
        "weight_hours",
        DRY,
        lambda h: {"readings": (*lost(4.0, h), pressure(100.0))},
        [(47.9, TODAY), (48.0, NONE)],
    ),
    Row(
        "dehydration",
        "pulse_up_per_min",
        DRY,
        lambda up: {"readings": (pressure(100.0),), "features": nights(60.0 + up)},
        [(19.0, NONE), (20.0, TODAY)],
    ),
    Row(
        "dehydration",
        "usual_nights",
        DRY,
        lambda n: {"readings": (pressure(100.0),), "features": nights(90.0, count=int(n))},
        [(7.0, NONE), (8.0, TODAY)],
    ),
    Row(
        "dehydration",
        "systolic_at_most_mmhg",
        DRY,
        lambda v: {"readings": (*lost(4.0), pressure(v))},
        [(100.0, TODAY), (101.0, NONE)],
    ),
    Row(
        "dehydration",
        "systolic_now_at_most_mmhg",
        DRY,
        lambda v: {"readings": (*lost(4.0), pressure(v))},
        [(90.0, NOW_), (91.0, TODAY)],
    ),
    Row(
        "dehydration",
        "signs_needed",
        DRY,
        lambda n: {"readings": lost(4.0) if n < 2 else (*lost(4.0), pressure(100.0))},
        [(1.0, NONE), (2.0, TODAY)],
    ),
    Row(
        "dehydration",
        "active_hours",
        DRY,
        lambda h: {"readings": (pressure(100.0),), "features": nights(90.0, hours_ago=h)},
        [(24.0, TODAY), (24.1, NONE)],
    ),
    Row("weight_loss", "percent_above", LOSS, lambda p: {"readings": six_months(p)}, [(5.0, NONE), (5.01, WEEK)]),
    Row(
        "weight_loss",
        "percent_above_low_bmi",
        LOSS,
        lambda p: {"readings": six_months(p, height=1.75)},
        [(1.99, NONE), (2.01, WEEK)],
    ),
    Row("weight_loss", "body_mass_index_below", LOSS, thin, [(19.99, WEEK), (20.01, NONE)]),
    Row(
        "weight_loss",
        "months_as_days",
        LOSS,
        lambda d: {"readings": six_months(6.0, days=d)},
        [(181.9, WEEK), (182.1, NONE)],
    ),
    Row(
        "weight_loss",
        "fresh_days",
        LOSS,
        lambda d: {"readings": six_months(6.0, newest=d)},
        [(14.0, WEEK), (14.1, NONE)],
    ),
    Row(
        "weight_loss",
        "unit_suspected_percent",
        LOSS,
        lambda p: {"readings": six_months(p)},
        [(39.9, WEEK), (40.1, NONE)],
    ),
    Row(
        "weight_loss",
        "readings_needed",
        LOSS,
        lambda n: {"readings": six_months(6.0)[: 3 + int(n)]},
        [(1.0, NONE), (2.0, WEEK)],
    ),
    Row("glucose", "low_below_mg_per_dl", LOW, r(codes.GLUCOSE_CAPILLARY), [(69.0, TODAY), (70.0, NONE)]),
    Row("glucose", "low_below_mmol_per_l", LOW, r(codes.GLUCOSE_CAPILLARY_MOLAR), [(3.8, TODAY), (3.9, NONE)]),
    Row("glucose", "very_low_below_mg_per_dl", LOW, r(codes.GLUCOSE_CAPILLARY), [(53.0, NOW_), (54.0, TODAY)]),
    Row("glucose", "very_low_below_mmol_per_l", LOW, r(codes.GLUCOSE_CAPILLARY_MOLAR), [(2.9, NOW_), (3.0, TODAY)]),
    Row(
        "glucose",
        "high_above_mg_per_dl",
        HIGH,
        with_(code=codes.GLUCOSE_CAPILLARY, care=STEROID),
        [(250.0, NONE), (251.0, TODAY)],
    ),
    Row(
        "glucose",
        "high_above_mmol_per_l",
        HIGH,
        with_(code=codes.GLUCOSE_CAPILLARY_MOLAR, care=STEROID),
        [(13.9, NONE), (14.0, TODAY)],
    ),
    Row(
        "glucose",
        "very_high_above_mg_per_dl",
        HIGH,
        with_(code=codes.GLUCOSE_CAPILLARY, care=NO_STEROID),
        [(300.0, NONE), (301.0, TODAY)],
    ),
    Row(
        "glucose",
        "very_high_above_mmol_per_l",
        HIGH,
        with_(code=codes.GLUCOSE_CAPILLARY_MOLAR, care=NO_STEROID),
        [(16.7, NONE), (16.8, TODAY)],
    ),
    Row(
        "glucose",
        "sustained_minutes",
        LOW,
        lambda m: {"readings": sensor(60.0, m, m / 3)},
        [(14.4, NONE), (15.0, TODAY), (15.6, TODAY)],
    ),
    Row("glucose", "gap_minutes", LOW, lambda m: {"readings": sensor(60.0, m, m)}, [(20.0, TODAY), (20.1, NONE)]),
    Row(
        "glucose",
        "active_hours",
        LOW,
        lambda h: {"readings": (reading(codes.GLUCOSE_CAPILLARY, 60.0, 60 * h),)},
        [(6.0, TODAY), (6.02, NONE)],
    ),
    Row(
        "glucose",
        "steroid_acts_hours",
        HIGH,
        lambda h: {
            "readings": (reading(codes.GLUCOSE_CAPILLARY, 260.0),),
            "care": replace(COMPLETE, medicines=(taken_until(MedicineKind.STEROID, h),)),
        },
        [(48.0, TODAY), (48.02, NONE)],
    ),
    Row("qtc", "above_ms", QTC, r(codes.QTC_INTERVAL_FRIDERICIA), [(500.0, NONE), (501.0, TODAY)]),
    Row(
        "qtc",
        "rise_at_least_ms",
        QTC,
        with_(
            code=codes.QTC_INTERVAL_FRIDERICIA, care=replace(ADULT, values_before=(("qtc_interval_fridericia", 400.0),))
        ),
        [(459.0, NONE), (460.0, TODAY)],
    ),
    Row(
        "qtc",
        "fresh_days",
        QTC,
        lambda d: {"readings": (reading(codes.QTC_INTERVAL_FRIDERICIA, 520.0, 1440 * d),)},
        [(7.0, TODAY), (7.01, NONE)],
    ),
]
