"""Boundary rows of the packs ``laboratory``, ``cell_therapy`` and ``data_quality``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from edge_twin import codes
from edge_twin.care import CareContext, LaboratoryRange, MedicineKind
from edge_twin.flag import FlagKind, Urgency
from edge_twin.observation import Observation
from tests.rule_bench import ADULT, NOW, lab, oral, reading, taking
from tests.rule_row import COMPLETE, NONE, NOW_, TODAY, WEEK, Given, Row, with_

LAB = FlagKind.LABORATORY_VALUE
RANGED = replace(ADULT, laboratory_ranges=(LaboratoryRange("creatinine", 0.6, 1.0),))
BEFORE = replace(ADULT, values_before=(("creatinine", 1.0),))


def blood(code: codes.Code, **given: Any) -> Callable[[float], Given]:  # noqa: ANN401 - passed on
    return lambda value: {"readings": (lab(code, value),), **given}


LABORATORY = [
    Row(
        "laboratory",
        "fresh_hours",
        f"{LAB}/platelets",
        lambda h: {"readings": (lab(codes.PLATELETS, 5.0, h),)},
        [(48.0, NOW_), (48.1, NONE)],
    ),
    Row(
        "laboratory_absolute_neutrophil_count",
        "this_week_below",
        f"{LAB}/absolute_neutrophil_count",
        blood(codes.NEUTROPHILS),
        [(0.99, WEEK), (1.0, NONE)],
    ),
    Row("laboratory_platelets", "now_below", f"{LAB}/platelets", blood(codes.PLATELETS), [(9.9, NOW_), (10.0, TODAY)]),
    Row(
        "laboratory_platelets", "today_below", f"{LAB}/platelets", blood(codes.PLATELETS), [(24.9, TODAY), (25.0, WEEK)]
    ),
    Row(
        "laboratory_platelets",
        "this_week_below",
        f"{LAB}/platelets",
        blood(codes.PLATELETS),
        [(49.9, WEEK), (50.0, NONE)],
    ),
    Row(
        "laboratory_haemoglobin",
        "today_below",
        f"{LAB}/haemoglobin",
        blood(codes.HAEMOGLOBIN),
        [(6.9, TODAY), (7.0, WEEK)],
    ),
    Row(
        "laboratory_haemoglobin",
        "this_week_below",
        f"{LAB}/haemoglobin",
        blood(codes.HAEMOGLOBIN),
        [(7.9, WEEK), (8.0, NONE)],
    ),
    Row(
        "laboratory_lymphocyte_count",
        "this_week_below",
        f"{LAB}/lymphocyte_count",
        blood(codes.LYMPHOCYTES),
        [(0.19, WEEK), (0.2, NONE)],
    ),
    Row(
        "laboratory_creatinine",
        "today_above_limits",
        f"{LAB}/creatinine",
        blood(codes.CREATININE, care=RANGED),
        [(3.0, WEEK), (3.01, TODAY)],
    ),
    Row(
        "laboratory_creatinine",
        "this_week_above_limits",
        f"{LAB}/creatinine",
        blood(codes.CREATININE, care=RANGED),
        [(1.5, NONE), (1.51, WEEK)],
    ),
    Row(
        "laboratory_creatinine",
        "today_above_baselines",
        f"{LAB}/creatinine",
        blood(codes.CREATININE, care=BEFORE),
        [(3.0, WEEK), (3.01, TODAY)],
    ),
    Row(
        "laboratory_creatinine",
        "this_week_above_baselines",
        f"{LAB}/creatinine",
        blood(codes.CREATININE, care=BEFORE),
        [(1.5, NONE), (1.51, WEEK)],
    ),
]


CRS, MISSED = FlagKind.CYTOKINE_RELEASE, FlagKind.CHECK_MISSED
INFUSED = replace(COMPLETE, cell_therapy=(NOW - timedelta(days=3),))
TREATED = replace(INFUSED, medicines=(taking(MedicineKind.STEROID),))


def infused(days: float) -> CareContext:
    return replace(COMPLETE, cell_therapy=(NOW - timedelta(days=days),))


CELL_THERAPY = [
    Row(
        "cell_therapy",
        "fever_at_least_cel",
        CRS,
        lambda v: {"readings": (oral(v),), "care": INFUSED},
        [(37.9, NONE), (38.0, NOW_)],
    ),
    Row(
        "cell_therapy",
        "systolic_below_mmhg",
        CRS,
        with_(code=codes.SYSTOLIC_PRESSURE, care=TREATED),
        [(89.0, NOW_), (90.0, NONE)],
    ),
    Row(
        "cell_therapy",
        "saturation_at_most_percent",
        CRS,
        with_(code=codes.OXYGEN_SATURATION, care=TREATED),
        [(91.0, NOW_), (92.0, NONE)],
    ),
    Row(
        "cell_therapy",
        "saturation_target_at_most_percent",
        CRS,
        with_(code=codes.OXYGEN_SATURATION, care=replace(TREATED, saturation_target_88_92=True)),
        [(87.0, NOW_), (88.0, NONE)],
    ),
    Row(
        "cell_therapy",
        "oxygen_above_l_per_min",
        CRS,
        with_(code=codes.OXYGEN_FLOW, care=TREATED),
        [(0.0, NONE), (0.5, NOW_)],
    ),
    Row(
        "cell_therapy",
        "watch_days",
        CRS,
        lambda d: {"readings": (oral(38.5),), "care": infused(d)},
        [(30.0, NOW_), (30.01, NONE)],
    ),
    Row(
        "cell_therapy",
        "active_hours",
        CRS,
        lambda h: {"readings": (oral(38.5, 60 * h),), "care": INFUSED},
        [(24.0, NOW_), (24.02, NONE)],
    ),
    Row(
        "cell_therapy",
        "check_days",
        MISSED,
        lambda d: {"readings": (oral(37.0, 60 * 13.0),), "care": infused(d)},
        [(14.0, TODAY), (14.01, NONE)],
    ),
    Row(
        "cell_therapy",
        "check_hours",
        MISSED,
        lambda h: {"readings": (oral(37.0, 60 * h),), "care": INFUSED},
        [(12.0, NONE), (12.02, TODAY)],
    ),
]


BAD, NOTE = FlagKind.DATA_QUALITY, Urgency.NOTE


def flat(count: float, minutes: float) -> tuple[Observation, ...]:
    return tuple(reading(codes.HEART_RATE, 77.0, 1 + minutes * k / (count - 1)) for k in range(int(count)))


DATA_QUALITY = [
    Row(
        "data_quality",
        "active_hours",
        f"{BAD}/heart_rate",
        lambda h: {"readings": (reading(codes.HEART_RATE, 0.0, 60 * h), oral(36.6))},
        [(24.0, NOTE), (24.02, NONE)],
    ),
    Row(
        "data_quality",
        "absent_hours",
        f"{BAD}/all",
        lambda h: {"readings": (lab(codes.PLATELETS, 200.0, h),)},
        [(24.0, NONE), (24.1, NOTE)],
    ),
    Row(
        "data_quality",
        "stuck_minutes",
        f"{BAD}/heart_rate",
        lambda m: {"readings": flat(60, m)},
        [(59.0, NONE), (60.0, NOTE)],
    ),
    Row(
        "data_quality",
        "stuck_readings",
        f"{BAD}/heart_rate",
        lambda n: {"readings": flat(n, 90.0)},
        [(29.0, NONE), (30.0, NOTE)],
    ),
    Row(
        "data_quality",
        "clock_ahead_minutes",
        f"{BAD}/clock",
        lambda m: {"readings": (reading(codes.HEART_RATE, 70.0, -m),)},
        [(5.0, NONE), (5.1, NOTE)],
    ),
]
