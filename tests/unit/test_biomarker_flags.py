"""Rises of tumour markers: at, just below and just above each limit (docs/clinical-rules.md, hazards HZ-MARKER-*)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin import codes
from edge_twin.care import CareContext, LaboratoryRange
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program
from tests.rule_packs import flags_of, program_with

START = datetime(2025, 1, 7, 9, 0, tzinfo=UTC)
PSA, CA_125 = codes.PROSTATE_SPECIFIC_ANTIGEN, codes.CANCER_ANTIGEN_125
CEA, CTDNA = codes.CARCINOEMBRYONIC_ANTIGEN, codes.CTDNA_FRACTION
Values = list[tuple[float, float]]


@pytest.fixture(scope="module")
def markers(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_with(tmp_path_factory.mktemp("program"), "biomarkers")


def reading(code: codes.Code, day: float, value: float, lab: str = "lab:a", **attributes: str) -> Observation:
    when = START + timedelta(days=day)
    return observe(code, value, when, source=lab, origin=Origin.LAB, attributes=attributes)


def raised(
    program: Program, code: codes.Code, values: Values, care: CareContext | None = None, after: float = 1.0
) -> tuple[Flag, ...]:
    now = START + timedelta(days=values[-1][0] + after)
    return flags_of(program, now, [reading(code, day, value) for day, value in values], care)


def upper(code: codes.Code, high: float) -> CareContext:
    return CareContext(laboratory_ranges=(LaboratoryRange(code.name, high=high),))


NOTE, WEEK = Urgency.NOTE, Urgency.THIS_WEEK


@pytest.mark.parametrize(
    ("code", "values", "expected"),
    [
        # CA-125, GCIG, Rustin 2011: the lowest value within the range of 40, so 2 x 40.
        pytest.param(CA_125, [(0, 20), (90, 79.9)], None, id="gcig-2xULN-below"),
        pytest.param(CA_125, [(0, 20), (90, 80.0)], NOTE, id="gcig-2xULN-at"),
        pytest.param(CA_125, [(0, 20), (90, 80.1)], NOTE, id="gcig-2xULN-above"),
        pytest.param(CA_125, [(0, 20), (90, 80.0), (96.9, 90)], NOTE, id="gcig-second-before-a-week"),
        pytest.param(CA_125, [(0, 20), (90, 80.0), (97, 80)], WEEK, id="gcig-second-after-a-week"),
        pytest.param(CA_125, [(0, 20), (90, 80.0), (97, 79.9)], None, id="gcig-second-below-ends-it"),
        pytest.param(CA_125, [(0, 20), (90, 85), (97, 79), (104, 85)], NOTE, id="gcig-interrupted-starts-again"),
        # Never within the range: 2 x the lowest value.
        pytest.param(CA_125, [(0, 300), (60, 50), (90, 99.9)], None, id="gcig-2xnadir-below"),
        pytest.param(CA_125, [(0, 300), (60, 50), (90, 100)], NOTE, id="gcig-2xnadir-at"),
        pytest.param(CA_125, [(0, 300), (60, 50), (90, 100), (97, 101)], WEEK, id="gcig-2xnadir-confirmed"),
        pytest.param(CA_125, [(0, 300), (60, 40), (90, 80)], NOTE, id="gcig-nadir-at-ULN-counts-as-within"),
        # PSA: Phoenix (Roach 2006) and PCWG3 (Scher 2016).
        pytest.param(PSA, [(0, 0.5), (90, 2.49)], None, id="phoenix-nadir+2-below"),
        pytest.param(PSA, [(0, 0.5), (90, 2.5)], NOTE, id="phoenix-nadir+2-at"),
        pytest.param(PSA, [(0, 0.5), (90, 2.51)], NOTE, id="phoenix-nadir+2-above"),
        pytest.param(PSA, [(0, 0.5), (90, 2.5), (96.9, 3)], NOTE, id="phoenix-second-before-a-week"),
        pytest.param(PSA, [(0, 0.5), (90, 2.5), (97, 3)], WEEK, id="phoenix-second-after-a-week"),
        pytest.param(PSA, [(0, 20), (90, 21.9)], None, id="phoenix-high-nadir-below"),
        pytest.param(PSA, [(0, 20), (90, 22.0)], NOTE, id="phoenix-high-nadir-at"),
        # CEA: recommended threshold 5 and a share of 30 %.
        pytest.param(CEA, [(0, 3), (90, 4.9)], None, id="cea-threshold-5-below"),
        pytest.param(CEA, [(0, 3), (90, 5.0)], NOTE, id="cea-threshold-5-at"),
        pytest.param(CEA, [(0, 10), (90, 12.9)], None, id="cea-30-percent-below"),
        pytest.param(CEA, [(0, 10), (90, 13)], NOTE, id="cea-30-percent-at"),
        pytest.param(CEA, [(0, 10), (90, 13), (96.9, 13)], NOTE, id="cea-second-before-a-week"),
        pytest.param(CEA, [(0, 10), (90, 13), (97, 13)], WEEK, id="cea-second-after-a-week"),
        # ctDNA: assumed numbers.
        pytest.param(CTDNA, [(0, 0.0), (60, 0.00049)], None, id="ctdna-smallest-fraction-below"),
        pytest.param(CTDNA, [(0, 0.0), (60, 0.0005)], NOTE, id="ctdna-smallest-fraction-at"),
        pytest.param(CTDNA, [(0, 0.01), (60, 0.0199)], None, id="ctdna-2xnadir-below"),
        pytest.param(CTDNA, [(0, 0.01), (60, 0.02)], NOTE, id="ctdna-2xnadir-at"),
        pytest.param(CTDNA, [(0, 0.01), (60, 0.02), (73.9, 0.03)], NOTE, id="ctdna-second-before-two-weeks"),
        pytest.param(CTDNA, [(0, 0.01), (60, 0.02), (74, 0.03)], WEEK, id="ctdna-second-after-two-weeks"),
        # A first value has no lowest one before it.
        pytest.param(CA_125, [(0, 5000)], None, id="no-value-before"),
    ],
)
def test_hz_marker_01_limits(markers: Program, code: codes.Code, values: Values, expected: Urgency | None) -> None:
    flags = raised(markers, code, values, upper(CA_125, 40.0))
    assert [flag.urgency for flag in flags] == ([expected] if expected else [])
    assert all(flag.kind is FlagKind.BIOMARKER_RISE and flag.topic == code.name for flag in flags)


@pytest.mark.parametrize(
    ("newest", "met"),
    [(24.99, False), (25.0, True)],
    ids=["pcwg3-25-percent-below (Scher 2016)", "pcwg3-25-percent-at (Scher 2016)"],
)
def test_pcwg3_needs_the_share_too(markers: Program, newest: float, *, met: bool) -> None:
    (flag,) = raised(markers, PSA, [(0, 20), (90, newest)])  # Phoenix is met by both
    assert ("PCWG3" in flag.clinician) is met


@pytest.mark.parametrize(("day", "confirmed"), [(110.9, False), (111.0, True)])
def test_pcwg3_is_confirmed_after_three_weeks(markers: Program, day: float, *, confirmed: bool) -> None:
    (flag,) = raised(markers, PSA, [(0, 0.5), (90, 3), (day, 3)])
    (sentence,) = [m.text for m in flag.says.clinician if "PCWG3" in m.text]
    assert ("), confirmed at" in sentence) is confirmed
    assert flag.urgency is WEEK  # by Phoenix, with the second value that this rule asks for


def test_hz_marker_01_both_dates_are_evidence(markers: Program) -> None:
    (flag,) = raised(markers, CA_125, [(0, 20), (90, 100), (120, 150), (150, 160)], upper(CA_125, 35.0))
    assert [(e.value, e.time - START) for e in flag.evidence] == [
        (20.0, timedelta(0)), (100.0, timedelta(days=90)), (120 * 1.25, timedelta(days=120)),
        (160.0, timedelta(days=150)),
    ]  # fmt: skip
    assert flag.time == START + timedelta(days=120)
    assert flag.bound is not None
    assert (flag.bound.id, flag.bound.mark) == ("ca_125.times_upper_limit", "P")


def test_the_note_asks_for_a_second_value_and_says_when(markers: Program) -> None:
    (flag,) = raised(markers, PSA, [(0, 0.5), (90, 3)])
    assert "second measurement" in flag.action
    assert "at least 21 days later" in flag.reason


def test_hz_marker_02_an_unknown_upper_limit_is_said(markers: Program) -> None:
    (flag,) = raised(markers, CA_125, [(0, 20), (90, 70)])
    assert any("not known here; 35 [arb'U]/mL was used" in m.text for m in flag.says.data_quality)
    assert raised(markers, CA_125, [(0, 20), (90, 69.9)]) == ()
    (known,) = raised(markers, CA_125, [(0, 20), (90, 90)], upper(CA_125, 40.0))
    assert "upper limit" not in quality(known)


def test_a_value_that_is_only_a_limit_of_detection_is_a_lowest_value_but_never_a_high_one(markers: Program) -> None:
    low = reading(PSA, 0, 0.1, comparator="<")
    now = START + timedelta(days=91)
    (flag,) = flags_of(markers, now, [low, reading(PSA, 90, 2.1)])
    assert "<0.1" in flag.reason
    assert flags_of(markers, now, [low, reading(PSA, 90, 5.0, comparator="<")]) == ()


# --- doubling time ---------------------------------------------------------------------------------


def quality(flag: Flag) -> str:
    return " ".join(message.text for message in flag.says.data_quality)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param((0, 45, 89), "the values span 89 days, 90 needed", id="psawg-span-below"),
        pytest.param((0, 45, 90), "", id="psawg-span-at"),
        pytest.param((0, 90), "2 usable values since the lowest one, 3 needed", id="psawg-two-values"),
        pytest.param((0, 63, 90), "2 usable values since the lowest one, 3 needed", id="psawg-27-days-apart"),
        pytest.param((0, 62, 90), "", id="psawg-28-days-apart"),
    ],
)
def test_hz_marker_03_too_few_values_or_too_short_a_span(markers: Program, days: tuple[int, ...], said: str) -> None:
    values = [(float(day), 0.5 * 2.0 ** (day / 30.0)) for day in days]
    (flag,) = raised(markers, PSA, values)
    assert said in quality(flag)
    assert ("Doubling time not computed" in quality(flag)) is bool(said)
    assert ("Doubling time" in flag.clinician) is not bool(said)


def test_values_below_the_smallest_are_not_used(markers: Program) -> None:
    (flag,) = raised(markers, PSA, [(0, 0.19), (50, 0.8), (100, 3.2)])
    assert "2 usable values" in quality(flag)


@pytest.mark.parametrize(
    ("months", "high"),
    [(9.9, True), (10.0, True), (10.1, False)],
    ids=["SPARTAN-10-months-below", "SPARTAN-10-months-at", "SPARTAN-10-months-above"],
)
def test_a_doubling_time_of_ten_months_is_called_high_risk_for_clinicians_alone(
    markers: Program, months: float, *, high: bool
) -> None:
    doubling = months * 365.25 / 12 * (1 - 1e-12)
    (flag,) = raised(markers, PSA, [(float(day), 4.0 * 2.0 ** (day / doubling)) for day in (0, 90, 180, 270)])
    assert ("high risk" in flag.clinician) is high
    assert f"Doubling time {months:.1f} months" in flag.clinician
    assert "risk" not in flag.reason + flag.action


def test_scatter_widens_the_interval_until_it_has_no_end(markers: Program) -> None:
    (flag,) = raised(markers, PSA, [(0, 0.5), (40, 3), (80, 1.2), (120, 4)])
    assert "no upper end: a standstill is not excluded" in flag.clinician


# --- another laboratory ----------------------------------------------------------------------------


def test_hz_marker_04_mixed_assays_raise_no_rise_and_say_so(markers: Program) -> None:
    mixed = [reading(PSA, 0, 0.5), reading(PSA, 90, 0.6), reading(PSA, 180, 4.0, lab="lab:b")]
    (flag,) = flags_of(markers, START + timedelta(days=181), mixed)
    assert (flag.kind, flag.urgency) == (FlagKind.DATA_QUALITY, NOTE)
    assert "1 values of its own, 3 needed" in flag.reason


@pytest.mark.parametrize("attribute", ["laboratory", "method"])
def test_hz_marker_04_the_attribute_tells_assays_apart_too(markers: Program, attribute: str) -> None:
    mixed = [reading(PSA, 0, 0.5, **{attribute: "a"}), reading(PSA, 90, 4.0, **{attribute: "b"})]
    (flag,) = flags_of(markers, START + timedelta(days=91), mixed)
    assert flag.kind is FlagKind.DATA_QUALITY


def test_a_rise_in_the_old_laboratory_stays_up_and_names_the_change(markers: Program) -> None:
    old = [reading(PSA, 0, 0.5), reading(PSA, 90, 3.0), reading(PSA, 120, 4.0)]
    (flag,) = flags_of(markers, START + timedelta(days=181), [*old, reading(PSA, 180, 0.4, lab="lab:b")])
    assert (flag.kind, flag.urgency) == (FlagKind.BIOMARKER_RISE, WEEK)
    assert "2 laboratories or methods" in quality(flag)


def test_three_values_of_the_new_laboratory_end_the_note(markers: Program) -> None:
    mixed = [reading(PSA, 0, 0.5), *(reading(PSA, day, 0.6, lab="lab:b") for day in (90, 180, 270))]
    assert flags_of(markers, START + timedelta(days=271), mixed) == ()


def test_an_old_newest_value_keeps_the_flag_and_is_said(markers: Program) -> None:
    values = [(0.0, 0.5), (90.0, 3.0), (120.0, 4.0)]
    (young,) = raised(markers, PSA, values, after=200.0)
    (old,) = raised(markers, PSA, values, after=201.0)
    assert "days old" not in quality(young)
    assert "The newest PSA is 201 days old" in quality(old)


def test_a_program_without_the_pack_looks_at_no_marker(tmp_path: Path) -> None:
    assert raised(program_with(tmp_path), PSA, [(0, 0.5), (90, 3), (120, 9)]) == ()


@given(
    values=st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 99_999)), min_size=1, max_size=12),
    turn=st.integers(0, 11),
)
def test_any_series_gives_at_most_one_flag_whatever_its_order(markers: Program, values: Values, turn: int) -> None:
    readings = [reading(PSA, day, value) for day, value in values]
    now = START + timedelta(days=2001)
    flags = flags_of(markers, now, readings)
    assert flags_of(markers, now, [*readings[turn:], *readings[:turn]]) == flags
    assert len(flags) <= 1


def test_hz_marker_06_values_before_the_stated_start_are_not_compared(markers: Program) -> None:
    values = [(0.0, 0.1), (90.0, 8.0), (180.0, 9.0)]
    (flag,) = raised(markers, PSA, values)
    assert "not known here; all values on record were compared" in quality(flag)
    assert raised(markers, PSA, values, CareContext(markers_since=START + timedelta(days=60))) == ()
