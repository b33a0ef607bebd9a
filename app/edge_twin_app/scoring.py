"""Forecasts of each next count, scored: coverage, pinball loss, Brier score, against LOCF and the prior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_twin.assimilation import Counts, assimilate
from edge_twin.contract import Model
from edge_twin.low_count import LowCount
from edge_twin_app.count_table import PatientRows

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
METHODS = ("twin", "prior", "locf")
SMALLEST = 0.01  # 10*9/L, below what any counter resolves; only keeps logarithms finite
RESAMPLES = 2000
Floats = NDArray[np.float64]


def metrics(event: LowCount) -> tuple[str, ...]:
    """Names of the scores; the Brier score carries the threshold of its event."""
    brier = f"brier_{event.probability_name.removeprefix('p_')}"
    return ("coverage_50", "coverage_80", "coverage_95", "pinball", brier, "abs_log_error")


def patient_scores(
    model: Model, patient: PatientRows, members: int, seed: int, threshold: float
) -> Iterator[tuple[str, Floats]]:
    """(method, scores [metrics]) for every count that has an earlier one, from the earlier ones alone.

    Args:
        model: the reduced model.
        patient: counts and doses.
        members: of each ensemble.
        seed: of ensembles and noise.
        threshold: of the low event, 10*9/L.
    """
    origin = patient.doses[0].start_day
    doses = tuple(replace(dose, start_day=dose.start_day - origin) for dose in patient.doses)
    rows = np.array(patient.counts, dtype=np.float64)
    counts = Counts(rows[:, 0] - origin, rows[:, 1], rows[:, 2] > 0.0)
    noise = np.random.default_rng([seed, 5]).standard_normal(members) * model.residual_log_sd
    for day, value in zip(counts.days.tolist(), counts.values.tolist(), strict=True):
        known = counts.until(day)
        if known.days.size == 0:
            continue
        given = tuple(dose for dose in doses if dose.start_day < day)
        last = np.full(members, max(float(known.values[-1]), SMALLEST))
        ensembles = (assimilate(model, given, known, members, seed), model.prior_sample(members, seed))
        courses = [model.simulate(e, given, np.array([day]))[0] for e in ensembles]
        # The last count and the next one both carry the laboratory's error.
        for method, course, spread in zip(METHODS, (*courses, last), (1.0, 1.0, np.sqrt(2.0)), strict=True):
            sample = np.log(np.maximum(course, SMALLEST)) + spread * noise
            yield method, score(sample, max(value, SMALLEST), threshold)


def score(log_sample: Floats, value: float, threshold: float) -> Floats:
    """[metrics] of one forecast sample for one measured value in 10*9/L; pinball loss on the log scale."""
    truth = np.log(value)
    quantiles = np.quantile(log_sample, LEVELS)
    inside = [quantiles[i] <= truth <= quantiles[-1 - i] for i in (2, 1, 0)]
    gaps = truth - quantiles
    pinball = np.maximum(np.array(LEVELS) * gaps, (np.array(LEVELS) - 1.0) * gaps).mean()
    brier = (np.mean(log_sample < np.log(threshold)) - float(value < threshold)) ** 2
    return np.array([*inside, pinball, brier, abs(gaps[3])], dtype=np.float64)


def summarised(
    method: str, by_patient: list[Floats], seed: int, names: tuple[str, ...]
) -> dict[str, float | int | str]:
    """One row: means over counts with 95 % bootstrap intervals over patients.

    Args:
        method: its name.
        by_patient: scores [counts, metrics] of each patient.
        seed: of the bootstrap.
        names: see :func:`metrics`.
    """
    sums, sizes = np.array([s.sum(axis=0) for s in by_patient]), np.array([len(s) for s in by_patient])
    chosen = np.random.default_rng(seed).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    means = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)[:, None]
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    row: dict[str, float | int | str] = {"method": method, "patients": len(sizes), "counts": int(sizes.sum())}
    for index, name in enumerate(names):
        row[name] = float(sums[:, index].sum() / sizes.sum())
        row[f"{name}_low"], row[f"{name}_high"] = float(low[index]), float(high[index])
    return row
