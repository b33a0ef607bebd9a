"""The flag of a change against the personal baseline, through the pure step."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_twin.contract import Dose, TwinInput
from edge_twin.features import DAY_STEPS, NIGHT_HEART_RATE, Feature
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.program import Program
from edge_twin.twin import advance
from edge_twin.wording import english

START = datetime(2026, 1, 5, tzinfo=UTC)


def night(day: int, rate: float | None) -> Feature:
    begin = START + timedelta(days=day)
    reason = "" if rate is not None else "too_few_windows"
    return Feature(NIGHT_HEART_RATE, rate, "/min", begin, begin + timedelta(hours=7), 5, 1.0, reason)


def steps(day: int, count: float) -> Feature:
    begin = START + timedelta(days=day)
    return Feature(DAY_STEPS, count, "{steps}", begin, begin + timedelta(days=1), 1, 1.0)


def days(count: int, rise: float = 0.0, last: int = 1) -> list[Feature]:
    """Nights and days of one person; the last nights are ``rise`` beats higher."""
    rng = np.random.default_rng(3)
    rates = np.round(60 + 1.2 * rng.standard_normal(count) + rise * (np.arange(count) >= count - last))
    walked = np.round(8000 * np.exp(0.3 * rng.standard_normal(count)))
    return [night(d, float(rates[d])) for d in range(count)] + [steps(d, float(walked[d])) for d in range(count - 1)]


def raised(program: Program, features: list[Feature], now: datetime, doses: tuple[Dose, ...] = ()) -> list[Flag]:
    given = TwinInput(now, "UTC", program, None, features=tuple(features), doses=doses)
    return [flag for flag in advance(given).flags if flag.kind is FlagKind.BASELINE_CHANGE]


def morning(day: int) -> datetime:
    return START + timedelta(days=day, hours=8)


def test_a_rise_after_quiet_weeks_raises_the_flag_with_all_its_parts(program: Program) -> None:
    (flag,) = raised(program, days(60, rise=9.0), morning(59))
    assert flag.urgency is Urgency.TODAY
    assert flag.probability is not None
    assert 0.0 < flag.probability < 1.0
    assert flag.horizon == timedelta(days=7)
    assert {e.name for e in flag.evidence} == {NIGHT_HEART_RATE}
    assert flag.bound is not None
    score = math.fsum(c.share for c in flag.contributions)
    assert score >= flag.bound.value
    assert max(flag.contributions, key=lambda c: c.share).name == "resting_heart_rate"
    assert next(c.share for c in flag.contributions if c.name == "steps") == 0.0
    assert f"{score:.2f}" in english(flag.says.clinician)
    assert "simulated people only" in english(flag.says.limits)
    assert "step count" in english(flag.says.data_quality)


@pytest.mark.parametrize("word", ["safe", "fine", "low risk", "normal", "grade"])
def test_nothing_reassures_or_grades(program: Program, word: str) -> None:
    (flag,) = raised(program, days(60, rise=9.0), morning(59))
    says = flag.says
    texts = (says.action, says.reason, says.clinician, says.would_change, says.limits, says.data_quality)
    assert word not in " ".join(english(text) for text in texts).lower()


def test_quiet_weeks_raise_nothing(program: Program) -> None:
    assert raised(program, days(60), morning(59)) == []


def test_fewer_than_29_days_raise_nothing(program: Program) -> None:
    assert raised(program, days(28, rise=12.0), morning(27)) == []


def test_the_flag_stands_for_two_days_and_no_longer(program: Program) -> None:
    features = days(60, rise=9.0)
    assert [len(raised(program, features, morning(day))) for day in (59, 60, 61)] == [1, 1, 0]


def test_a_night_that_is_not_over_is_not_used(program: Program) -> None:
    assert raised(program, days(60, rise=9.0), START + timedelta(days=59, hours=6)) == []


def test_a_night_without_a_value_is_missing_and_not_a_change(program: Program) -> None:
    features = [*days(59), night(59, None)]
    assert raised(program, features, morning(59)) == []


def test_the_order_of_features_does_not_matter(program: Program) -> None:
    features = days(60, rise=9.0)
    assert raised(program, features, morning(59)) == raised(program, features[::-1], morning(59))


def test_a_rise_that_came_in_each_earlier_cycle_moves_the_score_less(program: Program) -> None:
    """Nights 2 to 4 of each 21-day cycle are 7 beats higher: with the doses the score of the fifth is lower."""
    rng = np.random.default_rng(4)
    rates = [60 + round(float(rng.standard_normal())) + 7.0 * (2 <= d % 21 <= 4) for d in range(87)]
    nights = [night(d, rate) for d, rate in enumerate(rates)]
    doses = tuple(
        Dose(START + timedelta(days=21 * c, hours=-1), program.drug, 150.0, timedelta(hours=1)) for c in range(5)
    )
    assert len(raised(program, nights, morning(86), ())) >= len(raised(program, nights, morning(86), doses))
    assert raised(program, nights, morning(86), doses) == []
