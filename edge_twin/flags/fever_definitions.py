"""Named definitions of fever with neutropenia, each with its own comparators and count.

They inform a clinician; the urgent flag depends on none of their counts (see :mod:`edge_twin.flags.fever`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from edge_twin import codes
from edge_twin.contract import Forecast
from edge_twin.flag import CtcaeVersion
from edge_twin.flags.situation import Situation
from edge_twin.observation import Observation
from edge_twin.program import Threshold
from edge_twin.wording import Message, say

DEFINITIONS: Mapping[str, str] = {
    "fever_idsa_2010": "IDSA 2010",
    "fever_asco": "ASCO",
    "fever_ctcae_5_0": "CTCAE v5",
    "fever_cisne": "CISNE",
}
"""Tables of thresholds and the names of the definitions that they hold."""

Rules = Mapping[str, Threshold]


class Met(NamedTuple):
    """How one definition fares.

    Attributes:
        name: of the definition.
        temperature: whether the readings meet its temperature.
        low_count: whether the count meets it; None when it is not known.
    """

    name: str
    temperature: bool
    low_count: bool | None


class Counts(NamedTuple):
    """What is known of neutrophils, 10*9/L.

    Attributes:
        measured: newest count that is fresh; None without one.
        expected_lowest: lowest expected value within the definition's time; None without a forecast.
    """

    measured: float | None
    expected_lowest: float | None


def temperature_met(rules: Rules, oral: Sequence[Observation]) -> bool:
    """Whether readings by mouth, oldest first, meet the temperature of a definition."""
    return any(_single(rules, reading.value) for reading in oral) or _sustained(rules, oral)


def _single(rules: Rules, value: float) -> bool:
    if "single_at_least_cel" in rules:
        return value >= rules["single_at_least_cel"].value
    return "single_above_cel" in rules and value > rules["single_above_cel"].value


def _sustained(rules: Rules, oral: Sequence[Observation]) -> bool:
    first: Observation | None = None
    for reading in oral:
        if reading.value < rules["sustained_at_least_cel"].value:
            first = None
            continue
        first = first or reading
        if reading is not first and _long_enough(rules, (reading.time - first.time) / timedelta(minutes=1)):
            return True
    return False


def _long_enough(rules: Rules, minutes: float) -> bool:
    if "sustained_at_least_minutes" in rules:
        return minutes >= rules["sustained_at_least_minutes"].value
    return minutes > rules["sustained_above_minutes"].value


def count_met(rules: Rules, counts: Counts) -> bool | None:
    """Whether the count meets a definition; None when what it needs is not known."""
    if counts.measured is not None and _is_low(rules, counts.measured):
        return True
    if "expected_hours" not in rules:
        return None if counts.measured is None else False
    if counts.expected_lowest is None:
        return None if _could_fall(rules, counts.measured) else False
    return _could_fall(rules, counts.measured) and _is_low(rules, counts.expected_lowest)


def _is_low(rules: Rules, value: float) -> bool:
    if "count_below_10_9_per_l" in rules:
        return value < rules["count_below_10_9_per_l"].value
    return value <= rules["count_at_most_10_9_per_l"].value


def _could_fall(rules: Rules, measured: float | None) -> bool:
    """Whether the definition lets an expected fall stand for this count."""
    highest = rules.get("expected_from_at_most_10_9_per_l")
    return highest is None or measured is None or measured <= highest.value


def definitions_met(
    tables: Mapping[str, Rules], oral: Sequence[Observation], counts: Counts, version: CtcaeVersion
) -> tuple[Met, ...]:
    """Every definition of the program's packs; that of CTCAE only in the version that the site uses."""
    return tuple(
        Met(name, temperature_met(tables[table], oral), count_met(tables[table], counts))
        for table, name in DEFINITIONS.items()
        if table in tables and (table != "fever_ctcae_5_0" or version is CtcaeVersion.V5)
    )


def said_definitions(situation: Situation, oral: Sequence[Observation]) -> Iterator[Message]:
    """For a clinician: which definitions are met."""
    tables = situation.given.program.thresholds
    for met in definitions_met(tables, oral, _counts(situation), situation.care.ctcae_version):
        if not met.temperature:
            yield say("definitions.temperature_not_met", name=met.name)
        elif met.low_count is None:
            yield say("definitions.count_unknown", name=met.name)
        else:
            yield say("definitions.met" if met.low_count else "definitions.count_not_met", name=met.name)
    if situation.care.ctcae_version is not CtcaeVersion.V5 and "fever_ctcae_5_0" in tables:
        yield say("definitions.other_version", version=situation.care.ctcae_version.value)


def _counts(situation: Situation) -> Counts:
    if situation.given.program.count.code != codes.NEUTROPHILS:
        newest = situation.newest(codes.NEUTROPHILS)
        fresh = newest is not None and situation.now - newest.time <= situation.span("fever", "count_fresh_hours")
        return Counts(newest.value if fresh and newest else None, None)
    count, forecast = situation.fresh_count(), situation.forecast
    return Counts(count.value if count else None, _lowest(situation, forecast) if forecast else None)


def _lowest(situation: Situation, forecast: Forecast) -> float | None:
    """Lowest expected count within the time of the definitions."""
    if not situation.has("fever_idsa_2010"):
        return None
    start = (situation.now - forecast.origin) / timedelta(days=1)
    end = start + situation.span("fever_idsa_2010", "expected_hours") / timedelta(days=1)
    inside = forecast.median[(forecast.days >= start) & (forecast.days <= end)]
    edges = np.interp((start, end), forecast.days, forecast.median)
    return float(min(inside.min(initial=np.inf), edges.min()))
