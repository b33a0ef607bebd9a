"""Relapse kinetics: a tumour marker that rises over its lowest value (docs/clinical-rules.md, "Tumour markers").

The first value above a definition's limit is noted and asks for a second one; a second one, late enough, makes it
this week's. Both dates are evidence. Numbers and sources stand in the rule pack ``biomarkers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from edge_twin import codes
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.growth_text import growth_text
from edge_twin.flags.series import Readings, Rise, by_assay, find_rise
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Origin
from edge_twin.wording import Message, Text, Values, say


@dataclass(frozen=True, slots=True)
class _Definition:
    """One published definition of a rise.

    Attributes:
        table: of its thresholds; it applies where the program has the table.
        bound: name of the threshold that decides.
        limit: at or above which a value counts, for a lowest value.
    """

    table: str
    bound: str
    limit: Callable[[Situation, float], float]


@dataclass(frozen=True, slots=True)
class _Marker:
    """A marker: its code, its name for people, its definitions, the table of its doubling time."""

    code: codes.Code
    label: str
    definitions: tuple[_Definition, ...]
    doubling: str


class _Finding(NamedTuple):
    definition: _Definition
    rise: Rise


def _upper_limit(situation: Situation, code: codes.Code, table: str) -> float:
    """The laboratory's own, or else the one of the rule pack."""
    known = situation.given.care.laboratory_range(code.name)
    if known is not None and known.high is not None:
        return known.high
    return situation.threshold(table, "upper_limit_if_unknown")


def _ca_125(situation: Situation, nadir: float) -> float:
    upper = _upper_limit(situation, codes.CANCER_ANTIGEN_125, "ca_125")
    if nadir > upper:
        return nadir * situation.threshold("ca_125", "times_nadir")
    return upper * situation.threshold("ca_125", "times_upper_limit")


def _phoenix(situation: Situation, nadir: float) -> float:
    return nadir + situation.threshold("psa_phoenix", "above_nadir")


def _pcwg3(situation: Situation, nadir: float) -> float:
    share, above = (situation.threshold("psa_pcwg3", name) for name in ("share_above_nadir", "above_nadir"))
    return max(nadir * (1.0 + share), nadir + above)


def _cea(situation: Situation, nadir: float) -> float:
    upper = _upper_limit(situation, codes.CARCINOEMBRYONIC_ANTIGEN, "cea")
    return max(upper, nadir * (1.0 + situation.threshold("cea", "share_above_nadir")))


def _ctdna(situation: Situation, nadir: float) -> float:
    times, smallest = (situation.threshold("ctdna", name) for name in ("times_nadir", "smallest_fraction"))
    return max(smallest, nadir * times)


_MARKERS = (
    _Marker(
        codes.PROSTATE_SPECIFIC_ANTIGEN,
        "PSA",
        (_Definition("psa_pcwg3", "above_nadir", _pcwg3), _Definition("psa_phoenix", "above_nadir", _phoenix)),
        "psa_doubling",
    ),
    _Marker(
        codes.CANCER_ANTIGEN_125, "CA-125", (_Definition("ca_125", "times_upper_limit", _ca_125),), "marker_doubling"
    ),
    _Marker(codes.CARCINOEMBRYONIC_ANTIGEN, "CEA", (_Definition("cea", "share_above_nadir", _cea),), "marker_doubling"),
    _Marker(codes.CTDNA_FRACTION, "ctDNA", (_Definition("ctdna", "times_nadir", _ctdna),), "marker_doubling"),
)


def biomarker_flags(situation: Situation) -> Iterator[Flag]:
    """At most one flag for each marker of the program: risen (noted or confirmed), or not comparable."""
    for marker in _MARKERS:
        definitions = [d for d in marker.definitions if d.table in situation.given.program.thresholds]
        if definitions:
            yield from _of_marker(situation, marker, definitions)


def _of_marker(situation: Situation, marker: _Marker, definitions: list[_Definition]) -> Iterator[Flag]:
    """A rise within any one assay; the assay used last is asked first."""
    series = by_assay(situation, marker.code)
    for readings in series:
        if findings := _findings(situation, definitions, readings):
            yield _risen(situation, marker, findings, readings, len(series))
            return
    if len(series) > 1:
        yield from _not_comparable(situation, marker, series)


def _findings(situation: Situation, definitions: list[_Definition], readings: Readings) -> list[_Finding]:
    """What the definitions find, confirmed ones first."""
    rises = (
        (d, find_rise(readings, partial(d.limit, situation), situation.span(d.table, "confirm_days")))
        for d in definitions
    )
    found = [_Finding(definition, rise) for definition, rise in rises if rise]
    return sorted(found, key=lambda finding: finding.rise.confirmed_by is None)


