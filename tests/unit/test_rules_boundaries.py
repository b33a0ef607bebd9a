"""Every threshold of the rule packs at, just below and just above its value; each row's source stands in the pack.

A row says which flag a probe raises and how urgent, stated before any run. The last tests hold that no threshold is
without a row, and that every row notices when its threshold is moved past its probes: a row cannot pass by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from edge_twin import codes
from edge_twin.care import CareContext, LaboratoryRange, MedicineKind
from edge_twin.features import NIGHT_HEART_RATE, Feature
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation, Origin
from edge_twin.program import Program, load_program
from tests.rule_bench import ADULT, DOSE, NOW, flags, found, lab, moved, neutropenia, oral, reading, taking
from tests.unit.test_rules_news2 import BANDS

Given = dict[str, Any]
NONE, NOW_, TODAY, WEEK = None, Urgency.NOW, Urgency.TODAY, Urgency.THIS_WEEK
COMPLETE = replace(ADULT, medicines_complete=True)


@dataclass(frozen=True)
class Row:
    """One threshold: a patient made from a probe, and what each probe must raise.

    Attributes:
        table, name: of the threshold.
        key: of the flag that is looked for.
        make: a probe's value as keyword arguments and readings of a step.
        probes: values with the urgency that is expected; None for no flag.
        see: what of the flag is compared; its urgency unless stated.
    """

    table: str
    name: str
    key: str
    make: Callable[[float], Given]
    probes: Sequence[tuple[float, object]]
    see: Callable[[Flag], object] = lambda flag: flag.urgency

    def outcome(self, value: float, program: Program | None = None) -> object:
        given = self.make(value)
        raised = flags(*given.pop("readings", ()), program=program, **given)
        flag = found(self.key, raised)
        return None if flag is None else self.see(flag)


def r(code: codes.Code, minutes_ago: float = 1.0, **more: Any) -> Callable[[float], Given]:
    """A reading whose value is the probe."""
    return lambda value: {"readings": (reading(code, value, minutes_ago, **more),)}


def with_(*others: Observation, code: codes.Code, **given: Any) -> Callable[[float], Given]:
    return lambda value: {"readings": (*others, reading(code, value)), **given}


def aged(make: Callable[[float], Observation], **given: Any) -> Callable[[float], Given]:
    return lambda value: {"readings": (make(value),), **given}


# ---- vital signs ---------------------------------------------------------------------------------------

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


def risk(**facts: Any) -> CareContext:
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
        with_(oral(38.5), reading(codes.PULSE_RATE, 131.0), reading(codes.SYSTOLIC_PRESSURE, 95.0), code=codes.RESPIRATORY_RATE),
        [(12.0, "urgent_points"), (11.0, "emergency_points")],
        lambda flag: flag.bound.id.partition(".")[2] if flag.bound else "",
    ),
    Row("news2", "adult_years", f"{NEWS}/not_used", lambda age: {"readings": (reading(codes.PULSE_RATE, 131.0),), "care": CareContext(age_years=age)}, [(15.9, Urgency.NOTE), (16.0, NONE)]),
    Row("news2", "active_hours", NEWS, lambda hours: {"readings": (reading(codes.PULSE_RATE, 131.0, 60 * hours),)}, [(12.0, TODAY), (12.02, NONE)]),
    Row("news2", "window_minutes", NEWS, lambda minutes: {"readings": (oral(39.5, 0.0), reading(codes.PULSE_RATE, 131.0, minutes))}, [(30.0, NOW_), (30.1, TODAY)]),
    Row("news2", "steady_minutes", NEWS, steady, [(4.9, NONE), (5.1, TODAY)]),
    Row("qsofa", "respiration_at_least_per_min", QSOFA, with_(SICK[0], code=codes.RESPIRATORY_RATE), [(21.0, NONE), (22.0, TODAY)]),
    Row("qsofa", "systolic_at_most_mmhg", QSOFA, with_(SICK[1], code=codes.SYSTOLIC_PRESSURE), [(100.0, TODAY), (101.0, NONE)]),
    Row("qsofa", "consciousness_at_least", QSOFA, with_(SICK[0], code=codes.CONSCIOUSNESS), [(0.0, NONE), (1.0, TODAY)]),
    Row("qsofa", "criteria_needed", QSOFA, lambda n: {"readings": SICK[: int(n)], "doses": (DOSE,)}, [(1.0, NONE), (2.0, NOW_)]),
    Row("opioid", "respiration_at_most_per_min", OPIOID, lambda v: {"readings": run_of(codes.RESPIRATORY_RATE, v, 3.0), "care": ON_OPIOID}, [(5.0, "respiration_at_most_per_min"), (6.0, "spot_respiration_at_most_per_min")], lambda flag: flag.bound.id.partition(".")[2] if flag.bound else ""),
    Row("opioid", "spot_respiration_at_most_per_min", OPIOID, lambda v: {"readings": (reading(codes.RESPIRATORY_RATE, v),), "care": ON_OPIOID}, [(8.0, NOW_), (9.0, NONE)]),
    Row("opioid", "saturation_at_most_percent", OPIOID, lambda v: {"readings": run_of(codes.OXYGEN_SATURATION, v, 3.0), "care": ON_OPIOID}, [(85.0, NOW_), (86.0, NONE)]),
    Row("opioid", "sustained_minutes", OPIOID, lambda m: {"readings": run_of(codes.OXYGEN_SATURATION, 80.0, m, m / 3), "care": ON_OPIOID}, [(2.9, NONE), (3.0, NOW_), (3.3, NOW_)]),
    Row("opioid", "gap_seconds", OPIOID, lambda s: {"readings": run_of(codes.OXYGEN_SATURATION, 80.0, 4 * s / 60, s / 60)[:-1], "care": ON_OPIOID}, [(90.0, "run"), (91.0, "lone")], lambda flag: "run" if len(flag.evidence) > 1 else "lone"),
    Row("opioid", "active_hours", OPIOID, lambda h: {"readings": (reading(codes.RESPIRATORY_RATE, 8.0, 60 * h),), "care": ON_OPIOID}, [(12.0, NOW_), (12.02, NONE)]),
    Row("opioid", "prodigy_age_60_points", OPIOID, lambda age: prodigy(risk(age_years=age)), [(59.9, 0.0), (60.0, 8.0)], points_said),
    Row("opioid", "prodigy_age_70_points", OPIOID, lambda age: prodigy(risk(age_years=age)), [(69.9, 8.0), (70.0, 12.0)], points_said),
    Row("opioid", "prodigy_age_80_points", OPIOID, lambda age: prodigy(risk(age_years=age)), [(79.9, 12.0), (80.0, 16.0)], points_said),
    Row("opioid", "prodigy_male_points", OPIOID, lambda yes: prodigy(risk(male=bool(yes))), [(0.0, 0.0), (1.0, 8.0)], points_said),
    Row("opioid", "prodigy_opioid_naive_points", OPIOID, lambda yes: prodigy(risk(opioid_naive=bool(yes))), [(0.0, 0.0), (1.0, 3.0)], points_said),
    Row("opioid", "prodigy_sleep_disordered_breathing_points", OPIOID, lambda yes: prodigy(risk(sleep_disordered_breathing=bool(yes))), [(0.0, 0.0), (1.0, 5.0)], points_said),
    Row("opioid", "prodigy_heart_failure_points", OPIOID, lambda yes: prodigy(risk(heart_failure=bool(yes))), [(0.0, 0.0), (1.0, 7.0)], points_said),
]  # fmt: skip

# ---- laboratory ----------------------------------------------------------------------------------------

LAB = FlagKind.LABORATORY_VALUE
RANGED = replace(ADULT, laboratory_ranges=(LaboratoryRange("creatinine", 0.6, 1.0),))
BEFORE = replace(ADULT, values_before=(("creatinine", 1.0),))


def blood(code: codes.Code, **given: Any) -> Callable[[float], Given]:
    return lambda value: {"readings": (lab(code, value),), **given}


LABORATORY = [
    Row("laboratory", "fresh_hours", f"{LAB}/platelets", lambda h: {"readings": (lab(codes.PLATELETS, 5.0, h),)}, [(48.0, NOW_), (48.1, NONE)]),
    Row("laboratory_absolute_neutrophil_count", "this_week_below", f"{LAB}/absolute_neutrophil_count", blood(codes.NEUTROPHILS), [(0.99, WEEK), (1.0, NONE)]),
    Row("laboratory_platelets", "now_below", f"{LAB}/platelets", blood(codes.PLATELETS), [(9.9, NOW_), (10.0, TODAY)]),
    Row("laboratory_platelets", "today_below", f"{LAB}/platelets", blood(codes.PLATELETS), [(24.9, TODAY), (25.0, WEEK)]),
    Row("laboratory_platelets", "this_week_below", f"{LAB}/platelets", blood(codes.PLATELETS), [(49.9, WEEK), (50.0, NONE)]),
    Row("laboratory_haemoglobin", "today_below", f"{LAB}/haemoglobin", blood(codes.HAEMOGLOBIN), [(6.9, TODAY), (7.0, WEEK)]),
    Row("laboratory_haemoglobin", "this_week_below", f"{LAB}/haemoglobin", blood(codes.HAEMOGLOBIN), [(7.9, WEEK), (8.0, NONE)]),
    Row("laboratory_lymphocyte_count", "this_week_below", f"{LAB}/lymphocyte_count", blood(codes.LYMPHOCYTES), [(0.19, WEEK), (0.2, NONE)]),
    Row("laboratory_creatinine", "today_above_limits", f"{LAB}/creatinine", blood(codes.CREATININE, care=RANGED), [(3.0, WEEK), (3.01, TODAY)]),
    Row("laboratory_creatinine", "this_week_above_limits", f"{LAB}/creatinine", blood(codes.CREATININE, care=RANGED), [(1.5, NONE), (1.51, WEEK)]),
    Row("laboratory_creatinine", "today_above_baselines", f"{LAB}/creatinine", blood(codes.CREATININE, care=BEFORE), [(3.0, WEEK), (3.01, TODAY)]),
    Row("laboratory_creatinine", "this_week_above_baselines", f"{LAB}/creatinine", blood(codes.CREATININE, care=BEFORE), [(1.5, NONE), (1.51, WEEK)]),
]  # fmt: skip

# ---- cell therapy --------------------------------------------------------------------------------------

CRS, MISSED = FlagKind.CYTOKINE_RELEASE, FlagKind.CHECK_MISSED
INFUSED = replace(COMPLETE, cell_therapy=(NOW - timedelta(days=3),))
TREATED = replace(INFUSED, medicines=(taking(MedicineKind.STEROID),))


def infused(days: float) -> CareContext:
    return replace(COMPLETE, cell_therapy=(NOW - timedelta(days=days),))


CELL_THERAPY = [
    Row("cell_therapy", "fever_at_least_cel", CRS, lambda v: {"readings": (oral(v),), "care": INFUSED}, [(37.9, NONE), (38.0, NOW_)]),
    Row("cell_therapy", "systolic_below_mmhg", CRS, with_(code=codes.SYSTOLIC_PRESSURE, care=TREATED), [(89.0, NOW_), (90.0, NONE)]),
    Row("cell_therapy", "saturation_at_most_percent", CRS, with_(code=codes.OXYGEN_SATURATION, care=TREATED), [(91.0, NOW_), (92.0, NONE)]),
    Row("cell_therapy", "saturation_target_at_most_percent", CRS, with_(code=codes.OXYGEN_SATURATION, care=replace(TREATED, saturation_target_88_92=True)), [(87.0, NOW_), (88.0, NONE)]),
    Row("cell_therapy", "oxygen_above_l_per_min", CRS, with_(code=codes.OXYGEN_FLOW, care=TREATED), [(0.0, NONE), (0.5, NOW_)]),
    Row("cell_therapy", "watch_days", CRS, lambda d: {"readings": (oral(38.5),), "care": infused(d)}, [(30.0, NOW_), (30.01, NONE)]),
    Row("cell_therapy", "active_hours", CRS, lambda h: {"readings": (oral(38.5, 60 * h),), "care": INFUSED}, [(24.0, NOW_), (24.02, NONE)]),
    Row("cell_therapy", "check_days", MISSED, lambda d: {"readings": (oral(37.0, 60 * 13.0),), "care": infused(d)}, [(14.0, TODAY), (14.01, NONE)]),
    Row("cell_therapy", "check_hours", MISSED, lambda h: {"readings": (oral(37.0, 60 * h),), "care": INFUSED}, [(12.0, NONE), (12.02, TODAY)]),
]  # fmt: skip

# ---- daily care ----------------------------------------------------------------------------------------

DRY, LOSS, HIGH, LOW, QTC = (
    FlagKind.DEHYDRATION, FlagKind.WEIGHT_LOSS, FlagKind.GLUCOSE_HIGH, FlagKind.GLUCOSE_LOW, FlagKind.QTC_PROLONGED,
)  # fmt: skip
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


def six_months(percent: float, *, height: float | None = None, days: float = 150.0, newest: float = 1.0, count: int = 3) -> tuple[Observation, ...]:
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
    Row("dehydration", "stools_over_usual", DRY, lambda n: {"readings": (stools(n),), "care": USUAL}, [(4.0, NONE), (5.0, TODAY)]),
    Row("dehydration", "stools_far_over_usual", DRY, lambda n: {"readings": (stools(n),), "care": USUAL}, [(7.0, TODAY), (8.0, NOW_)]),
    Row("dehydration", "stools_hours", DRY, lambda h: {"readings": (stools(6.0, h),), "care": USUAL}, [(23.9, TODAY), (24.0, NONE)]),
    Row("dehydration", "weight_down_percent", DRY, lambda p: {"readings": (*lost(p), pressure(100.0))}, [(2.9, NONE), (3.0, TODAY), (3.1, TODAY)]),
    Row("dehydration", "weight_hours", DRY, lambda h: {"readings": (*lost(4.0, h), pressure(100.0))}, [(47.9, TODAY), (48.0, NONE)]),
    Row("dehydration", "pulse_up_per_min", DRY, lambda up: {"readings": (pressure(100.0),), "features": nights(60.0 + up)}, [(19.0, NONE), (20.0, TODAY)]),
    Row("dehydration", "usual_nights", DRY, lambda n: {"readings": (pressure(100.0),), "features": nights(90.0, count=int(n))}, [(7.0, NONE), (8.0, TODAY)]),
    Row("dehydration", "systolic_at_most_mmhg", DRY, lambda v: {"readings": (*lost(4.0), pressure(v))}, [(100.0, TODAY), (101.0, NONE)]),
    Row("dehydration", "systolic_now_at_most_mmhg", DRY, lambda v: {"readings": (*lost(4.0), pressure(v))}, [(90.0, NOW_), (91.0, TODAY)]),
    Row("dehydration", "signs_needed", DRY, lambda n: {"readings": lost(4.0) if n < 2 else (*lost(4.0), pressure(100.0))}, [(1.0, NONE), (2.0, TODAY)]),
    Row("dehydration", "active_hours", DRY, lambda h: {"readings": (pressure(100.0),), "features": nights(90.0, hours_ago=h)}, [(24.0, TODAY), (24.1, NONE)]),
    Row("weight_loss", "percent_above", LOSS, lambda p: {"readings": six_months(p)}, [(5.0, NONE), (5.01, WEEK)]),
    Row("weight_loss", "percent_above_low_bmi", LOSS, lambda p: {"readings": six_months(p, height=1.75)}, [(1.99, NONE), (2.01, WEEK)]),
    Row("weight_loss", "body_mass_index_below", LOSS, thin, [(19.99, WEEK), (20.01, NONE)]),
    Row("weight_loss", "months_as_days", LOSS, lambda d: {"readings": six_months(6.0, days=d)}, [(181.9, WEEK), (182.1, NONE)]),
    Row("weight_loss", "fresh_days", LOSS, lambda d: {"readings": six_months(6.0, newest=d)}, [(14.0, WEEK), (14.1, NONE)]),
    Row("weight_loss", "readings_needed", LOSS, lambda n: {"readings": six_months(6.0)[: 3 + int(n)]}, [(1.0, NONE), (2.0, WEEK)]),
    Row("glucose", "low_below_mg_per_dl", LOW, r(codes.GLUCOSE_CAPILLARY), [(69.0, TODAY), (70.0, NONE)]),
    Row("glucose", "low_below_mmol_per_l", LOW, r(codes.GLUCOSE_CAPILLARY_MOLAR), [(3.8, TODAY), (3.9, NONE)]),
    Row("glucose", "very_low_below_mg_per_dl", LOW, r(codes.GLUCOSE_CAPILLARY), [(53.0, NOW_), (54.0, TODAY)]),
    Row("glucose", "very_low_below_mmol_per_l", LOW, r(codes.GLUCOSE_CAPILLARY_MOLAR), [(2.9, NOW_), (3.0, TODAY)]),
    Row("glucose", "high_above_mg_per_dl", HIGH, with_(code=codes.GLUCOSE_CAPILLARY, care=STEROID), [(250.0, NONE), (251.0, TODAY)]),
    Row("glucose", "high_above_mmol_per_l", HIGH, with_(code=codes.GLUCOSE_CAPILLARY_MOLAR, care=STEROID), [(13.9, NONE), (14.0, TODAY)]),
    Row("glucose", "very_high_above_mg_per_dl", HIGH, with_(code=codes.GLUCOSE_CAPILLARY, care=NO_STEROID), [(300.0, NONE), (301.0, TODAY)]),
    Row("glucose", "very_high_above_mmol_per_l", HIGH, with_(code=codes.GLUCOSE_CAPILLARY_MOLAR, care=NO_STEROID), [(16.7, NONE), (16.8, TODAY)]),
    Row("glucose", "sustained_minutes", LOW, lambda m: {"readings": sensor(60.0, m, m / 3)}, [(14.4, NONE), (15.0, TODAY), (15.6, TODAY)]),
    Row("glucose", "gap_minutes", LOW, lambda m: {"readings": sensor(60.0, m, m)}, [(20.0, TODAY), (20.1, NONE)]),
    Row("glucose", "active_hours", LOW, lambda h: {"readings": (reading(codes.GLUCOSE_CAPILLARY, 60.0, 60 * h),)}, [(6.0, TODAY), (6.02, NONE)]),
    Row("qtc", "above_ms", QTC, r(codes.QTC_INTERVAL_FRIDERICIA), [(500.0, NONE), (501.0, TODAY)]),
    Row("qtc", "rise_at_least_ms", QTC, with_(code=codes.QTC_INTERVAL_FRIDERICIA, care=replace(ADULT, values_before=(("qtc_interval_fridericia", 400.0),))), [(459.0, NONE), (460.0, TODAY)]),
    Row("qtc", "fresh_days", QTC, lambda d: {"readings": (reading(codes.QTC_INTERVAL_FRIDERICIA, 520.0, 1440 * d),)}, [(7.0, TODAY), (7.01, NONE)]),
]  # fmt: skip

# ---- data quality --------------------------------------------------------------------------------------

BAD, NOTE = FlagKind.DATA_QUALITY, Urgency.NOTE


def flat(count: float, minutes: float) -> tuple[Observation, ...]:
    return tuple(reading(codes.HEART_RATE, 77.0, 1 + minutes * k / (count - 1)) for k in range(int(count)))


DATA_QUALITY = [
    Row("data_quality", "active_hours", f"{BAD}/heart_rate", lambda h: {"readings": (reading(codes.HEART_RATE, 0.0, 60 * h), oral(36.6))}, [(24.0, NOTE), (24.02, NONE)]),
    Row("data_quality", "absent_hours", f"{BAD}/all", lambda h: {"readings": (lab(codes.PLATELETS, 200.0, h),)}, [(24.0, NONE), (24.1, NOTE)]),
    Row("data_quality", "stuck_minutes", f"{BAD}/heart_rate", lambda m: {"readings": flat(60, m)}, [(59.0, NONE), (60.0, NOTE)]),
    Row("data_quality", "stuck_readings", f"{BAD}/heart_rate", lambda n: {"readings": flat(n, 90.0)}, [(29.0, NONE), (30.0, NOTE)]),
    Row("data_quality", "clock_ahead_minutes", f"{BAD}/clock", lambda m: {"readings": (reading(codes.HEART_RATE, 70.0, -m),)}, [(5.0, NONE), (5.1, NOTE)]),
]  # fmt: skip

ROWS = [*VITAL_SIGNS, *LABORATORY, *CELL_THERAPY, *DAILY_CARE, *DATA_QUALITY]
# Thresholds whose boundaries have a test of their own form elsewhere.
DEFINITIONS = "fever_idsa_2010", "fever_asco", "fever_ctcae_5_0", "fever_cisne"  # test_rules_fever_definitions.py
SHADOWED = {("laboratory_absolute_neutrophil_count", "today_below")}  # below, in the program that watches leukocytes
PACKS = "news2", "qsofa", "opioid", "laboratory", "cell_therapy", "dehydration", "weight_loss", "glucose", "qtc", "data_quality"  # fmt: skip


@pytest.mark.parametrize(
    ("row", "value", "expected"),
    [pytest.param(row, value, wanted, id=f"{row.table}.{row.name}={value:g}") for row in ROWS for value, wanted in row.probes],
)
def test_boundary(row: Row, value: float, expected: object) -> None:
    assert row.outcome(value) == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}.{row.name}")
def test_a_row_notices_a_moved_threshold(row: Row) -> None:
    """A threshold moved well past the probes, up or down, changes what at least one of them raises."""
    value = neutropenia().threshold(row.table, row.name)
    changed = 0
    for other in (0.4 * value if value else -3.0, 4.0 * value + 3.0):
        program = moved(row.table, row.name, other)
        changed += any(row.outcome(probe, program) != wanted for probe, wanted in row.probes)
    assert changed > 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.table}.{row.name}")
def test_probes_lie_on_both_sides(row: Row) -> None:
    assert len({str(wanted) for _, wanted in row.probes}) > 1


def test_every_threshold_of_the_packs_has_a_boundary_test() -> None:
    tables = neutropenia().thresholds
    own = {"fever", "forecast", "resting_heart_rate"}
    there = {(table, name) for table, rows in tables.items() if table not in own for name in rows}
    tested = {(row.table, row.name) for row in ROWS} | SHADOWED
    tested |= {(table, name) for table in BANDS for name in tables[table]}  # tests/unit/test_rules_news2.py
    tested |= {(table, name) for table in DEFINITIONS for name in tables[table]}
    assert there - tested == set()
    assert tested - there == set()


@pytest.mark.parametrize(("value", "urgency"), [(0.49, TODAY), (0.5, WEEK), (0.99, WEEK), (1.0, NONE)])
def test_neutrophils_where_the_program_watches_leukocytes(value: float, urgency: Urgency | None) -> None:
    """laboratory_absolute_neutrophil_count.today_below: CTCAE v5 grade 4 range, v6 grade 3 range."""
    raised = flags(lab(codes.NEUTROPHILS, value), program=load_program("aml"))
    flag = found(f"{LAB}/absolute_neutrophil_count", raised)
    assert (flag.urgency if flag else None) == urgency


def test_the_programs_own_rule_speaks_alone_about_its_count() -> None:
    raised = flags(lab(codes.NEUTROPHILS, 0.3))
    assert [flag.kind for flag in raised] == [FlagKind.NEUTROPHILS_LOW]
