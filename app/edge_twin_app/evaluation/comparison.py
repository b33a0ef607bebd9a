"""The whole evaluation of a daily table: our detector and the peers at equal false-alert rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.alerts import curve
from edge_twin_app.evaluation.calendars import calendars
from edge_twin_app.evaluation.detectors import Scored, Tick, run_peer
from edge_twin_app.evaluation.measures import Bench, Measured, Row, differences, measured, measures
from edge_twin_app.evaluation.ours import OURS, readable_streams, run_ours
from edge_twin_app.evaluation.peers import PEERS
from edge_twin_app.evaluation.pseudo_onsets import drawn
from edge_twin_app.evaluation.resampling import resamples
from edge_twin_app.evaluation.rules import section, windows
from edge_twin_app.evaluation.table import RATE, STEPS, DailyTable, Floats
from edge_twin_app.evaluation.thresholds import Pooled, best, groups, left_out_thresholds, pooled

MATCHED, IN_SAMPLE = "matched", "in_sample"
ALL_STREAMS = f"{OURS}_all_streams"
UNIT_OF_COST = "z14"
SAME_STREAMS = (RATE, STEPS)
T = TypeVar("T", bound=np.generic)
Progress = Callable[[str], Tick]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller decides.

    Attributes:
        target: false alerts per person-week that thresholds are chosen for.
        resamples: of the bootstrap.
        seed: of bootstrap and pseudo-onsets.
    """

    target: float
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer.

    Attributes:
        rows: one for each detector and setting.
        scalars: what holds for all rows.
        curves: of each matched detector, in sample, for the picture.
        control_weeks, eligible: denominators of the curves.
    """

    rows: list[Row]
    scalars: dict[str, object]
    curves: dict[str, Pooled]
    control_weeks: float
    eligible: int


def score_ours(table: DailyTable, tick: Tick) -> Scored:
    """Our detector on the two streams that the peers get."""
    return run_ours(OURS, SAME_STREAMS, table.subjects, tick)


def further_streams(table: DailyTable) -> tuple[str, ...]:
    """Columns beyond the two that our detector can read."""
    return tuple(column for column in table.columns if column in readable_streams() and column not in SAME_STREAMS)


def compare(table: DailyTable, ours: Scored, choices: Choices, progress: Progress) -> Comparison:
    """Score the peers, choose thresholds without the subjects they are applied to, measure, compare.

    Args:
        table: the days of all subjects.
        ours: as :func:`score_ours` gives it.
        choices: target, resamples, seed.
        progress: by the name of a detector, what to call after each subject.
    """
    rule = windows()
    known = calendars(table.subjects, rule)
    sources = [subject.source for subject in table.subjects]
    onsets = drawn(known, rule, section("comparison")["pseudo_onsets_per_subject"], choices.seed)
    bench = Bench(known, onsets, resamples(sources, choices.resamples, choices.seed), rule)
    scored, notes = _all_scored(table, ours, progress)
    way, left_out = groups(table.subjects)
    matching = _Matching(bench, left_out, choices.target)
    rows, curves = matching.rows(scored)
    unit = next((found.microseconds for found in scored if found.name == UNIT_OF_COST), np.nan)
    for row in rows:
        row["cost_ratio_z14"] = row["microseconds_per_subject_day"] / unit  # type: ignore[operator]
    eligible = sum(calendar.eligible for calendar in known)
    weeks = sum(calendar.control_weeks for calendar in known)
    scalars = {
        "subjects": len(known),
        "subjects_eligible": eligible,
        "sources": len(set(sources)),
        "control_weeks": weeks,
        "fa_target": choices.target,
        "thresholds": way,
        "bootstrap": choices.resamples,
        "seed": choices.seed,
        **best_peers(rows),
    }
    return Comparison([*rows, *notes], scalars, curves, weeks, eligible)


def _all_scored(table: DailyTable, ours: Scored, progress: Progress) -> tuple[list[Scored], list[Row]]:
    """Every detector that can run here, and a row with the reason for every one that cannot."""
    scored, notes = [ours], list[Row]()
    if further := further_streams(table):
        streams = (*SAME_STREAMS, *further)
        scored.append(run_ours(ALL_STREAMS, streams, table.subjects, progress(ALL_STREAMS)))
    for peer in PEERS:
        try:
            scored.append(run_peer(peer, table.subjects, progress(peer.name)))
        except AppError as error:
            notes.append({"detector": peer.name, "setting": MATCHED, "note": f"not run: {error} [{error.reason}]"})
    return scored, notes


@dataclass(frozen=True, slots=True)
class _Matching:
    """Detectors measured at thresholds that meet the target, and by their own rules."""

    bench: Bench
    left_out: Sequence[Sequence[int]]
    target: float

    def rows(self, scored: Sequence[Scored]) -> tuple[list[Row], dict[str, Pooled]]:
        """Rows at left-out thresholds, then in sample, then by the detectors' own rules; and the curves."""
        matched, in_sample = _Setting(MATCHED, self.bench), _Setting(IN_SAMPLE, self.bench)
        curves = dict[str, Pooled]()
        for found in scored:
            scores = self._days(found.scores)
            pairs = zip(self.bench.calendars, scores, strict=True)
            own = [curve(known, values, self.bench.rule) for known, values in pairs]
            curves[found.name] = pooled(own)
            left_out = left_out_thresholds(own, self.bench.calendars, self.left_out, self.target)
            matched.take(found, scores, left_out)
            in_sample.take(found, scores, self._one_for_all(curves[found.name]))
        return [*matched.rows, *in_sample.rows, *self._own_rules(scored)], curves

    def _one_for_all(self, everyone: Pooled) -> Floats:
        weeks = sum(known.control_weeks for known in self.bench.calendars)
        chosen = everyone.thresholds[best(everyone.counts, self.target * weeks)] if weeks else np.nan
        return np.full(len(self.bench.calendars), chosen)

    def _own_rules(self, scored: Sequence[Scored]) -> Iterator[Row]:
        for found in scored:
            if found.alerts is not None:
                flagged = self._days(found.alerts)
                yield _identity(found, found.rule) | measures(measured(self.bench, flagged), self.bench.rule)

    def _days(self, rows: Sequence[NDArray[T]]) -> list[NDArray[T]]:
        """The calendar's days of each subject's rows."""
        return [values[known.row] for values, known in zip(rows, self.bench.calendars, strict=True)]


