"""One detector in one setting, measured: rates with intervals, chance, lead, load, pseudo-onset control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_twin_app.evaluation.alerts import Outcomes, outcomes
from edge_twin_app.evaluation.calendars import DAYS_PER_WEEK, Bools, Calendar
from edge_twin_app.evaluation.pseudo_onsets import shares
from edge_twin_app.evaluation.resampling import RATES, interval, rates, ratio
from edge_twin_app.evaluation.rules import Windows
from edge_twin_app.evaluation.table import Floats, Integers

Cell = float | int | str | bool | None | list[str]
Row = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all detectors share.

    Attributes:
        calendars: of the subjects.
        onsets: pseudo-onsets of the subjects.
        weights: of the bootstrap [resamples, n].
        rule: windows.
    """

    calendars: Sequence[Calendar]
    onsets: Sequence[Integers]
    weights: Floats
    rule: Windows


@dataclass(frozen=True, slots=True)
class Measured:
    """One detector in one setting.

    Attributes:
        outcomes: by subject.
        rates: ``RATES`` of the table itself [3].
        draws: and of each resample [3, resamples].
        pseudo: detected pseudo-onsets, and early ones: shares by subject [2, n].
        pseudo_draws: their means over subjects in each resample [2, resamples].
    """

    outcomes: Outcomes
    rates: Floats
    draws: Floats
    pseudo: Floats
    pseudo_draws: Floats


def measured(bench: Bench, flagged: Sequence[Bools]) -> Measured:
    """Measure a detector.

    Args:
        bench: calendars, pseudo-onsets and resamples.
        flagged: the calendar's days of each subject that are flagged.
    """
    found = outcomes(bench.calendars, flagged, bench.rule)
    once = np.ones((1, len(bench.calendars)))
    pseudo = shares(bench.calendars, flagged, bench.onsets, bench.rule)
    draws = np.array([_means(bench.weights, values) for values in pseudo])
    return Measured(found, rates(found, once)[:, 0], rates(found, bench.weights), pseudo, draws)


def _means(weights: Floats, values: Floats) -> Floats:
    """Weighted mean of the values that exist, in each resample."""
    there = np.isfinite(values)
    return ratio(weights[:, there] @ values[there], weights[:, there].sum(axis=1))


def chance(false_alerts_per_week: float, days: int) -> float:
    """Probability that Poisson alerts of that rate hit a window of ``days`` by luck."""
    return 1.0 - math.exp(-false_alerts_per_week * days / DAYS_PER_WEEK)


def chance_refractory(false_alerts_per_week: float, days: int, refractory_days: int) -> float:
    """The same for flags that are independent from day to day and alert after a refractory period.

    Such alerts are more regular than Poisson's and hit a long window more often: a stationary renewal process, whose
    window is missed with probability rate * sum of P(interval > u) over u >= days.

    Args:
        false_alerts_per_week: of valid days.
        days: of the window, at least ``refractory_days`` - 1.
        refractory_days: shortest interval between two alerts.
    """
    rate = false_alerts_per_week / DAYS_PER_WEEK
    if rate <= 0.0:
        return 0.0
    waiting = 1.0 / rate - (refractory_days - 1)  # mean days to a flag once the period is over
    if waiting <= 1.0:
        return 1.0
    return float(1.0 - rate * waiting * (1.0 - 1.0 / waiting) ** (days - (refractory_days - 1)))


def measures(found: Measured, rule: Windows) -> Row:
    """The columns of the table; None where there is nothing to measure."""
    row: Row = {}
    for name, value, draws in zip(RATES, found.rates.tolist(), found.draws, strict=True):
        row |= _with_interval(name, value, draws)
    return row | _luck(found.rates, rule) | _load(found.outcomes) | _control(found, rule)


def _luck(values: Floats, rule: Windows) -> Row:
    """Chance and excess of both shares."""
    false_alerts, sensitivity, early = values.tolist()
    by_luck = chance(false_alerts, rule.days_in_window)
    early_by_luck = chance(false_alerts, -rule.window_first_day)
    return {
        "chance": number(by_luck),
        "excess": number(sensitivity - by_luck),
        "chance_pre_symptomatic": number(early_by_luck),
        "excess_pre_symptomatic": number(early - early_by_luck),
    }


def _load(found: Outcomes) -> Row:
    """Lead, alerts, predictive value and flagged days."""
    true, false = float(found.true_alerts.sum()), float(found.false_alerts.sum())
    eligible, weeks = float(found.eligible.sum()), float(found.weeks.sum())
    leads = found.lead[np.isfinite(found.lead)]
    return {
        "detected_subjects": int(found.detected.sum()),
        "pre_symptomatic_subjects": int(found.early.sum()),
        "lead_days_median": float(np.median(leads)) if leads.size else None,
        "alerts_in_window": int(true),
        "alerts_false": int(false),
        "alerts_unscored": int(found.unscored_alerts.sum()),
        "alert_ppv": true / (true + false) if true + false else None,
        "alert_days_per_case": float(found.flagged_window_days.sum()) / eligible if eligible else None,
        "alert_days_per_control_week": float(found.flagged_control_days.sum()) / weeks if weeks else None,
    }


def _control(found: Measured, rule: Windows) -> Row:
    """Pseudo-onsets against chance; an advantage there points to look-ahead or a faulty window."""
    row: Row = {"pseudo_onset_subjects": int(np.isfinite(found.pseudo[0]).sum())}
    windows = (rule.days_in_window, -rule.window_first_day)
    pairs = zip(_PSEUDO, _CHANCES, windows, pseudo_means(found), found.pseudo_draws, found.rates[1:], strict=True)
    for name, key, days, value, draws, share in pairs:
        regular = chance_refractory(float(found.rates[0]), days, rule.refractory_days)
        row |= _with_interval(name, value, draws) | {key: number(regular)}
        row[f"excess_over_{name}"] = number(float(share) - value)
        row[f"{name}_advantage"] = bool(interval(draws)[0] > regular)
    return row


def pseudo_means(found: Measured) -> list[float]:
    """Shares of pseudo-onsets detected and detected early, over the subjects that have any."""
    there = np.isfinite(found.pseudo[0])
    return [float(values[there].mean()) if there.any() else math.nan for values in found.pseudo]


_CHANCES = ("chance_refractory", "chance_refractory_pre_symptomatic")
_PSEUDO = ("pseudo_onset_sensitivity", "pseudo_onset_pre_symptomatic")
_COMPARED = (*RATES, *_PSEUDO)


def differences(ours: Measured, other: Measured) -> Row:
    """Ours minus the other's on the same resamples, with 95 % intervals."""
    row: Row = {}
    pairs = zip(_COMPARED, _all_rates(ours), _all_rates(other), _all_draws(ours), _all_draws(other), strict=True)
    for name, mine, theirs, my_draws, their_draws in pairs:
        row |= _with_interval(f"ours_minus_{name}", mine - theirs, my_draws - their_draws)
    return row


def _all_rates(found: Measured) -> list[float]:
    return [*found.rates.tolist(), *pseudo_means(found)]


def _all_draws(found: Measured) -> Floats:
    return np.concatenate((found.draws, found.pseudo_draws))


def _with_interval(name: str, value: float, draws: Floats) -> Row:
    low, high = interval(draws)
    return {name: number(value), f"{name}_low": number(low), f"{name}_high": number(high)}


def number(value: float) -> float | None:
    """The value, None when it is not a number: JSON has no NaN."""
    return float(value) if math.isfinite(value) else None
