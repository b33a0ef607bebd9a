"""The map from the detector's score to a probability of onset, fitted on development seeds.

``python -m edge_twin_app.evaluation.onset_map [SEED ...]`` prints intercept and slope for ``detector.toml`` on both
simulated cohorts together. Seeds of a report must be others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_twin_app.errors import AppError
from edge_twin_app.evaluation.onset_calibration import TWO_STREAMS, asked_days, cohort_rows, starts_in_window
from edge_twin_app.evaluation.ours import readable_streams, run_ours
from edge_twin_models.cohorts import GENERATORS

Floats = NDArray[np.float64]
DEVELOPMENT_SEEDS = (1, 2, 3, 4)
SUBJECTS = 260
_STEPS, _SETTLED = 50, 1e-10


def fitted(scores: Floats, happened: Floats) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of the outcome [n] on the score [n], by Newton's method.

    Raises:
        AppError: ``no_fit`` - outcomes all alike, or perfectly separated by the score.
    """
    design = np.column_stack((np.ones(scores.size), scores))
    weights = np.zeros(2)
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-design @ weights))
        information = design.T @ (design * (probability * (1 - probability))[:, None])
        if not np.all(np.isfinite(information)) or np.linalg.cond(information) > 1 / np.finfo(np.float64).eps:
            break
        step = np.linalg.solve(information, design.T @ (happened - probability))
        weights = weights + step
        if float(np.abs(step).max()) < _SETTLED:
            return float(weights[0]), float(weights[1])
    raise AppError("no logistic map fits these outcomes", reason="no_fit")


def scored_days(generator: str, seed: int, streams: Sequence[str], subjects: int = SUBJECTS) -> tuple[Floats, Floats]:
    """Score and outcome of every day that the calibration asks about, of one simulated cohort."""
    rows = cohort_rows(generator, subjects, seed)
    scored = run_ours("detector", streams, rows, lambda: None)
    scores, happened = [], []
    for subject, values in zip(rows, scored.scores, strict=True):
        asked = asked_days(subject, values)
        scores.append(values[asked])
        happened.append(starts_in_window(subject.day[asked]))
    return np.concatenate(scores), np.concatenate(happened)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit and print, for the two streams, for all of them, and for both together."""
    parser = argparse.ArgumentParser(description="Fit the detector's map from score to probability.")
    parser.add_argument("seeds", nargs="*", type=int, default=list(DEVELOPMENT_SEEDS))
    parser.add_argument("--subjects", type=int, default=SUBJECTS)
    options = parser.parse_args(arguments)
    found = {
        name: [
            scored_days(generator, seed, streams, options.subjects)
            for generator in GENERATORS
            for seed in tqdm(options.seeds, desc=f"{name}, {generator}", leave=False, disable=None)
        ]
        for name, streams in (("heart rate and steps", TWO_STREAMS), ("all streams", readable_streams()))
    }
    found["both"] = [part for parts in list(found.values()) for part in parts]
    for name, parts in found.items():
        scores, happened = (np.concatenate(column) for column in zip(*parts, strict=True))
        intercept, slope = fitted(scores, happened)
        sys.stdout.write(
            f"{name}: intercept {intercept:.3f}, slope {slope:.3f}; {scores.size} days, {happened.mean():.3f} with an "
            "onset in the window\n"
        )


if __name__ == "__main__":
    main()