@dataclass(slots=True)
class _Setting:
    """Rows of all detectors in one setting; the first detector is ours, which the others are compared with."""

    name: str
    bench: Bench
    rows: list[Row] = field(default_factory=list)
    ours: Measured | None = None

    def take(self, found: Scored, scores: Sequence[Floats], thresholds: Floats) -> None:
        """Measure one detector at the threshold of each subject."""
        row = _identity(found, self.name)
        self.rows.append(row)
        if np.isnan(thresholds).any():
            row["note"] = "no threshold: the other subjects have no control days"
            return
        result = measured(self.bench, [s >= limit for s, limit in zip(scores, thresholds, strict=True)])
        row |= _spread(thresholds) | measures(result, self.bench.rule)
        if self.ours is None:
            self.ours = result
        else:
            row |= differences(self.ours, result)


def _identity(found: Scored, setting: str) -> Row:
    return {
        "detector": found.name,
        "setting": setting,
        "streams": list(found.streams),
        "source": found.source,
        "microseconds_per_subject_day": found.microseconds,
    }


def _spread(thresholds: Floats) -> Row:
    """The thresholds of the left-out groups; an infinite one, that flags nothing, is None."""
    finite = thresholds[np.isfinite(thresholds)]
    found = [float(f(finite)) if finite.size else None for f in (np.median, np.min, np.max)]
    return dict(zip(("threshold_median", "threshold_low", "threshold_high"), found, strict=True))


def best_peers(rows: Sequence[Row]) -> dict[str, object]:
    """The matched peers with the highest sensitivity and pre-symptomatic share, and what ours has more than they.

    Ties go to the higher of the other of the two.
    """
    matched = [row for row in rows if row["setting"] == MATCHED and row["detector"] not in {OURS, ALL_STREAMS}]
    named: dict[str, object] = {}
    for first, second in (_SHARES, _SHARES[::-1]):
        there = [row for row in matched if row.get(first) is not None]
        highest: Row = max(there, key=partial(_pair, first, second), default={})
        named[f"best_peer_{first}"] = highest.get("detector")
        for end in ("", "_low", "_high"):
            named[f"ours_minus_best_peer_{first}{end}"] = highest.get(f"ours_minus_{first}{end}")
    return named


_SHARES = ("sensitivity", "pre_symptomatic_share")


def _pair(first: str, second: str, row: Row) -> tuple[float, float]:
    one, other = (value if isinstance(value := row.get(key), float) else -1.0 for key in (first, second))
    return one, other
