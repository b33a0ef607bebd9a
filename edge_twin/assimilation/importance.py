"""Importance sampling from the prior: slow, but free of any Gaussian assumption; the exactness check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_twin.assimilation.observing import Counts, ObservationOperator, distinct_days, log_states
from edge_twin.contract import Matrix, Model, Vector
from edge_twin.exposure import DoseEvent
from edge_twin.randomness import Stream, generator

DRAWS = 20_000
_FAR_TAIL = -8.0  # below it erfc loses digits and the asymptotic series is exact to 1e-3


@dataclass(frozen=True, eq=False)
class WeightedSample:
    """Draws from the prior with their posterior weights.

    Attributes:
        log_parameters: [draws, p].
        weights: [draws], sum 1.
    """

    log_parameters: Matrix
    weights: Vector

    @property
    def effective_size(self) -> float:
        """Kish's effective number of draws; below about a hundred the sample says little."""
        return float(1.0 / (self.weights**2).sum())

    def resampled(self, members: int, seed: int) -> Matrix:
        """[members, p] by systematic resampling."""
        positions = (np.arange(members) + generator(seed, Stream.IMPORTANCE).random()) / members
        chosen = np.searchsorted(np.cumsum(self.weights), positions)
        return np.asarray(self.log_parameters[np.minimum(chosen, len(self.weights) - 1)])


def importance_sample(  # noqa: PLR0913 - the ingredients of an assimilation
    model: Model, doses: Sequence[DoseEvent], counts: Counts, operator: ObservationOperator, *, draws: int, seed: int
) -> WeightedSample:
    """Weight prior draws by the likelihood of the counts.

    Args:
        model: reduced model with its prior.
        doses: what was given, days since the first dose.
        counts: at least one.
        operator: of the laboratory.
        draws: from the prior.
        seed: of the prior.

    Returns:
        The weighted sample; its effective size says whether it can be trusted.
    """
    prior = model.clip(model.prior_sample(draws, seed))
    times, column = distinct_days(counts.days)
    predicted = log_states(model.simulate(prior, tuple(doses), times))[column]
    return WeightedSample(prior, weights(log_likelihood(predicted, counts, operator)))


def weights(log_likelihoods: Vector) -> Vector:
    """[draws] normalised weights of log likelihoods."""
    raw = np.exp(log_likelihoods - log_likelihoods.max())
    return np.asarray(raw / raw.sum())


def log_likelihood(predicted: Matrix, counts: Counts, operator: ObservationOperator) -> Vector:
    """[n] log likelihood of all counts for each column of ``predicted`` [m, n] log counts."""
    deviation = np.sqrt(operator.log_variances(counts))[:, None]
    distance = (operator.log_values(counts)[:, None] - predicted) / deviation
    censored = operator.censored(counts)
    terms = -0.5 * distance**2
    terms[censored] = log_normal_cdf(distance[censored])
    return np.asarray(terms.sum(axis=0))


def log_normal_cdf(values: Matrix) -> Matrix:
    """Logarithm of the standard normal distribution function, also far in its lower tail."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    near = np.maximum(flat, _FAR_TAIL)
    central = [math.log(0.5 * math.erfc(-value / math.sqrt(2.0))) for value in near.tolist()]
    # Abramowitz & Stegun 26.2.12
    far = np.minimum(flat, _FAR_TAIL)
    tail = -0.5 * far**2 - np.log(-far * math.sqrt(2.0 * math.pi)) + np.log1p(-1.0 / far**2 + 3.0 / far**4)
    return np.asarray(np.where(flat >= _FAR_TAIL, central, tail)).reshape(np.shape(values))
