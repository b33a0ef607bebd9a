"""Measured lesions that grew over their smallest sum (RECIST 1.1 and RANO, the size criteria alone).

Numbers and sources stand in the rule pack ``biomarkers``. The measurements come from elsewhere and are taken as they
come; two ways of measuring are never compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from edge_twin import codes
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.series import Rise, by_assay, find_rise
from edge_twin.flags.situation import Situation, evidence
from edge_twin.wording import Message, Values, say

_CRITERIA = (
    ("recist", codes.IMAGING_DIAMETER_SUM, "share_above_nadir"),
    ("rano", codes.IMAGING_LESION_PRODUCT, "share_above_nadir"),
)


def imaging_flags(situation: Situation) -> Iterator[Flag]:
    """At most one flag for each size criterion of the program."""
    for table, code, bound in _CRITERIA:
        if table not in situation.given.program.thresholds:
            continue
        series = by_assay(situation, code)
        limit_over, apart = partial(_limit, situation, table), situation.span(table, "confirm_days")
        rises = (find_rise(readings, limit_over, apart) for readings in series)
        if rise := next((found for found in rises if found), None):
            yield _grown(situation, table, bound, rise, len(series))


def _limit(situation: Situation, table: str, nadir: float) -> float:
    """The share over the smallest sum and, where the criterion has one, the absolute increase."""
    rules = situation.given.program.thresholds[table]
    absolute = rules["above_nadir_mm"].value if "above_nadir_mm" in rules else 0.0
    return max(nadir * (1.0 + rules["share_above_nadir"].value), nadir + absolute)


def _grown(situation: Situation, table: str, bound: str, rise: Rise, methods: int) -> Flag:
    said: Values = {
        "criterion": say(f"imaging.{table}"),
        "value": rise.newest.value,
        "unit": rise.newest.code.unit,
        "time": situation.local(rise.newest.time),
        "nadir": rise.nadir.value,
        "nadir_time": situation.local(rise.nadir.time),
        "limit": rise.limit,
    }
    return Flag(
        kind=FlagKind.IMAGING_PROGRESSION,
        time=rise.first.time,
        urgency=Urgency.THIS_WEEK,
        origin=rise.newest.origin,
        says=Sentences(
            action=(say("imaging.action"),),
            reason=(say("imaging.grown", **said),),
            clinician=(say("imaging.clinician", **said), _confirmation(situation, table, rise)),
            would_change=(say("imaging.would_change"),),
            limits=(say("imaging.limits"),),
            data_quality=tuple(_quality(situation, table, rise, methods)),
        ),
        topic=rise.newest.code.name,
        evidence=tuple(evidence(reading) for reading in rise.readings),
        bound=situation.bound(table, bound),
    )


def _confirmation(situation: Situation, table: str, rise: Rise) -> Message:
    days = situation.threshold(table, "confirm_days")
    if rise.confirmed_by is None:
        return say("imaging.not_confirmed", days=days)
    return say("imaging.confirmed", days=days, time=situation.local(rise.confirmed_by.time))


def _quality(situation: Situation, table: str, rise: Rise, methods: int) -> Iterator[Message]:
    if situation.now - rise.newest.time > situation.span(table, "old_days"):
        yield say("imaging.old", days=(situation.now - rise.newest.time).days)
    if methods > 1:
        yield say("imaging.methods", methods=methods)
