"""The doubling time of a marker in sentences for a clinician, or the sentence that says why there is none."""

from __future__ import annotations

import math

from edge_twin.errors import KineticsError
from edge_twin.flags.series import Readings, days_from_first, spaced
from edge_twin.flags.situation import Situation
from edge_twin.kinetics import DAYS_PER_MONTH, Growth, growth
from edge_twin.observation import Observation
from edge_twin.wording import Message, Text, Values, say


def growth_text(situation: Situation, table: str, readings: Readings, nadir: Observation) -> tuple[Text, Text]:
    """Sentences on the doubling time, and sentences on what was missing for it; one of the two is empty.

    Args:
        situation: of the patient.
        table: of thresholds for the doubling time.
        readings: of one assay, oldest first.
        nadir: growth is counted from it on.
    """
    used = _used(situation, table, readings, nadir)
    needed, span = situation.threshold(table, "values_needed"), situation.threshold(table, "span_days")
    try:
        found = growth(days_from_first(used), [o.value for o in used], values_needed=int(needed), span_needed_days=span)
    except KineticsError as error:
        had = days_from_first(used)[-1] if used else 0.0
        said: Values = {"needed": needed, "span": span, "values": len(used), "had": had}
        return (), (say(f"biomarkers.{error.reason}", **said),)
    return (_said(found), *_high_risk(situation, table, found)), ()


def _used(situation: Situation, table: str, readings: Readings, nadir: Observation) -> Readings:
    """Values from the nadir on, young enough, far enough apart, large enough, and none that is only a limit."""
    smallest = situation.given.program.thresholds[table].get("smallest_value")
    floor = smallest.value if smallest else 0.0
    since = max(nadir.time, readings[-1].time - situation.span(table, "window_days"))
    usable = [o for o in readings if o.time >= since and o.value >= floor and o.value > 0.0 and not o.limit_sign]
    return spaced(usable, situation.span(table, "apart_days"))


def _said(found: Growth) -> Message:
    values: Values = {"values": found.values, "span": found.span_days}
    if math.isinf(found.doubling_days):
        return say("biomarkers.does_not_double", **values)
    months: Values = {"months": found.doubling_days / DAYS_PER_MONTH, "low": found.shortest_days / DAYS_PER_MONTH}
    if math.isinf(found.longest_days):
        return say("biomarkers.doubling_open", **values, **months)
    return say("biomarkers.doubling", **values, **months, high=found.longest_days / DAYS_PER_MONTH)


def _high_risk(situation: Situation, table: str, found: Growth) -> Text:
    """For clinicians alone: a doubling time that trials called high risk."""
    limit = situation.given.program.thresholds[table].get("high_risk_months")
    if limit is None or found.doubling_days > limit.value * DAYS_PER_MONTH:
        return ()
    return (say("biomarkers.high_risk", limit=limit.value, source=limit.source),)
