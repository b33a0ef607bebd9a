"""The fever rule, vector by vector (docs/clinical-rules.md, hazards HZ-FEVER-*)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from edge_twin.contract import Dose, TwinInput
from edge_twin.flag import Flag, FlagKind, Urgency
from edge_twin.observation import Observation, Site
from edge_twin.program import Program
from edge_twin.reduced_model import ReducedModel
from edge_twin.twin import advance

Maker = Callable[..., Observation]
URGENT, REPEAT = FlagKind.FEVER, FlagKind.FEVER_REPEAT


@pytest.fixture
def flags(program: Program, docetaxel: Dose) -> Callable[..., tuple[Flag, ...]]:
    def at(minutes: float, *readings: Observation, doses: tuple[Dose, ...] = (docetaxel,)) -> tuple[Flag, ...]:
        now = morning(docetaxel) + timedelta(minutes=minutes)
        return advance(TwinInput(now, "Europe/Berlin", program, None, readings, doses=doses)).flags

    return at


def morning(dose: Dose) -> datetime:
    return dose.time + timedelta(days=8)


@pytest.mark.parametrize(
    ("readings", "minutes", "expected"),
    [
        (((38.3, 0),), 1, URGENT),
        (((38.29, 0),), 1, REPEAT),
        (((38.0, 0), (38.0, 60)), 60, URGENT),
        (((38.0, 0), (38.2, 20)), 21, URGENT),
        (((38.0, 0), (37.9, 30), (38.1, 60)), 61, REPEAT),
        (((38.0, 0),), 75, REPEAT),
        (((38.0, 0),), 76, URGENT),
        (((38.0, 0), (37.5, 50)), 300, None),
        (((38.0, 0), (37.0, 90)), 91, URGENT),  # the second reading came too late to settle the first
        (((37.99, 0), (37.99, 60)), 61, None),
        (((38.3, 0), (36.5, 60)), 600, URGENT),  # a normal reading afterwards never lowers the alert
        (((38.3, 0),), 24 * 60 + 1, None),
        (((45.0, 0),), 1, None),  # implausible: held, not used
    ],
)
def test_hz_fever_01_vectors(  # noqa: PLR0913, PLR0917 - fixtures
    readings: tuple[tuple[float, float], ...],
    minutes: float,
    expected: FlagKind | None,
    flags: Callable[..., tuple[Flag, ...]],
    temperature: Maker,
    docetaxel: Dose,
) -> None:
    observations = [temperature(c, morning(docetaxel) + timedelta(minutes=m)) for c, m in readings]
    kinds = [flag.kind for flag in flags(minutes, *observations) if flag.kind is not FlagKind.DATA_QUALITY]
    assert kinds == ([expected] if expected else [])


def test_hz_fever_01_is_urgent_with_action_reason_and_time(
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, docetaxel: Dose
) -> None:
    (flag,) = flags(5, temperature(38.4, morning(docetaxel)))
    assert flag.urgency is Urgency.NOW
    assert flag.time == morning(docetaxel)
    assert "Call your team now" in flag.action
    assert "38.4 °C by mouth at 10:00 on 2026-03-10" in flag.reason
    assert "counted as at risk" in flag.reason


def test_hz_fever_01_the_count_changes_only_the_reason(
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, count: Maker, docetaxel: Dose
) -> None:
    hot = temperature(38.4, morning(docetaxel))
    (high,) = flags(5, hot, count(4.0, morning(docetaxel) - timedelta(hours=3)))
    (low, measured) = flags(5, hot, count(0.3, morning(docetaxel) - timedelta(hours=3)))
    assert high.urgency is low.urgency is Urgency.NOW
    assert "not below 0.5" in high.reason
    assert "Neutrophils 0.3 ×10⁹/L" in low.reason
    assert measured.kind is FlagKind.NEUTROPHILS_LOW
    assert "to be confirmed" in measured.reason


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (0.5, "Neutrophils <0.5 ×10⁹/L at 07:00 on 2026-03-10, below 0.5."),
        (1.0, "Neutrophils <1 ×10⁹/L at 07:00 on 2026-03-10, perhaps below 0.5."),
    ],
)
def test_hz_fever_01_a_count_below_a_limit_is_not_called_normal(  # noqa: PLR0913, PLR0917 - fixtures and the case
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, count: Maker, docetaxel: Dose, limit: float, said: str
) -> None:
    reading = count(limit, morning(docetaxel) - timedelta(hours=3))
    fever = flags(5, temperature(38.4, morning(docetaxel)), replace(reading, attributes={"comparator": "<"}))[0]
    assert said in fever.reason


def test_hz_fever_01_an_old_count_gives_way_to_the_forecast(
    program: Program, model: ReducedModel, temperature: Maker, count: Maker, docetaxel: Dose
) -> None:
    now = morning(docetaxel)
    readings = (temperature(38.4, now), count(5.0, now - timedelta(days=3)))
    output = advance(TwinInput(now, "UTC", program, model, readings, doses=(docetaxel,)))
    fever = next(flag for flag in output.flags if flag.kind is URGENT)
    assert "of 100" in fever.reason
    assert "No count within 48 hours" in fever.reason


def test_hz_fever_02_the_gap_is_stated_when_nobody_measured_again(
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, docetaxel: Dose
) -> None:
    (flag,) = flags(90, temperature(38.1, morning(docetaxel)))
    assert "no second reading within 75 minutes" in flag.reason
    assert flag.time == morning(docetaxel) + timedelta(minutes=75)


def test_hz_fever_03_a_warm_armpit_asks_for_an_oral_reading(
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, docetaxel: Dose
) -> None:
    warm = temperature(39.5, morning(docetaxel), Site.ARMPIT)
    (flag,) = flags(5, warm)
    assert flag.kind is FlagKind.ORAL_READING_NEEDED
    assert "armpit" in flag.reason
    assert flags(20, warm, temperature(36.9, morning(docetaxel) + timedelta(minutes=10))) == ()


def test_the_rule_is_for_patients_on_chemotherapy(
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, docetaxel: Dose
) -> None:
    hot = temperature(39.0, morning(docetaxel))
    assert flags(5, hot, doses=()) == ()
    long_ago = Dose(docetaxel.time - timedelta(days=40), "docetaxel", 180.0, timedelta(hours=1))
    assert flags(5, hot, doses=(long_ago,)) == ()


@pytest.mark.parametrize(
    ("minutes", "definition"),
    [(60, "for an hour: fever by IDSA 2010"), (59, "a repeat still at or above 38.0: alert rule of this program")],
)
def test_hz_fever_01_the_reason_names_the_definition_that_was_met(
    flags: Callable[..., tuple[Flag, ...]], temperature: Maker, docetaxel: Dose, minutes: int, definition: str
) -> None:
    first = morning(docetaxel)
    (flag,) = flags(minutes, temperature(38.0, first), temperature(38.2, first + timedelta(minutes=minutes)))
    assert definition in flag.reason
