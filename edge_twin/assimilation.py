"""Ensemble assimilation of neutrophil counts: from the population's parameters to this patient's.

Ensemble smoother with multiple data assimilation (ES-MDA; Emerick & Reynolds, Comput Geosci 2013;55:3)
on log parameters and log counts. All counts enter together at every step, so the result depends on the
set of counts and not on the order in which they arrived.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_twin.contract import Matrix, Model, Vector
from edge_twin.exposure import DoseEvent

PASSES = 4  # each with PASSES times the observation variance; 4 is the usual choice of the method's authors
SMALLEST_COUNT = 0.02  # 10*9/L; a reported 0 stands for "below what the counter resolves" (assumed)


class Counts(NamedTuple):
    """Neutrophil counts of one patient.

    Attributes:
        days: float days since the first dose, increasing, shape [m].
        values: 10*9/L, shape [m].
    """

    days: Vector
    values: Vector


def assimilate(model: Model, doses: tuple[DoseEvent, ...], counts: Counts, members: int, seed: int) -> Matrix:
    """Log parameters of the ensemble after all counts.

    Args:
        model: the reduced model with its prior.
        doses: what was given, in float days since the first dose.
        counts: the counts; with none, the prior comes back.
        members: ensemble size.
        seed: of prior and observation noise.

    Returns:
        Shape [members, parameters], inside the model's validity envelope.
    """
    ensemble = model.prior_sample(members, seed)
    if counts.days.size == 0:
        return ensemble
    times, column = np.unique(counts.days, return_inverse=True)
    observed = np.log(np.maximum(counts.values, SMALLEST_COUNT))
    noise = _noise(counts.days.size, members, seed) * model.residual_log_sd * np.sqrt(PASSES)
    for perturbation in noise:
        predicted = np.log(np.maximum(model.simulate(ensemble, doses, times)[column], SMALLEST_COUNT))
        innovation = observed[:, None] + perturbation - predicted
        gain = _gain(ensemble, predicted, PASSES * model.residual_log_sd**2)
        ensemble = model.clip(ensemble + (gain @ innovation).T)
    return ensemble


def _noise(counts: int, members: int, seed: int) -> Matrix:
    """Standard normal noise [passes, counts, members], centred so that it cannot shift the mean."""
    noise = np.random.default_rng([seed, counts]).standard_normal((PASSES, counts, members))
    return np.asarray(noise - noise.mean(axis=2, keepdims=True))


def _gain(ensemble: Matrix, predicted: Matrix, variance: float) -> Matrix:
    """Kalman gain [parameters, counts] from the ensemble's own covariances."""
    scale = 1.0 / (ensemble.shape[0] - 1)
    anomalies = ensemble - ensemble.mean(axis=0)
    responses = predicted - predicted.mean(axis=1, keepdims=True)
    cross = scale * (responses @ anomalies)
    spread = scale * (responses @ responses.T) + variance * np.eye(predicted.shape[0])
    return np.asarray(np.linalg.solve(spread, cross).T)
