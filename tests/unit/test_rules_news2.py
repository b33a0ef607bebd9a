"""NEWS2 (Royal College of Physicians 2017, chart 1): every band at its limit and just beyond; full and partial."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.care import CareContext
from edge_twin.flag import FlagKind, Urgency
from edge_twin.flags.news2 import charted, points, score
from edge_twin.flags.vitals import ITEMS, Vital
from edge_twin.observation import Observation, Site
from tests.rule_bench import ADULT, flags, found, moved, neutropenia, oral, reading

KEY = FlagKind.EARLY_WARNING_SCORE.value
BANDS: dict[str, list[tuple[float, int]]] = {
    "news2_respiration": [(8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)],
    "news2_saturation": [(91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0)],
    "news2_saturation_2_air": [(83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 0), (97, 0)],
    "news2_saturation_2_oxygen": [
        (83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 1), (94, 1), (95, 2), (96, 2), (97, 3),
    ],
    "news2_oxygen": [(0, 0), (0.25, 2), (2, 2)],
    "news2_systolic": [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)],
    "news2_pulse": [(40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3)],
    "news2_consciousness": [(0, 0), (1, 3), (2, 3), (3, 3), (4, 3)],
    "news2_temperature": [(35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1), (39.1, 2)],
}  # fmt: skip
DECIMALS = {"news2_temperature": 1, "news2_oxygen": 3}
CODES = {
    "respiration": codes.RESPIRATORY_RATE,
    "saturation": codes.OXYGEN_SATURATION,
    "oxygen": codes.OXYGEN_FLOW,
    "systolic": codes.SYSTOLIC_PRESSURE,
    "pulse": codes.PULSE_RATE,
    "consciousness": codes.CONSCIOUSNESS,
}


@pytest.mark.parametrize(("table", "value", "expected"), [(t, v, p) for t, rows in BANDS.items() for v, p in rows])
def test_band_of_the_chart(table: str, value: float, expected: int) -> None:
    assert points(neutropenia().thresholds[table], value, DECIMALS.get(table, 0)) == expected


@pytest.mark.parametrize(("table", "name"), [(t, n) for t in BANDS for n in neutropenia().thresholds[t]], ids=str)
def test_every_limit_of_a_band_is_noticed_when_it_moves_by_one_unit(table: str, name: str) -> None:
    decimals, rows = DECIMALS.get(table, 0), neutropenia().thresholds[table]
    step = {"news2_temperature": 0.1, "news2_oxygen": 0.25}.get(table, 1.0) if name.endswith("at_most") else 1.0
    for change in (-step, step):
        changed = moved(table, name, rows[name].value + change).thresholds[table]
        assert [points(changed, v, decimals) for v, _ in BANDS[table]] != [p for _, p in BANDS[table]]


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (38.05, 1, 381),
        (38.049, 1, 380),
        (38.95, 1, 390),
        (35.04999, 1, 350),
        (90.5, 0, 91),
        (90.49, 0, 90),
        (0.5, 0, 1),
    ],
)
def test_values_are_rounded_to_the_chart_in_decimal(value: float, decimals: int, expected: int) -> None:
    assert charted(value, decimals) == expected


@given(st.integers(0, 450), st.integers(0, 9))
def test_a_tenth_of_a_degree_is_what_its_digits_say(tenths: int, hundredth: int) -> None:
    assert charted(float(f"{tenths // 10}.{tenths % 10}{hundredth}"), 1) == tenths + (hundredth >= 5)


def vitals(**values: float) -> list[Observation]:
    return [oral(value) if item == "temperature" else reading(CODES[item], value) for item, value in values.items()]


HEALTHY = {
    "respiration": 16, "saturation": 97, "oxygen": 0, "systolic": 120, "pulse": 70, "consciousness": 0,
    "temperature": 37.0,
}  # fmt: skip
CHARTED = list(HEALTHY)
VECTORS = [
    (dict(zip(CHARTED, (22, 95, 0, 105, 115, 0, 38.5), strict=True)), 7),
    (HEALTHY, 0),
    (dict(zip(CHARTED, (25, 91, 2, 90, 131, 2, 35.0), strict=True)), 20),
]


@pytest.mark.parametrize(("values", "expected"), VECTORS)
def test_totals_of_all_seven_items(values: dict[str, float], expected: int) -> None:
    readings = vitals(**values)
    kinds = {item: Vital(item, r.value, r) for item, r in zip(values, readings, strict=True)}
    result = score(neutropenia().thresholds, kinds, scale_2=False)
    assert (result.points, result.is_total) == (expected, True)


@pytest.mark.parametrize(
    ("values", "urgency"),
    [
        (HEALTHY, None),
        (HEALTHY | {"respiration": 21, "pulse": 115}, None),  # 4 points
        (HEALTHY | {"respiration": 21, "pulse": 115, "temperature": 38.1}, Urgency.NOW),  # 5 points
        (HEALTHY | {"pulse": 130}, None),
        (HEALTHY | {"pulse": 131}, Urgency.TODAY),  # a single 3
        (HEALTHY | {"consciousness": 1}, Urgency.NOW),
        (VECTORS[0][0], Urgency.NOW),
    ],
)
def test_hz_news_01_how_soon_to_act(values: dict[str, float], urgency: Urgency | None) -> None:
    flag = found(KEY, flags(*vitals(**values)))
    assert (flag.urgency if flag else None) == urgency


def test_seven_points_and_more_call_the_emergency_number() -> None:
    six, seven = {**VECTORS[0][0], "temperature": 37.0}, VECTORS[0][0]
    flag, emergency = (found(KEY, flags(*vitals(**values))) for values in (six, seven))
    assert flag is not None
    assert emergency is not None
    assert flag.action.startswith("Call your team now")
    assert emergency.action.startswith("Call the emergency number")
    assert emergency.clinician.startswith("NEWS2 7 of 20.")


def test_hz_news_02_a_single_pulse_is_a_lower_bound_with_what_is_missing() -> None:
    flag = found(KEY, flags(*vitals(pulse=131)))
    assert flag is not None
    assert flag.urgency is Urgency.TODAY
    assert (
        "Partial NEWS2 at least 3, from 1 of 7 measurements; missing: breathing rate, oxygen saturation" in flag.reason
    )
    assert not re.search(r"\b(low|yellow|orange|red|green)\b", (flag.reason + flag.clinician).lower())


@pytest.mark.parametrize("left_out", list(ITEMS))
def test_no_total_without_all_seven(left_out: str) -> None:
    values = {item: value for item, value in VECTORS[2][0].items() if item != left_out}
    flag = found(KEY, flags(*vitals(**values)))
    assert flag is not None
    assert "at least" in flag.reason
    assert "from 6 of 7" in flag.reason
    assert " of 20" not in flag.reason + flag.clinician


@pytest.mark.parametrize(("minutes", "known"), [(30.0, "from 2 of 7"), (31.0, "from 1 of 7")])
def test_measurements_belong_together_for_half_an_hour(minutes: float, known: str) -> None:
    """[C] docs/clinical-rules.md: a total exists only within 30 minutes."""
    flag = found(KEY, flags(reading(codes.PULSE_RATE, 131, 1.0), oral(37.0, 1.0 + minutes)))
    assert flag is not None
    assert known in flag.reason


@pytest.mark.parametrize(("value", "oxygen", "expected"), [(97, 0, 0), (92, 2, 2), (93, 2, 3), (97, 2, 5), (88, 0, 0)])
def test_scale_2_only_where_a_clinician_set_the_target(value: float, oxygen: float, expected: int) -> None:
    readings = vitals(saturation=value, oxygen=oxygen)
    kinds = {item: Vital(item, r.value, r) for item, r in zip(("saturation", "oxygen"), readings, strict=True)}
    assert score(neutropenia().thresholds, kinds, scale_2=True).points == expected


def test_the_scale_comes_from_the_clinic_alone() -> None:
    low = vitals(saturation=88)
    assert found(KEY, flags(*low)) is not None
    assert found(KEY, flags(*low, care=replace(ADULT, saturation_target_88_92=True))) is None


@pytest.mark.parametrize(("age", "used"), [(15.9, False), (16.0, True)])
def test_hz_news_03_not_below_16_years(age: float, used: bool) -> None:  # noqa: FBT001 - parametrised
    raised = flags(*vitals(pulse=131), care=CareContext(age_years=age, pregnant=False))
    refused = found(f"{KEY}/not_used", raised)
    assert (refused is None) is used
    assert (found(KEY, raised) is not None) is used
    if refused:
        assert "not used below 16 years" in refused.reason


def test_hz_news_03_not_in_pregnancy() -> None:
    raised = flags(*vitals(pulse=131), care=replace(ADULT, pregnant=True))
    refused = found(f"{KEY}/not_used", raised)
    assert refused is not None
    assert "not used in pregnancy" in refused.reason
    assert found(KEY, raised) is None


def test_what_is_not_known_about_the_patient_is_said() -> None:
    flag = found(KEY, flags(*vitals(pulse=131), care=CareContext()))
    assert flag is not None
    assert [m.id for m in flag.says.data_quality] == [
        "news2.missing_adds_nothing", "news2.age_unknown", "news2.pregnancy_unknown",
    ]  # fmt: skip


def test_a_warm_skin_is_no_temperature_of_the_score() -> None:
    skin = oral(39.5, site=Site.SKIN)
    flag = found(KEY, flags(*vitals(pulse=131), skin))
    assert flag is not None
    assert "from 1 of 7" in flag.reason


def test_one_swing_of_a_strap_is_no_pulse_and_a_run_is_no_rest() -> None:
    swing = [reading(codes.HEART_RATE, 160.0 if k == 5 else 72.0, 5.0 - k / 2) for k in range(10)]
    assert found(KEY, flags(*swing)) is None
    running = [reading(codes.HEART_RATE, 150.0, 5.0 - k / 2) for k in range(10)]
    unknown = found(KEY, flags(*running))
    assert unknown is not None
    assert "news2.rest_unknown" in [message.id for message in unknown.says.data_quality]
    still = found(KEY, flags(*running, reading(codes.STEPS, 30.0, 60.0)))
    assert still is not None
    assert "news2.rest_unknown" not in [message.id for message in still.says.data_quality]
    assert found(KEY, flags(*running, reading(codes.STEPS, 400.0, 4.0))) is None


@given(st.dictionaries(st.sampled_from(list(ITEMS)), st.floats(0.0, 300.0), min_size=1))
def test_a_further_item_never_lowers_the_bound(values: dict[str, float]) -> None:
    kinds = {item: Vital(item, value, reading(codes.PULSE_RATE, 70.0)) for item, value in values.items()}
    whole = score(neutropenia().thresholds, kinds, scale_2=False)
    for left_out in values:
        fewer = {item: vital for item, vital in kinds.items() if item != left_out}
        assert score(neutropenia().thresholds, fewer, scale_2=False).points <= whole.points
