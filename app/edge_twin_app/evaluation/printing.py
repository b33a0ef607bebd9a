"""The evaluation as text: one table at equal false-alert rates, one of differences, one of own rules, and notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from edge_twin_app.evaluation.comparison import IN_SAMPLE, MATCHED, Comparison
from edge_twin_app.evaluation.measures import Row
from edge_twin_app.evaluation.ours import OURS
from edge_twin_app.evaluation.table import Quality

_NAME_WIDTH, _WIDTH, _WIDE = 25, 9, 22
Column = tuple[str, int, Callable[[Row], str]]


def _plain(key: str, form: str) -> Callable[[Row], str]:
    def shown(row: Row) -> str:
        value = row.get(key)
        return "-" if value is None else format(value, form)

    return shown


def _ranged(key: str, form: str = ".3f") -> Callable[[Row], str]:
    def shown(row: Row) -> str:
        cells = [row.get(name) for name in (key, f"{key}_low", f"{key}_high")]
        if cells[0] is None:
            return "-"
        value, low, high = ("-" if cell is None else format(cell, form) for cell in cells)
        return f"{value} ({low} {high})"

    return shown


_MEASURED: tuple[Column, ...] = (
    ("fa", _WIDTH, _plain("false_alerts_per_person_week", ".3f")),
    ("sensitivity (95 %)", _WIDE, _ranged("sensitivity")),
    ("chance", _WIDTH, _plain("chance", ".3f")),
    ("excess", _WIDTH, _plain("excess", "+.3f")),
    ("pre-sympt. (95 %)", _WIDE, _ranged("pre_symptomatic_share")),
    ("chance", _WIDTH, _plain("chance_pre_symptomatic", ".3f")),
    ("excess", _WIDTH, _plain("excess_pre_symptomatic", "+.3f")),
    ("lead d", _WIDTH, _plain("lead_days_median", ".1f")),
    ("unscored", _WIDTH, _plain("alerts_unscored", "d")),
    ("PPV", _WIDTH, _plain("alert_ppv", ".3f")),
    ("days/case", 10, _plain("alert_days_per_case", ".2f")),
    ("days/week", 10, _plain("alert_days_per_control_week", ".3f")),
    ("µs/day", _WIDTH, _plain("microseconds_per_subject_day", ".1f")),
    ("x z14", _WIDTH, _plain("cost_ratio_z14", ".1f")),
)
_DIFFERENCES: tuple[Column, ...] = (
    ("sensitivity", 25, _ranged("ours_minus_sensitivity", "+.3f")),
    ("pre-symptomatic", 25, _ranged("ours_minus_pre_symptomatic_share", "+.3f")),
    ("false alerts per week", 25, _ranged("ours_minus_false_alerts_per_person_week", "+.3f")),
    ("pseudo-onset", 25, _ranged("ours_minus_pseudo_onset_sensitivity", "+.3f")),
)
_PSEUDO: tuple[Column, ...] = (
    ("detected", _WIDE, _ranged("pseudo_onset_sensitivity")),
    ("chance", _WIDTH, _plain("chance", ".3f")),
    ("refractory", 12, _plain("chance_refractory", ".3f")),
    ("excess", _WIDTH, _plain("excess_over_pseudo_onset_sensitivity", "+.3f")),
    ("early", _WIDE, _ranged("pseudo_onset_pre_symptomatic")),
    ("chance", _WIDTH, _plain("chance_pre_symptomatic", ".3f")),
    ("refractory", 12, _plain("chance_refractory_pre_symptomatic", ".3f")),
    ("excess", _WIDTH, _plain("excess_over_pseudo_onset_pre_symptomatic", "+.3f")),
    ("subjects", _WIDTH, _plain("pseudo_onset_subjects", "d")),
)


def text(found: Comparison, quality: Quality) -> str:
    """Everything that the command prints."""
    matched = [row for row in found.rows if row["setting"] == MATCHED and "note" not in row]
    in_sample = [row for row in found.rows if row["setting"] == IN_SAMPLE and "note" not in row]
    own = [row for row in found.rows if row["setting"] not in {MATCHED, IN_SAMPLE}]
    scalars = found.scalars
    parts = [
        _heading(scalars),
        *_block("At equal false-alert rates (fa = realised false alerts per person-week)", _MEASURED, matched),
        *_block(f"{OURS} minus the other, same resamples (95 %)", _DIFFERENCES, _compared(matched)),
        *_block(
            "Pseudo-onsets, drawn among control days: nothing to detect (excess = real onsets minus these)",
            _PSEUDO,
            matched,
        ),
        *_block("Thresholds chosen IN SAMPLE, on the subjects they are judged on: optimistic", _MEASURED, in_sample),
        *_block(f"In sample: {OURS} minus the other (95 %)", _DIFFERENCES, _compared(in_sample)),
        *_block("By each detector's own rule: false-alert rates differ, not comparable", _MEASURED, own),
        *_notes(found, quality),
    ]
    return "\n".join([*parts, ""])


def _compared(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if "ours_minus_sensitivity" in row]


def _heading(scalars: Mapping[str, object]) -> str:
    return (
        f"{scalars['subjects']} subjects, {scalars['subjects_eligible']} eligible, {scalars['control_weeks']:.1f} "
        f"control person-weeks, {scalars['sources']} source(s); target {scalars['fa_target']:g} false alerts per "
        f"person-week; thresholds: {str(scalars['thresholds']).replace('_', ' ')}; {scalars['bootstrap']} resamples, "
        f"seed {scalars['seed']}"
    )


def _block(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    head = f"{'detector':<{_NAME_WIDTH}}" + "".join(f"{name:>{width}}" for name, width, _ in columns)
    lines = [
        f"{row['detector']!s:<{_NAME_WIDTH}}" + "".join(f"{shown(row):>{width}}" for _, width, shown in columns)
        for row in rows
    ]
    return ["", title, head, *lines]


def _notes(found: Comparison, quality: Quality) -> list[str]:
    notes = [f"{row['detector']}: {row['note']}" for row in found.rows if "note" in row]
    scalars = found.scalars
    if not scalars["subjects_eligible"]:
        notes.append("no subject is eligible: sensitivity cannot be measured on this table")
    if scalars["best_peer_sensitivity"]:
        notes += [_best(scalars, share) for share in ("sensitivity", "pre_symptomatic_share")]
    return ["", *notes, *quality_lines(quality)]


def _best(scalars: Mapping[str, object], share: str) -> str:
    gap = _ranged(f"ours_minus_best_peer_{share}", "+.3f")(cast("Row", scalars))
    return f"best peer by {share.replace('_', ' ')}: {scalars[f'best_peer_{share}']}; {OURS} minus it {gap}"


def quality_lines(quality: Quality) -> list[str]:
    """What the reader met, said whether or not anything was wrong."""
    impossible = _counts(quality.impossible)
    told = (
        f"data quality: {quality.rows} rows, {quality.rows_without_values} without resting heart rate and steps; "
        f"missing: {_counts(quality.missing)}; impossible and counted as missing: {impossible}; subjects with a stuck "
        f"resting heart rate: {quality.subjects_with_stuck_rate}"
    )
    lines = [told]
    if quality.ignored_columns:
        lines.append(f"ignored columns of text: {', '.join(quality.ignored_columns)}")
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "none"
