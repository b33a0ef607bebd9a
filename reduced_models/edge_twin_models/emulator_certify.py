"""Certificate of the emulator: fresh points, many fresh replicates at each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_twin.emulator import CountDistribution, Emulator
from edge_twin.engines.network_engines import NetworkEngine
from edge_twin_models.emulator_train import CloneSample, moments

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ENOUGH = 50  # replicates that are not zero: fewer give no mean and standard deviation to compare with
SCORED_LEVELS = (np.arange(200) + 0.5) / 200.0
SPREAD_OUT = 0.95  # a point with a larger chance of zero has no interval to cover


def standardised(prediction: CountDistribution, resistant: Integers) -> Floats:
    """Standardised logarithms of the counts [n, c] that are not zero, flat."""
    some = resistant > 0
    logs = np.log(np.maximum(resistant, 1))
    return np.asarray(((logs - prediction.log_mean[:, None]) / prediction.log_sd[:, None])[some])


def certificate(
    emulator: Emulator, engine: NetworkEngine, sample: CloneSample, resistant: Integers
) -> dict[str, float | int]:
    """For the manifest.

    Args:
        emulator: under test.
        engine: that runs it.
        sample: fresh points.
        resistant: [n, c] fresh replicates at each.
    """
    prediction = emulator.distribution(engine, sample.log_parameters, sample.days)
    found = moments(resistant)
    enough = (1.0 - found.none) * resistant.shape[1] >= ENOUGH
    spread = np.sqrt(found.log_variance[enough])
    mean = np.abs(prediction.log_mean - found.log_mean)[enough] / spread
    ratio = np.abs(np.log(prediction.log_sd[enough] / spread))
    lower, upper = prediction.interval()
    inside = ((resistant >= lower[:, None]) & (resistant <= upper[:, None])).mean(axis=1)
    open_points = prediction.none < SPREAD_OUT
    figures: dict[str, float | int] = {"points": len(inside), "replicates_per_point": resistant.shape[1]}
    figures |= _quantiles("none_error", np.abs(prediction.none - found.none))
    figures |= _quantiles("mean_error_in_sd", mean) | _quantiles("log_sd_error", ratio)
    figures |= {"coverage_95": float(inside[open_points].mean()), "coverage_95_all": float(inside.mean())}
    figures |= {"coverage_95_p05": float(np.quantile(inside[open_points], 0.05))}
    emulated, own = crps_of(prediction, resistant)
    figures |= {"crps": emulated, "crps_teacher": own, "crps_ratio": emulated / own}
    return {name: value if isinstance(value, int) else float(f"{value:.3g}") for name, value in figures.items()}


def crps_of(prediction: CountDistribution, resistant: Integers) -> tuple[float, float]:
    """Mean continuous ranked probability score of ln(1 + count), of the emulator and of the teacher itself.

    Both are scored on the second half of the replicates; the teacher's forecast is its own first half.
    """
    half = resistant.shape[1] // 2
    truth = np.log1p(resistant[:, half:])
    forecast = np.log1p(prediction.quantile(SCORED_LEVELS[:, None]).T)
    return crps(forecast, truth), crps(np.log1p(resistant[:, :half]), truth)


def crps(ensembles: Floats, truth: Floats) -> float:
    """Mean of E|X - y| - E|X - X'|/2 over truths [n, c] with the ensemble [n, e] of each row (Gneiting 2007).

    The spread is that of independent draws (divided by e·(e - 1)): ensembles of different size are comparable.
    """
    ordered = np.sort(ensembles, axis=1)
    size = ordered.shape[1]
    weights = 2.0 * np.arange(size) - size + 1.0
    spread = 2.0 * (ordered @ weights) / (size * (size - 1.0))
    scores = [np.abs(row[None, :] - ys[:, None]).mean() for row, ys in zip(ordered, truth, strict=True)]
    return float(np.mean(scores) - 0.5 * spread.mean())


def _quantiles(name: str, values: Floats) -> dict[str, float | int]:
    levels = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {f"{name}_{word}": float(np.quantile(values, level)) for word, level in levels.items()}
