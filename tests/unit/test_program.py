"""Programs: every threshold has a source, limits only tighten, regimens never exceed the plan."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_twin.errors import ProgramError
from edge_twin.low_count import NEUTROPHIL_RULE, LowCount
from edge_twin.program import Limit, LimitKind, Program, load_program, program_names


@pytest.mark.parametrize("name", program_names())
def test_every_threshold_names_mark_and_source(name: str) -> None:
    program = load_program(name)
    rows = [row for table in program.thresholds.values() for row in table.values()]
    assert len(rows) > 10
    assert all(row.mark in {"P", "S", "C", "A", "U"} and row.source for row in rows)
    assert all(limit.reasons for limit in program.limits.values())


def test_names_of_the_low_event_carry_the_threshold(program: Program) -> None:
    event, other = program.low_count(), load_program("aml").low_count()
    assert (event.probability_name, event.days_name, event.dose_day_name) == (
        "p_anc_below_0_5", "days_below_0_5", "anc_on_dose_day",
    )  # fmt: skip
    assert (other.probability_name, other.days_name, other.dose_day_name) == (
        "p_wbc_below_1_0", "days_below_1_0", "wbc_on_dose_day",
    )  # fmt: skip
    assert LowCount("neutrophils", "anc", 0.75, "now").probability_name == "p_anc_below_0_75"
    assert (event.period, other.period) == ("within 7 days", "in this cycle")


def test_a_program_of_before_that_names_no_count_watches_neutrophils(tmp_path: Path) -> None:
    text = source("neutropenia")
    start, end = text.index("[count]"), text.index("[fever]")
    path = tmp_path / "older.toml"
    path.write_text(text[:start] + text[end:], encoding="utf-8")
    older = load_program(path)
    assert older.count == NEUTROPHIL_RULE == load_program("neutropenia").count
    assert (older.cycle_days, older.followed_days, older.start_days) == (21.0, 21.0, (0.0,))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('code = "leukocyte_count"', 'code = "hair_colour"'),
        ('window_from = "last_dose"', 'window_from = "tomorrow"'),
        ('measured_flag = "wbc_below_1_0_measured"', 'measured_flag = "unheard_of"'),
        ("start_days = [0.0, 7.0, 14.0]", "start_days = [7.0, 0.0]"),
        ("administration_days = [0.0, 14.0]", "administration_days = [1.0, 14.0]"),
        ("cycle_days = 28.0", "cycle_days = -28.0"),
        ("wbc_threshold_10_9_per_l = {", "anc_threshold_10_9_per_l = {"),
        ('fever_threshold = "leukopenia_10_9_per_l"', 'fever_threshold = "another"'),
    ],
)
def test_a_count_a_window_or_a_division_that_is_none_is_refused(tmp_path: Path, before: str, after: str) -> None:
    assert before in source("aml")
    path = tmp_path / "program.toml"
    path.write_text(source("aml").replace(before, after), encoding="utf-8")
    with pytest.raises(ProgramError) as caught:
        load_program(path)
    assert caught.value.reason == "malformed"


def source(name: str) -> str:
    folder = Path(str(load_program.__code__.co_filename)).parent / "programs"
    return (folder / f"{name}.toml").read_text(encoding="utf-8")


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_hz_dose_02_a_limit_only_tightens_and_keeps_every_reason(value: float) -> None:
    limit = Limit("anc", LimitKind.AT_LEAST, 1.5, "10*9/L", ("label",))
    if value >= 1.5:
        stricter = limit.tightened(value, "clinic")
        assert stricter.reasons == ("label", "clinic")
        assert stricter.value >= limit.value
    else:
        with pytest.raises(ProgramError) as caught:
            limit.tightened(value, "clinic")
        assert caught.value.reason == "limit_loosened"


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_hz_dose_02_an_upper_limit_never_rises(value: float) -> None:
    limit = Limit("dose", LimitKind.AT_MOST, 100.0, "mg/m2", ("label",))
    try:
        assert limit.tightened(value, "clinic").value <= 100.0
    except ProgramError:
        assert not value <= 100.0


def test_nan_keeps_no_limit(program: Program) -> None:
    assert not any(limit.allows(math.nan) for limit in program.limits.values())


def test_an_unknown_limit_is_refused(program: Program) -> None:
    with pytest.raises(ProgramError) as caught:
        program.with_tightened("no_such_limit", 1.0, "clinic")
    assert caught.value.reason == "unknown_limit"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('schema = "edge-twin.program/1"', 'schema = "edge-twin.program/9"', "schema_unsupported"),
        ("dose_share = 0.75", "dose_share = 1.25", "malformed"),
        ("delay_days = 7.0", "delay_days = -7.0", "malformed"),
        ('kind = "at_least"', 'kind = "about"', "malformed"),
        ("[fever]", "[fever", "malformed"),
    ],
)
def test_a_program_that_is_not_well_formed_is_refused(tmp_path: Path, before: str, after: str, reason: str) -> None:
    broken = source("neutropenia").replace(before, after)
    path = tmp_path / "program.toml"
    path.write_text(broken, encoding="utf-8")
    with pytest.raises(ProgramError) as caught:
        load_program(path)
    assert caught.value.reason == reason


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        load_program(tmp_path / "none.toml")
    assert caught.value.reason == "not_found"
    assert "installed: aml, neutropenia" in str(caught.value)
