"""Threshold and probability map of the shipped detector, fitted on development seeds.

``python -m edge_twin_app.evaluation.detector_fit [SEED ...]`` prints, from heart rate and steps of both simulated
cohorts, the threshold at which alerts on control days keep the budget, and the four numbers of the map. Seeds of a
report must be others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_twin_app.evaluation.alerts import alerts_by_threshold
from edge_twin_app.evaluation.calendars import calendar
from edge_twin_app.evaluation.onset_calibration import TWO_STREAMS, asked_days, cohort_rows, starts_in_window
from edge_twin_app.evaluation.ours import run_ours
from edge_twin_app.evaluation.rules import windows
from edge_twin_app.evaluation.table import SubjectDays
from edge_twin_models.cohorts import GENERATORS

Floats = NDArray[np.float64]
DEVELOPMENT_SEEDS = (1, 2, 3)
SUBJECTS = 200
BUDGET = 0.23  # alerts per person-week on control days, a little below the 0.25 of the protocol
_BOUNDS = ((-8.0, 5.0), (0.05, 4.0), (0.0, 0.16), (0.1, 1.0))
_STARTS = ((-2.0, 1.0, 0.05, 0.3), (-1.0, 0.5, 0.03, 0.25), (0.0, 2.0, 0.05, 0.2))
_CANDIDATES = np.linspace(0.2, 2.5, 93)


def probability(weights: Floats, scores: Floats) -> Floats:
    """The map of ``detector.toml``: lowest + (highest - lowest) * logistic(intercept + slope * score).

    Args:
        weights: intercept, slope, lowest, highest.
        scores: [n].
    """
    inner = np.clip(weights[0] + weights[1] * scores, -60.0, 60.0)
    return np.asarray(weights[2] + (weights[3] - weights[2]) / (1.0 + np.exp(-inner)), dtype=np.float64)


def bounded_map(scores: Floats, happened: Floats) -> Floats:
    """Intercept, slope, lowest and highest of greatest likelihood.

    Args:
        scores: [n].
        happened: [n] 1 where the event came, 0 else.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - of the extra `all`; the command alone needs it

    def loss(weights: Floats) -> float:
        chance = np.clip(probability(weights, scores), 1e-9, 1.0 - 1e-9)
        return float(-np.mean(happened * np.log(chance) + (1.0 - happened) * np.log(1.0 - chance)))

    found = [minimize(loss, np.array(start), method="L-BFGS-B", bounds=_BOUNDS) for start in _STARTS]
    return np.asarray(min(found, key=lambda result: float(result.fun)).x, dtype=np.float64)


def threshold_at(subjects: Sequence[SubjectDays], scores: Sequence[Floats], budget: float) -> float:
    """The lowest threshold whose alerts on control days keep a budget per person-week.

    Args:
        subjects: of one cohort.
        scores: of each subject's rows, NaN where not scored.
        budget: alerts per person-week.
    """
    rule, counts, weeks = windows(), np.zeros(_CANDIDATES.size), 0.0
    for subject, values in zip(subjects, scores, strict=True):
        days = calendar(subject, rule)
        flagged = np.nan_to_num(values[days.row], nan=-np.inf)[None, :] >= _CANDIDATES[:, None]
        raised = alerts_by_threshold(days.day, flagged, rule.refractory_days)
        counts += np.count_nonzero(raised & days.control, axis=1)
        weeks += days.control_weeks
    return float(_CANDIDATES[np.argmax(counts <= budget * weeks)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description="Fit threshold and probability map of the detector.")
    parser.add_argument("seeds", nargs="*", type=int, default=list(DEVELOPMENT_SEEDS))
    parser.add_argument("--subjects", type=int, default=SUBJECTS)
    options = parser.parse_args(arguments)
    pairs: list[tuple[Floats, Floats]] = []
    for generator in GENERATORS:
        rows = [row for seed in options.seeds for row in cohort_rows(generator, options.subjects, seed)]
        scored = run_ours("detector", TWO_STREAMS, rows, lambda: None).scores
        sys.stdout.write(f"{generator}: threshold {threshold_at(rows, scored, BUDGET):.3f}\n")
        asked = [asked_days(row, values) for row, values in zip(rows, scored, strict=True)]
        pairs += [(v[a], starts_in_window(r.day[a])) for r, v, a in zip(rows, scored, asked, strict=True)]
    scores, happened = (np.concatenate(column) for column in zip(*pairs, strict=True))
    names = ("intercept", "slope", "lowest", "highest")
    fitted = zip(names, bounded_map(scores, happened), strict=True)
    sys.stdout.write(", ".join(f"{name} {value:.3f}" for name, value in fitted) + f"; {scores.size} days\n")


if __name__ == "__main__":
    main()