def _risen(situation: Situation, marker: _Marker, findings: list[_Finding], readings: Readings, assays: int) -> Flag:
    definition, rise = findings[0]
    confirmed = rise.confirmed_by is not None
    growth, missing = growth_text(situation, marker.doubling, readings, rise.nadir)
    return Flag(
        kind=FlagKind.BIOMARKER_RISE,
        time=(rise.confirmed_by or rise.first).time,
        urgency=Urgency.THIS_WEEK if confirmed else Urgency.NOTE,
        origin=Origin.LAB,
        says=Sentences(
            action=(say("biomarkers.action" if confirmed else "biomarkers.action_unconfirmed"),),
            reason=_reason(situation, marker, findings[0]),
            clinician=(*(_by_definition(situation, marker, finding) for finding in findings), *growth),
            would_change=(say("biomarkers.would_change"),),
            limits=(say("biomarkers.limits"),),
            data_quality=(*_quality(situation, marker, findings[0], assays), *missing),
        ),
        topic=marker.code.name,
        evidence=tuple(evidence(reading) for reading in rise.readings),
        bound=situation.bound(definition.table, definition.bound),
    )


def _reason(situation: Situation, marker: _Marker, finding: _Finding) -> Text:
    rise, days = finding.rise, situation.threshold(finding.definition.table, "confirm_days")
    said = say("biomarkers.risen", label=marker.label, unit=marker.code.unit, **_values(situation, rise))
    if rise.confirmed_by is None:
        return said, say("biomarkers.second_needed", days=days)
    return said, say("biomarkers.second_came", time=situation.local(rise.confirmed_by.time))


def _values(situation: Situation, rise: Rise) -> Values:
    return {
        "value": rise.newest.value,
        "time": situation.local(rise.newest.time),
        "nadir": rise.nadir.value,
        "sign": rise.nadir.limit_sign,
        "nadir_time": situation.local(rise.nadir.time),
    }


def _by_definition(situation: Situation, marker: _Marker, finding: _Finding) -> Message:
    """The finding in the terms of its definition."""
    definition, rise = finding
    said: Values = {
        "definition": say(f"biomarkers.{definition.table}"),
        "label": marker.label,
        "limit": rise.limit,
        "unit": marker.code.unit,
        "first": rise.first.value,
        "first_time": situation.local(rise.first.time),
        "days": situation.threshold(definition.table, "confirm_days"),
        **_values(situation, rise),
    }
    if rise.confirmed_by is None:
        return say("biomarkers.unconfirmed", **said)
    return say("biomarkers.confirmed", **said, confirmed_time=situation.local(rise.confirmed_by.time))


def _quality(situation: Situation, marker: _Marker, finding: _Finding, assays: int) -> Iterator[Message]:
    """What is unknown, old, or not comparable."""
    table = finding.definition.table
    if "upper_limit_if_unknown" in situation.given.program.thresholds[table]:
        known = situation.given.care.laboratory_range(marker.code.name)
        if known is None or known.high is None:
            limit = situation.threshold(table, "upper_limit_if_unknown")
            yield say("biomarkers.limit_unknown", label=marker.label, limit=limit, unit=marker.code.unit)
    if situation.now - finding.rise.newest.time > situation.span(table, "old_days"):
        days = (situation.now - finding.rise.newest.time).days
        yield say("biomarkers.old", label=marker.label, days=days)
    if situation.given.care.markers_since is None:
        yield say("biomarkers.since_unknown")
    if assays > 1:
        yield say("biomarkers.assays", label=marker.label, assays=assays)


def _not_comparable(situation: Situation, marker: _Marker, series: tuple[Readings, ...]) -> Iterator[Flag]:
    """Another laboratory or method since not long: said until it has values enough of its own."""
    newest = series[0]
    needed = situation.threshold(marker.doubling, "values_needed")
    if len(newest) >= needed:
        return
    said: Values = {"label": marker.label, "values": len(newest), "needed": needed, "assays": len(series)}
    yield Flag(
        kind=FlagKind.DATA_QUALITY,
        time=newest[0].time,
        urgency=Urgency.NOTE,
        origin=Origin.LAB,
        says=Sentences(
            action=(say("biomarkers.assay_action"),),
            reason=(say("biomarkers.assay_changed", **said, time=situation.local(newest[0].time)),),
            would_change=(say("biomarkers.assay_would_change", needed=needed),),
            data_quality=(say("biomarkers.assays", label=marker.label, assays=len(series)),),
        ),
        topic=f"{marker.code.name}_assay",
        evidence=tuple(evidence(readings[-1]) for readings in series),
        bound=situation.bound(marker.doubling, "values_needed"),
    )
