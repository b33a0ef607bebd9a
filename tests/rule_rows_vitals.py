"""Boundary rows of the pack ``vital_signs``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edge_twin import codes
from edge_twin.care import CareContext, MedicineKind
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation
from tests.rule_bench import DOSE, oral, reading, taken_until, taking
from tests.rule_row import COMPLETE, NONE, NOW_, TODAY, Given, Row, r, with_

NEWS, QSOFA, OPIOID = FlagKind.EARLY_WARNING_SCORE, FlagKind.SEPSIS_SCREEN, FlagKind.OPIOID_DEPRESSION
ON_OPIOID = replace(COMPLETE, medicines=(taking(MedicineKind.OPIOID),))
SICK = (reading(codes.SYSTOLIC_PRESSURE, 95.0), reading(codes.RESPIRATORY_RATE, 25.0))


def run_of(code: codes.Code, value: float, minutes: float, step: float = 1.0) -> tuple[Observation, ...]:
    """Readings every ``step`` minutes for ``minutes``, then one that is healthy again."""
    count = round(minutes / step)
    low = [reading(code, value, 5.0 + minutes - k * step) for k in range(count + 1)]
    return (*low, reading(code, 20.0 if code is codes.RESPIRATORY_RATE else 97.0, 4.0))


def steady(minutes: float) -> Given:
    """A high pulse now and calm ones before: the median of the window decides."""
    calm = [reading(codes.PULSE_RATE, 70.0, minutes + k) for k in (0.0, 0.01, 0.02)]
    return {"readings": (*calm, *[reading(codes.PULSE_RATE, 140.0, k) for k in (0.0, 0.1)])}


def prodigy(care: CareContext) -> Given:
    return {"readings": (reading(codes.RESPIRATORY_RATE, 8.0),), "care": care}


def points_said(flag: Flag) -> object:
    return next(dict(m.arguments)["points"] for m in flag.says.clinician if m.id.startswith("opioid.prodigy"))


def risk(**facts: Any) -> CareContext:  # noqa: ANN401 - passed on
    quiet: Given = {
        "age_years": 50.0,
        "male": False,
        "opioid_naive": False,
        "sleep_disordered_breathing": False,
        "heart_failure": False,
    }
    return replace(ON_OPIOID, **{**quiet, **facts})


VITAL_SIGNS = [
    Row("news2", "single_points", NEWS, r(codes.PULSE_RATE), [(130.0, NONE), (131.0, TODAY)]),
    Row("news2", "urgent_points", NEWS, with_(oral(39.5), code=codes.PULSE_RATE), [(130.0, NONE), (131.0, NOW_)]),
    Row(
        "news2",
        "emergency_points",
        NEWS,
        with_(
            oral(38.5),
            reading(codes.PULSE_RATE, 131.0),
            reading(codes.SYSTOLIC_PRESSURE, 95.0),
            code=codes.RESPIRATORY_RATE,
        ),
        [(12.0, "urgent_points"), (11.0, "emergency_points")],
        lambda flag: flag.bound.id.partition(".")[2] if flag.bound else "",
    ),
    Row(
        "news2",
        "adult_years",
        f"{NEWS}/not_used",
        lambda age: {"readings": (reading(codes.PULSE_RATE, 131.0),), "care": CareContext(age_years=age)},
        [(15.9, Urgency.NOTE), (16.0, NONE)],
    ),
    Row(
        "news2",
        "active_hours",
        NEWS,
        lambda hours: {"readings": (reading(codes.PULSE_RATE, 131.0, 60 * hours),)},
        [(12.0, TODAY), (12.02, NONE)],
    ),
    Row(
        "news2",
        "window_minutes",
        NEWS,
        lambda minutes: {"readings": (oral(39.5, 0.0), reading(codes.PULSE_RATE, 131.0, minutes))},
        [(30.0, NOW_), (30.1, TODAY)],
    ),
    Row("news2", "steady_minutes", NEWS, steady, [(4.9, NONE), (5.1, TODAY)]),
    Row(
        "qsofa",
        "respiration_at_least_per_min",
        QSOFA,
        with_(SICK[0], code=codes.RESPIRATORY_RATE),
        [(21.0, NONE), (22.0, TODAY)],
    ),
    Row(
        "qsofa",
        "systolic_at_most_mmhg",
        QSOFA,
        with_(SICK[1], code=codes.SYSTOLIC_PRESSURE),
        [(100.0, TODAY), (101.0, NONE)],
    ),
    Row(
        "qsofa", "consciousness_at_least", QSOFA, with_(SICK[0], code=codes.CONSCIOUSNESS), [(0.0, NONE), (1.0, TODAY)]
    ),
    Row(
        "qsofa",
        "criteria_needed",
        QSOFA,
        lambda n: {"readings": SICK[: int(n)], "doses": (DOSE,)},
        [(1.0, NONE), (2.0, NOW_)],
    ),
    Row(
        "opioid",
        "respiration_at_most_per_min",
        OPIOID,
        lambda v: {"readings": run_of(codes.RESPIRATORY_RATE, v, 3.0), "care": ON_OPIOID},
        [(5.0, "respiration_at_most_per_min"), (6.0, "spot_respiration_at_most_per_min")],
        lambda flag: flag.bound.id.partition(".")[2] if flag.bound else "",
    ),
    Row(
        "opioid",
        "spot_respiration_at_most_per_min",
        OPIOID,
        lambda v: {"readings": (reading(codes.RESPIRATORY_RATE, v),), "care": ON_OPIOID},
        [(8.0, NOW_), (9.0, NONE)],
    ),
    Row(
        "opioid",
        "saturation_at_most_percent",
        OPIOID,
        lambda v: {"readings": run_of(codes.OXYGEN_SATURATION, v, 3.0), "care": ON_OPIOID},
        [(85.0, NOW_), (86.0, NONE)],
    ),
    Row(
        "opioid",
        "sustained_minutes",
        OPIOID,
        lambda m: {"readings": run_of(codes.OXYGEN_SATURATION, 80.0, m, m / 3), "care": ON_OPIOID},
        [(2.9, NONE), (3.0, NOW_), (3.3, NOW_)],
    ),
    Row(
        "opioid",
        "gap_seconds",
        OPIOID,
        lambda s: {"readings": run_of(codes.OXYGEN_SATURATION, 80.0, 4 * s / 60, s / 60)[:-1], "care": ON_OPIOID},
        [(90.0, "run"), (91.0, "lone")],
        lambda flag: "run" if len(flag.evidence) > 1 else "lone",
    ),
    Row(
        "opioid",
        "active_hours",
        OPIOID,
        lambda h: {"readings": (reading(codes.RESPIRATORY_RATE, 8.0, 60 * h),), "care": ON_OPIOID},
        [(12.0, NOW_), (12.02, NONE)],
    ),
    Row(
        "opioid",
        "acts_hours",
        OPIOID,
        lambda h: prodigy(replace(COMPLETE, medicines=(taken_until(MedicineKind.OPIOID, h),))),
        [(24.0, NOW_), (24.02, NONE)],
    ),
    Row(
        "opioid",
        "prodigy_age_60_points",
        OPIOID,
        lambda age: prodigy(risk(age_years=age)),
        [(59.9, 0.0), (60.0, 8.0)],
        points_said,
    ),
    Row(
        "opioid",
        "prodigy_age_70_points",
        OPIOID,
        lambda age: prodigy(risk(age_years=age)),
        [(69.9, 8.0), (70.0, 12.0)],
        points_said,
    ),
    Row(
        "opioid",
        "prodigy_age_80_points",
        OPIOID,
        lambda age: prodigy(risk(age_years=age)),
        [(79.9, 12.0), (80.0, 16.0)],
        points_said,
    ),
    Row(
        "opioid",
        "prodigy_male_points",
        OPIOID,
        lambda yes: prodigy(risk(male=bool(yes))),
        [(0.0, 0.0), (1.0, 8.0)],
        points_said,
    ),
    Row(
        "opioid",
        "prodigy_opioid_naive_points",
        OPIOID,
        lambda yes: prodigy(risk(opioid_naive=bool(yes))),
        [(0.0, 0.0), (1.0, 3.0)],
        points_said,
    ),
    Row(
        "opioid",
        "prodigy_sleep_disordered_breathing_points",
        OPIOID,
        lambda yes: prodigy(risk(sleep_disordered_breathing=bool(yes))),
        [(0.0, 0.0), (1.0, 5.0)],
        points_said,
    ),
    Row(
        "opioid",
        "prodigy_heart_failure_points",
        OPIOID,
        lambda yes: prodigy(risk(heart_failure=bool(yes))),
        [(0.0, 0.0), (1.0, 7.0)],
        points_said,
    ),
]
