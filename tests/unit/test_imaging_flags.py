"""Size criteria of progression: at, just below and just above (docs/clinical-rules.md, hazard HZ-MARKER-05)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_twin import codes
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program
from tests.rule_packs import flags_of, program_with

START = datetime(2025, 1, 7, 9, 0, tzinfo=UTC)
SUM, PRODUCT = codes.IMAGING_DIAMETER_SUM, codes.IMAGING_LESION_PRODUCT


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return program_with(tmp_path_factory.mktemp("program"), "biomarkers")


def scan(code: codes.Code, day: float, value: float, **attributes: str) -> Observation:
    when = START + timedelta(days=day)
    return observe(code, value, when, source="reader", origin=Origin.CLINICIAN, attributes=attributes)


def raised(program: Program, code: codes.Code, *values: tuple[float, float], after: float = 1.0) -> tuple[Flag, ...]:
    now = START + timedelta(days=values[-1][0] + after)
    return flags_of(program, now, [scan(code, day, value) for day, value in values])


@pytest.mark.parametrize(
    ("code", "smallest", "newest", "grown"),
    [
        pytest.param(SUM, 50.0, 59.9, False, id="recist-20-percent-below (Eisenhauer 2009)"),
        pytest.param(SUM, 50.0, 60.0, True, id="recist-20-percent-at (Eisenhauer 2009)"),
        pytest.param(SUM, 50.0, 60.1, True, id="recist-20-percent-above (Eisenhauer 2009)"),
        pytest.param(SUM, 10.0, 14.9, False, id="recist-5-mm-below (Eisenhauer 2009)"),
        pytest.param(SUM, 10.0, 15.0, True, id="recist-5-mm-at (Eisenhauer 2009)"),
        pytest.param(PRODUCT, 400.0, 499.0, False, id="rano-25-percent-below (Wen 2010)"),
        pytest.param(PRODUCT, 400.0, 500.0, True, id="rano-25-percent-at (Wen 2010)"),
        pytest.param(PRODUCT, 400.0, 501.0, True, id="rano-25-percent-above (Wen 2010)"),
    ],
)
def test_hz_marker_05_limits(
    program: Program, code: codes.Code, smallest: float, newest: float, *, grown: bool
) -> None:
    flags = raised(program, code, (0, 2 * smallest), (60, smallest), (120, newest))
    assert [(f.kind, f.urgency) for f in flags] == ([(FlagKind.IMAGING_PROGRESSION, Urgency.THIS_WEEK)] * grown)


@pytest.mark.parametrize(("day", "confirmed"), [(147.9, False), (148.0, True)], ids=["below-28-days", "at-28-days"])
def test_a_later_scan_is_said_to_confirm(program: Program, day: float, *, confirmed: bool) -> None:
    (flag,) = raised(program, SUM, (0, 50), (120, 61), (day, 62))
    assert ("Still at or above" in flag.clinician) is confirmed
    assert ("pseudoprogression" in flag.clinician) is not confirmed
    assert flag.time == START + timedelta(days=120)
    assert [e.value for e in flag.evidence][:2] == [50.0, 61.0]


def test_the_comparison_is_with_the_smallest_sum_not_the_first(program: Program) -> None:
    assert raised(program, SUM, (0, 100), (60, 50), (120, 70))
    assert not raised(program, SUM, (0, 100), (120, 110))


def test_hz_marker_05_two_ways_of_measuring_are_not_compared(program: Program) -> None:
    now = START + timedelta(days=121)
    assert flags_of(program, now, [scan(SUM, 0, 50, method="ct"), scan(SUM, 120, 90, method="mr")]) == ()
    three = [scan(SUM, 0, 50, method="ct"), scan(SUM, 60, 90, method="mr"), scan(SUM, 120, 65, method="ct")]
    (flag,) = flags_of(program, now, three)
    assert "2 sources or methods" in flag.says.data_quality[0].text


def test_it_says_what_it_does_not_see_and_assigns_no_response(program: Program) -> None:
    (flag,) = raised(program, PRODUCT, (0, 400), (120, 600), after=300.0)
    assert "new lesions" in flag.says.limits[0].text
    assert "for a radiologist to assign" in flag.clinician
    assert "300 days old" in flag.says.data_quality[0].text
